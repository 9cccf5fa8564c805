"""VGG-11 to VGG-19, with a single linear layer, as papers on pruning use them."""

from collections import OrderedDict

from torch import nn

from sklearn_tickets.models._image_network import (
    ImageNetwork,
    check_depth,
    convolution_stages,
    scaled_channels,
)
from sklearn_tickets.models._initialize import initialize

_CHANNELS = (64, 128, 256, 512, 512)

# Convolutions in each stage; depths count the published three linear layers, too.
_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGG(ImageNetwork):
    """Five stages of 3x3 convolutions with max pools, and one linear layer.

    The stages have 64, 128, 256, 512 and 512 channels. The last maps are averaged over the image.
    Returns logits.

    Parameters
    ----------
    n_channels : int
        Number of colors.
    image_size : int
        Pixels per side, at least 8. Inputs are images of shape (n_samples, n_channels,
        image_size, image_size) or rows of as many pixels, the channels one after the other.
        Maps of a single pixel are not pooled.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    depth : {11, 13, 16, 19}, default=16
        Number of layers of the published network, which has two more linear layers.
    width : float, default=1.0
        Factor of the numbers of channels, which are rounded to even numbers.
    batch_norm : bool, default=True
        Whether convolutions have batch normalization in place of biases.
    init : {"he", "nonzero-bias", "looks-linear"} or None, default="he"
        The initial weights, as in `initialize`; None leaves PyTorch's own.

    Raises
    ------
    ValueError
        If `image_size`, `depth` or `init` is invalid, or `width` leaves a stage fewer than two
        channels.

    Notes
    -----
    Below 32 pixels, maps in the last stage are single pixels: batch normalization then requires
    training batches of at least two images.

    References
    ----------
    .. [1] Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
       recognition", ICLR 2015. arXiv:1409.1556.

    Examples
    --------
    >>> from sklearn_tickets.models import VGG
    >>> net = VGG(n_channels=3, image_size=32, n_outputs=10, depth=11, width=0.25)
    >>> net.classifier
    Sequential(
      (pool): AdaptiveAvgPool2d(output_size=1)
      (flatten): Flatten(start_dim=1, end_dim=-1)
      (linear): Linear(in_features=128, out_features=10, bias=True)
    )
    """

    def __init__(
        self,
        n_channels: int,
        image_size: int,
        n_outputs: int,
        depth: int = 16,
        width: float = 1.0,
        batch_norm: bool = True,
        init: str | None = "he",
    ) -> None:
        super().__init__(n_channels, image_size)
        check_depth(depth, _CONVOLUTIONS)
        channels = scaled_channels(_CHANNELS, width)
        stages = zip(_CONVOLUTIONS[depth], channels, strict=True)
        self.features = convolution_stages(n_channels, image_size, stages, batch_norm)
        self.classifier = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(channels[-1], n_outputs),
            )
        )
        initialize(self, init)
