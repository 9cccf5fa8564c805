"""A multi-layer perceptron with ReLU units."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """A fully connected ReLU network that returns logits or regression outputs.

    Parameters
    ----------
    n_features : int
        Number of inputs. A pruner fills it in from the data.
    n_outputs : int
        Number of classes or regression outputs. A pruner fills it in from the data.
    hidden : sequence of int, default=(100, 100, 100)
        Units per hidden layer.

    Examples
    --------
    >>> from sklearn_tickets import MLP
    >>> MLP(n_features=2, n_outputs=4, hidden=(8,))
    MLP(
      (layers): ModuleList(
        (0): Linear(in_features=2, out_features=8, bias=True)
        (1): Linear(in_features=8, out_features=4, bias=True)
      )
    )
    """

    def __init__(
        self, n_features: int, n_outputs: int, hidden: Sequence[int] = (100, 100, 100)
    ) -> None:
        super().__init__()
        sizes = [n_features, *hidden, n_outputs]
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(sizes))

    def forward(self, X: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            X = layer(X).relu()
        return last(X)
