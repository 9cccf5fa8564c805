"""`DATA`: data without a planted ticket, each with a network and its training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import Tensor, nn

from sklearn_tickets.benchmark._problem import Problem, only_output_bias
from sklearn_tickets.benchmark._runs import SeekData
from sklearn_tickets.datasets import load_mnist1d, make_cubist_spiral
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP

Split = tuple[NDArray, NDArray, NDArray, NDArray]


@dataclass(frozen=True)
class Dataset:
    """Data, and the network that is pruned on them.

    Attributes
    ----------
    load : callable
        ``load(seed)`` returns ``X_train, X_test, y_train, y_test``.
    make_net : callable
        ``make_net(**parameters)`` returns an unfitted skorch net with the training of the data,
        or with other parameters.
    """

    load: Callable[[int], Split]
    make_net: Callable[..., NeuralNet]


class ResidualMLP(nn.Module):
    """The network of the authors of MNIST-1D, 40-500-500-10 with a residual second layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(40, 500), nn.Linear(500, 500)
        self.last = nn.Linear(500, 10)

    def forward(self, X: Tensor) -> Tensor:
        """Compute the logits."""
        hidden = self.first(X).relu()
        return self.last(hidden + self.second(hidden).relu())


def _spiral(seed: int) -> Split:
    """Shuffle the spiral. As published, the training points are also those for testing."""
    X, y = make_cubist_spiral(random_state=seed)
    return X, X, y, y


def _mnist1d(seed: int) -> Split:
    """Make the authors' sequences, whatever the seed."""
    (X, y), (X_test, y_test) = (
        load_mnist1d(subset=subset, return_X_y=True) for subset in ("train", "test")
    )
    return X, X_test, y, y_test


def _standardized(load: Callable[..., tuple[NDArray, NDArray]], seed: int) -> Split:
    """Hold out a quarter, and standardize by the rest: features, and targets of regression."""
    X, y = load(return_X_y=True)
    classes = y if y.dtype.kind == "i" else None
    X, X_test, y, y_test = train_test_split(X, y, stratify=classes, random_state=seed)
    scaler = StandardScaler().fit(X)
    if classes is None:
        y, y_test = (((part - y.mean()) / y.std()).astype(np.float32) for part in (y, y_test))
    return *(scaler.transform(part).astype(np.float32) for part in (X, X_test)), y, y_test


_ADAM: dict[str, Any] = {
    "optimizer": torch.optim.Adam,
    "optimizer__fused": True,
    "train_split": None,
    "verbose": 0,
}
_SHUFFLED = _ADAM | {"iterator_train__shuffle": True}
_classifier = partial(NeuralNetClassifier, criterion=nn.CrossEntropyLoss)


def _bundled(
    load: Callable[..., tuple[NDArray, NDArray]],
    n_features: int,
    n_outputs: int,
    net_class: Callable[..., NeuralNet] = _classifier,
) -> Dataset:
    """Combine data of scikit-learn with a network of two hidden layers."""
    module = partial(MLP, n_features, n_outputs, hidden=(100, 100))
    settings = _SHUFFLED | {"lr": 3e-3, "batch_size": 32, "max_epochs": 30}
    return Dataset(partial(_standardized, load), partial(net_class, module, **settings))


DATA: dict[str, Dataset] = {
    "cubist-spiral": Dataset(
        _spiral,
        partial(
            NeuralNetBinaryClassifier,
            partial(MLP, 2, 1, hidden=(16, 16, 16)),
            **_SHUFFLED | {"lr": 1e-2, "batch_size": 128, "max_epochs": 50},
        ),
    ),
    "mnist1d": Dataset(
        _mnist1d,
        partial(
            _classifier,
            ResidualMLP,
            **_ADAM | {"lr": 2e-2, "batch_size": 100, "max_epochs": 38},  # in a fixed order
        ),
    ),
    "digits": _bundled(load_digits, 64, 10),
    "wine": _bundled(load_wine, 13, 3),
    "breast-cancer": _bundled(load_breast_cancer, 30, 2),
    "diabetes": _bundled(load_diabetes, 10, 1, NeuralNetRegressor),
}


class DataProblem(Problem):
    """A dataset of `DATA`, split by the seed; only its weights are pruned by default."""

    prune_bias = False

    def __init__(self, name: str, seed: int) -> None:
        self._dataset = DATA[name]
        self.seed = seed
        X_train, X_test, y_train, y_test = self._dataset.load(seed)
        self.data = SeekData(X_train, y_train, X_test, y_test, ticket=None)

    def make_net(self, **parameters: Any) -> NeuralNet:
        return self._dataset.make_net(**parameters)

    def references(self) -> Iterator[tuple[str, NeuralNet, TicketMask]]:
        net = self.make_net()
        with torch.device("meta"):  # only shapes, so that torch's global stream is left alone
            everything = TicketMask.ones_like(net.module(), prune_bias=True)
        yield "dense", net, everything
        yield "constant", net, only_output_bias(everything)
