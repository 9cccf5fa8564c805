"""Inputs, stages, depths and widths that the convolutional networks share."""

import math
from collections.abc import Collection, Iterable, Sequence

from torch import Tensor, nn


class ImageNetwork(nn.Module):
    """Base of networks that take square images, or rows of as many pixels.

    A subclass sets `features` and `classifier`, which are applied one after the other.

    Parameters
    ----------
    n_channels : int
        Number of colors.
    image_size : int
        Pixels per side, at least 8.

    Raises
    ------
    ValueError
        If the images are too small.
    """

    features: nn.Module
    classifier: nn.Module

    def __init__(self, n_channels: int, image_size: int) -> None:
        if image_size < 8:
            raise ValueError(
                f"image_size={image_size} must be at least 8 pixels; pad or enlarge the images."
            )
        super().__init__()
        self.image_shape = (n_channels, image_size, image_size)

    def forward(self, X: Tensor) -> Tensor:
        return self.classifier(self.features(X.flatten(1).unflatten(1, self.image_shape)))


def check_depth(depth: int, depths: Collection[int]) -> None:
    """Raise a ValueError unless a network of this depth was published."""
    if depth not in depths:
        raise ValueError(f"depth={depth} must be one of {', '.join(map(str, depths))}.")


def scaled_channels(channels: Sequence[int], width: float) -> list[int]:
    """Multiply numbers of channels by `width` and round to even ones, as looks-linear needs."""
    least = 2 / min(channels)
    if not least <= width < math.inf:
        raise ValueError(
            f"width={width} must be finite and at least {least:g}, which leaves two channels in "
            "the narrowest stage."
        )
    return [2 * round(n * width / 2) for n in channels]


def convolution_stages(
    n_channels: int,
    image_size: int,
    stages: Iterable[tuple[int, int]],
    batch_norm: bool = False,
) -> nn.Sequential:
    """Chain stages of 3x3 convolutions, each ending with a max pool.

    Parameters
    ----------
    n_channels : int
        Number of colors.
    image_size : int
        Pixels per side. Maps of a single pixel are not pooled.
    stages : iterable of (int, int)
        Number of convolutions and of channels of each stage.
    batch_norm : bool, default=False
        Whether convolutions have batch normalization in place of biases.

    Returns
    -------
    layers : torch.nn.Sequential
        Named ``conv1_1``, ``norm1_1``, ``relu1_1``, ..., ``pool1``, ``conv2_1`` and so on.
    """
    layers = nn.Sequential()
    for stage, (n_convolutions, n_outputs) in enumerate(stages, start=1):
        for i in range(1, n_convolutions + 1):
            convolution = nn.Conv2d(n_channels, n_outputs, 3, padding=1, bias=not batch_norm)
            layers.add_module(f"conv{stage}_{i}", convolution)
            if batch_norm:
                layers.add_module(f"norm{stage}_{i}", nn.BatchNorm2d(n_outputs))
            layers.add_module(f"relu{stage}_{i}", nn.ReLU())
            n_channels = n_outputs
        if image_size > 1:
            layers.add_module(f"pool{stage}", nn.MaxPool2d(2))
            image_size //= 2
    return layers
