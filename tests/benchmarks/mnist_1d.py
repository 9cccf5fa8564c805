"""Tickets of MNIST-1D: the lottery-ticket table of its authors, and every pruner beside it.

``python tests/benchmarks/mnist_1d.py`` prints two Markdown tables, ``lottery`` and ``pruners``
(naming one prints that one): accuracy on the 1,000 test sequences, medians (lowest - highest). It
needs the extra ``data``.

The settings are those of the authors' notebook: a network 40-500-500-10 with a residual second
layer, Adam at .02, batches of 100 in a fixed order, 38 epochs (1,520 steps; there 1,501), pruning
by magnitude within each layer, weights and biases together. They prune in 100 steps of equal size;
here each of 20 rounds of IterativeMagnitudePruner removes the same fraction of what is left, so
that densities are .02 ** (t / 20). Nothing is chosen on the test data.
"""

from collections.abc import Iterator

import numpy as np
import torch
from _common import make_classifier, prepare_worker, print_header, print_row, run_sections, spread
from joblib import Parallel, delayed
from sklearn.metrics import accuracy_score
from torch import Tensor, nn

from sklearn_tickets.datasets import load_mnist1d
from sklearn_tickets.pruners import (
    AnnealingPruner,
    GeneticPruner,
    IterativeMagnitudePruner,
    RandomPruner,
)
from sklearn_tickets.pruners.base import BasePruner, SparsityPruner
from sklearn_tickets.utils import all_pruners

N_ROUNDS, SPARSITY = 20, 0.98
# Rounds after which the sparsity is close to those in the authors' table.
ROUNDS = {0: 0.0, 8: 0.8, 12: 0.9, 13: 0.92, 15: 0.95, 20: 0.98}
SEEDS, SEEDS_OF_PRUNERS = range(5), range(3)
SPARSITIES = (0.9, 0.98)


class ResidualMLP(nn.Module):
    """The authors' network."""

    def __init__(self, width: int = 500) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(40, width), nn.Linear(width, width)
        self.last = nn.Linear(width, 10)

    def forward(self, X: Tensor) -> Tensor:
        """Compute the logits."""
        hidden = self.first(X).relu()
        return self.last(hidden + self.second(hidden).relu())


def make_net() -> object:
    """Make the net with the authors' training."""
    adam = {"optimizer": torch.optim.Adam, "optimizer__fused": True, "lr": 0.02}
    net = make_classifier(ResidualMLP, batch_size=100, max_epochs=38, **adam)
    return net.set_params(iterator_train__shuffle=False)


def density(t: int) -> float:
    """Compute the density after a round."""
    return (1 - SPARSITY) ** (t / N_ROUNDS)


def ticket_accuracies(seed: int) -> list[float]:
    """Prune in rounds, and measure the network as trained with the mask of each round."""
    prepare_worker()
    X, y = load_mnist1d(return_X_y=True)
    X_test, y_test = load_mnist1d(subset="test", return_X_y=True)
    pruner = IterativeMagnitudePruner(
        make_net(),
        sparsity=SPARSITY,
        n_rounds=N_ROUNDS,
        scope="layer",
        prune_bias=True,
        store_rounds=True,
        random_state=seed,
    ).fit(X, y)
    module = ResidualMLP().double()
    accuracies = []
    for record in pruner.rounds_:
        module.load_state_dict(record["state"])
        with torch.no_grad():
            predicted = module(torch.from_numpy(X_test).double()).argmax(dim=1).numpy()
        accuracies.append(accuracy_score(y_test, predicted))
    # A round trains with the mask of the round before it.
    return [*accuracies, pruner.score(X_test, y_test)]


def pruned_accuracy(cls: type[BasePruner], seed: int, sparsity: float, **params: object) -> float:
    """Measure the quality of a pruner's result."""
    prepare_worker()
    X, y = load_mnist1d(return_X_y=True)
    X_test, y_test = load_mnist1d(subset="test", return_X_y=True)
    pruner = cls(make_net(), random_state=seed, **params)
    if issubclass(cls, SparsityPruner):
        pruner.set_params(sparsity=sparsity)
    return pruner.fit(X, y).score(X_test, y_test)


def lottery() -> None:
    """Compare tickets with random masks."""
    tickets = Parallel(n_jobs=-1)(delayed(ticket_accuracies)(seed) for seed in SEEDS)
    print_header("sparsity", "authors'", "tickets", "random masks")
    for t, published in ROUNDS.items():
        random = Parallel(n_jobs=-1)(
            delayed(pruned_accuracy)(
                RandomPruner, seed, 1 - density(t), scope="layer", prune_bias=True
            )
            for seed in SEEDS
        )
        found = [accuracies[t] for accuracies in tickets]
        print_row(f"{1 - density(t):.3f}", published, spread(found, ".3f"), spread(random, ".3f"))


def rows() -> Iterator[tuple[str, type[BasePruner], dict[str, object]]]:
    """Yield the label, the class and the parameters of each row."""
    for name, cls in all_pruners():
        if cls is AnnealingPruner:
            continue  # it takes chains of layers only
        # A genome's fitness on all rows would take an hour for six fits.
        yield name, cls, {"n_score_samples": 500} if cls is GeneticPruner else {}
    yield "RandomPruner, untrained", RandomPruner, {"train_ticket": False}


def pruners() -> None:
    """Measure every pruner with its default parameters."""
    print_header("pruner", *SPARSITIES)
    for label, cls, params in rows():
        runs = (
            delayed(pruned_accuracy)(cls, seed, sparsity, **params)
            for sparsity in SPARSITIES
            for seed in SEEDS_OF_PRUNERS
        )
        found = np.reshape(Parallel(n_jobs=-1)(runs), (len(SPARSITIES), len(SEEDS_OF_PRUNERS)))
        print_row(label, *(spread(values, ".3f") for values in found))


if __name__ == "__main__":
    run_sections(__doc__, [lottery, pruners])
