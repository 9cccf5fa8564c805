"""Residual networks: ResNet-20 to ResNet-110 for small images, ResNet-18 and ResNet-34."""

from collections import OrderedDict

from torch import Tensor, nn

from sklearn_tickets.models._image_network import ImageNetwork, check_depth, scaled_channels
from sklearn_tickets.models._initialize import initialize

# Blocks in each stage; a block has two layers, and the stem and the linear layer add two.
_BLOCKS: dict[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    20: (3, 3, 3),
    32: (5, 5, 5),
    34: (3, 4, 6, 3),
    44: (7, 7, 7),
    56: (9, 9, 9),
    110: (18, 18, 18),
}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose outputs are added to the input.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Numbers of channels.
    stride : int
        Stride of the first convolution. If the shape changes, the shortcut is a convolution.
    """

    def __init__(self, n_inputs: int, n_outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_inputs, n_outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_outputs)
        self.conv2 = nn.Conv2d(n_outputs, n_outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_outputs)
        self.shortcut = nn.Sequential()  # the input as it is
        if stride > 1 or n_inputs != n_outputs:
            projection = nn.Conv2d(n_inputs, n_outputs, 1, stride, bias=False)
            self.shortcut.add_module("conv", projection)
            self.shortcut.add_module("norm", nn.BatchNorm2d(n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(self.norm1(self.conv1(X)).relu()))
        return (residual + self.shortcut(X)).relu()


class ResNet(ImageNetwork):
    """A residual network of basic blocks, with batch normalization. Returns logits.

    Parameters
    ----------
    n_channels : int
        Number of colors.
    image_size : int
        Pixels per side, at least 8. Inputs are images of shape (n_samples, n_channels,
        image_size, image_size) or rows of as many pixels, the channels one after the other.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    depth : {18, 20, 32, 34, 44, 56, 110}, default=20
        Number of layers. Depths 18 and 34 have stages of 64, 128, 256 and 512 channels, the
        others of 16, 32 and 64.
    width : float, default=1.0
        Factor of the numbers of channels, which are rounded to even numbers.
    init : {"he", "nonzero-bias", "looks-linear"} or None, default="he"
        The initial weights, as in `initialize`; None leaves PyTorch's own.

    Raises
    ------
    ValueError
        If `image_size`, `depth` or `init` is invalid, or `width` leaves a stage fewer than two
        channels.

    Notes
    -----
    The first convolution is 3x3. At depths 18 and 34, and for images of 128 pixels or more, it is
    7x7 with stride 2 and followed by a max pool, as in [1]_ for ImageNet. Shortcuts between stages
    are 1x1 convolutions at every depth (option B of [1]_).

    At depths 18 and 34, images of 8 pixels shrink to one pixel: batch normalization then requires
    training batches of at least two images.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.
       arXiv:1512.03385.

    Examples
    --------
    >>> from sklearn_tickets.models import ResNet
    >>> net = ResNet(n_channels=3, image_size=32, n_outputs=10, width=0.5)
    >>> net.features.stage3[0].shortcut.conv
    Conv2d(16, 32, kernel_size=(1, 1), stride=(2, 2), bias=False)
    """

    def __init__(
        self,
        n_channels: int,
        image_size: int,
        n_outputs: int,
        depth: int = 20,
        width: float = 1.0,
        init: str | None = "he",
    ) -> None:
        super().__init__(n_channels, image_size)
        check_depth(depth, _BLOCKS)
        is_wide = len(_BLOCKS[depth]) == 4
        channels = scaled_channels((64, 128, 256, 512) if is_wide else (16, 32, 64), width)
        is_large = is_wide and image_size >= 128
        kernel_size, stride = (7, 2) if is_large else (3, 1)

        n_inputs = channels[0]
        self.features = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(
                    n_channels, n_inputs, kernel_size, stride, kernel_size // 2, bias=False
                ),
                norm=nn.BatchNorm2d(n_inputs),
                relu=nn.ReLU(),
            )
        )
        if is_large:
            self.features.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
        for stage, n_blocks in enumerate(_BLOCKS[depth]):
            blocks = nn.Sequential()
            for i in range(n_blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(ResidualBlock(n_inputs, channels[stage], stride))
                n_inputs = channels[stage]
            self.features.add_module(f"stage{stage + 1}", blocks)
        self.classifier = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(channels[-1], n_outputs),
            )
        )
        initialize(self, init)
