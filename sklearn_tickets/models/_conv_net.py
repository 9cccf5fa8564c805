"""Conv-2, Conv-4 and Conv-6."""

from collections import OrderedDict

from torch import nn

from sklearn_tickets.models._image_network import ImageNetwork, check_depth, convolution_stages
from sklearn_tickets.models._initialize import initialize


class ConvNet(ImageNetwork):
    """Conv-2, Conv-4 or Conv-6 of the lottery ticket hypothesis.

    One to three pairs of 3x3 convolutions, of 64, 128 and 256 channels, with a max pool after
    each pair; then three linear layers, with 256 hidden units each. Returns logits.

    Parameters
    ----------
    n_channels : int
        Number of colors.
    image_size : int
        Pixels per side, at least 8. Inputs are images of shape (n_samples, n_channels,
        image_size, image_size) or rows of as many pixels, the channels one after the other.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    depth : {2, 4, 6}, default=4
        Number of convolutions.
    init : {"he", "nonzero-bias", "looks-linear"} or None, default="he"
        The initial weights, as in `initialize`; None leaves PyTorch's own.

    Raises
    ------
    ValueError
        If `image_size`, `depth` or `init` is invalid.

    Notes
    -----
    For ten classes and 32x32 pixels in three colors they have 4,300,992, 2,425,024 and
    2,261,184 weights. For Conv-6, [1]_ states 1.7 million, which does not match its layers.

    References
    ----------
    .. [1] Frankle and Carbin, "The lottery ticket hypothesis: finding sparse, trainable neural
       networks", ICLR 2019. arXiv:1803.03635.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.models import ConvNet
    >>> net = ConvNet(n_channels=1, image_size=8, n_outputs=10, depth=2)
    >>> net(torch.zeros(5, 1, 8, 8)).shape, net(torch.zeros(5, 64)).shape
    (torch.Size([5, 10]), torch.Size([5, 10]))
    """

    def __init__(
        self,
        n_channels: int,
        image_size: int,
        n_outputs: int,
        depth: int = 4,
        init: str | None = "he",
    ) -> None:
        super().__init__(n_channels, image_size)
        check_depth(depth, (2, 4, 6))
        channels = (64, 128, 256)[: depth // 2]
        self.features = convolution_stages(n_channels, image_size, [(2, n) for n in channels])
        n_features = channels[-1] * (image_size // 2 ** len(channels)) ** 2
        self.classifier = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                linear1=nn.Linear(n_features, 256),
                relu1=nn.ReLU(),
                linear2=nn.Linear(256, 256),
                relu2=nn.ReLU(),
                linear3=nn.Linear(256, n_outputs),
            )
        )
        initialize(self, init)
