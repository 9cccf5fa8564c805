"""LeNet-300-100 and LeNet-5, the small networks of the pruning papers."""

from collections import OrderedDict

from torch import nn

from sklearn_tickets.models._image_network import ImageNetwork
from sklearn_tickets.models._initialize import initialize
from sklearn_tickets.models._mlp import MLP


class LeNet300100(MLP):
    """An `MLP` with hidden layers of 300 and 100 units.

    Parameters
    ----------
    n_features : int
        Number of inputs. A pruner fills it in from the data.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    init : {"he", "nonzero-bias", "looks-linear"} or None, default=None
        The initial weights, as in `initialize`; None leaves PyTorch's own.

    Raises
    ------
    ValueError
        If `init` is unknown.

    References
    ----------
    .. [1] LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE 86, 1998.

    Examples
    --------
    >>> from sklearn_tickets.models import LeNet300100
    >>> sum(p.numel() for p in LeNet300100(n_features=784, n_outputs=10).parameters())
    266610
    """

    def __init__(self, n_features: int, n_outputs: int, init: str | None = None) -> None:
        super().__init__(n_features, n_outputs, hidden=(300, 100), init=init)


class LeNet5(ImageNetwork):
    """Two 5x5 convolutions and three linear layers, with ReLU and max pools.

    The convolutions have 6 and 16 channels, the hidden linear layers 120 and 84 units. Returns
    logits.

    Parameters
    ----------
    n_channels : int
        Number of colors.
    image_size : int
        Pixels per side, at least 8. Inputs are images of shape (n_samples, n_channels,
        image_size, image_size) or rows of as many pixels, the channels one after the other.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    init : {"he", "nonzero-bias", "looks-linear"} or None, default="he"
        The initial weights, as in `initialize`; None leaves PyTorch's own.

    Raises
    ------
    ValueError
        If `image_size` or `init` is invalid.

    Notes
    -----
    The network of [1]_ takes 32x32 pixels, to which MNIST's 28x28 are padded: the first
    convolution pads images below 32 pixels by 2. The second pads images below 28, of which little
    or nothing would otherwise remain.

    References
    ----------
    .. [1] LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE 86, 1998.

    Examples
    --------
    >>> from sklearn_tickets.models import LeNet5
    >>> net = LeNet5(n_channels=1, image_size=28, n_outputs=10)
    >>> sum(p.numel() for p in net.parameters())
    61706
    """

    def __init__(
        self, n_channels: int, image_size: int, n_outputs: int, init: str | None = "he"
    ) -> None:
        super().__init__(n_channels, image_size)
        padding1 = 2 if image_size < 32 else 0
        padding2 = 2 if image_size < 28 else 0
        size1 = (image_size + 2 * padding1 - 4) // 2
        size2 = (size1 + 2 * padding2 - 4) // 2
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(n_channels, 6, 5, padding=padding1),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(6, 16, 5, padding=padding2),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                linear1=nn.Linear(16 * size2**2, 120),
                relu1=nn.ReLU(),
                linear2=nn.Linear(120, 84),
                relu2=nn.ReLU(),
                linear3=nn.Linear(84, n_outputs),
            )
        )
        initialize(self, init)
