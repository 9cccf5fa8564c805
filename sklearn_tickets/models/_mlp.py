"""A multi-layer perceptron with ReLU units."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from sklearn_tickets.models._initialize import initialize


class MLP(nn.Module):
    """A fully connected ReLU network that returns logits or regression outputs.

    Inputs with more than one axis, such as images, are flattened.

    Parameters
    ----------
    n_features : int
        Number of inputs. A pruner fills it in from the data.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    hidden : sequence of int, default=(100, 100, 100)
        Units per hidden layer.
    init : {"he", "nonzero-bias", "looks-linear"} or None, default=None
        The initial weights, as in `initialize`; None leaves PyTorch's own.

    Raises
    ------
    ValueError
        If `init` is unknown, or looks-linear and a hidden layer has an odd number of units.

    Examples
    --------
    >>> from sklearn_tickets.models import MLP
    >>> MLP(n_features=2, n_outputs=4, hidden=(8,))
    MLP(
      (layers): ModuleList(
        (0): Linear(in_features=2, out_features=8, bias=True)
        (1): Linear(in_features=8, out_features=4, bias=True)
      )
    )
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        hidden: Sequence[int] = (100, 100, 100),
        init: str | None = None,
    ) -> None:
        super().__init__()
        sizes = [n_features, *hidden, n_outputs]
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(sizes))
        initialize(self, init)

    def forward(self, X: Tensor) -> Tensor:
        X = X.flatten(1)
        *hidden, last = self.layers
        for layer in hidden:
            X = layer(X).relu()
        return last(X)
