"""Whole units: how fast pruned networks become, and the comparison with Torch-Pruning.

``OMP_NUM_THREADS=1 python tests/benchmarks/units.py`` prints Markdown tables: of a wide MLP on
digits whose units are removed (section ``speed``), and of image networks on digits, pruned by this
library and by Torch-Pruning (section ``comparison``; ``pip install torch-pruning==1.6.1``). Both
prune the same trained network and train it for as many epochs, ours before `compact`, which merges
batch normalization into the layers; Torch-Pruning has the ratio of channels that leaves as many
FLOPs, or a few more. Numbers are means of seeds that choices of settings did not see: a single
one of VGG-16 is up to .04 better or worse, by chance. Latencies are medians of runs in turns, in
processor time.
"""

import copy
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from _common import Data, make_classifier, prepare_worker, print_header, print_row, run_sections
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sklearn_tickets.export import compact
from sklearn_tickets.models import MLP, VGG, LeNet5, ModuleTemplate, ResNet
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, SNIPPruner
from sklearn_tickets.pruners.base import BasePruner

# Seeds 0 to 7 were seen by choices of settings.
SEEDS, MANY_SEEDS = range(10, 13), range(10, 20)
# The sensitivity of SNIP is the first-order Taylor expansion of the loss.
PRUNERS = {"magnitude": MagnitudePruner, "Taylor": SNIPPruner}


class Case(NamedTuple):
    """A network, the sparsity that halves its layers, and its epochs before and after."""

    module: Callable[..., nn.Module]
    sparsity: float
    n_before: int
    n_after: int


WIDE = partial(MLP, n_features=64, n_outputs=10, hidden=(1024,) * 4, init="he")
IMAGES: dict[str, Any] = {"n_channels": 1, "image_size": 8, "n_outputs": 10}
CASES = {
    "LeNet-5": Case(partial(LeNet5, **IMAGES), 0.738, 40, 60),
    "VGG-16, width 0.25": Case(partial(VGG, width=0.25, **IMAGES), 0.7496, 6, 4),
    "ResNet-20": Case(partial(ResNet, **IMAGES), 0.749, 5, 3),
}


def split(seed: int) -> tuple[Data, Data]:
    """Split the digits into 1,000 images to train on, and 797 to test on."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    train, test, y_train, y_test = train_test_split(
        X, y, train_size=1000, random_state=seed, stratify=y
    )
    return (train, y_train), (test, y_test)


def make_net(module: Callable[..., nn.Module], n_epochs: int) -> Any:
    """Make the net that all networks are trained by."""
    return make_classifier(
        module, optimizer=torch.optim.Adam, lr=1e-3, batch_size=64, max_epochs=n_epochs
    )


@cache
def train_dense(case: Case, seed: int) -> BasePruner:
    """Train the network that is pruned in every way."""
    return train(case.module, case.n_before, seed, split(seed)[0])


def train(module: Callable[..., nn.Module], n_epochs: int, seed: int, data: Data) -> BasePruner:
    """Train a network without pruning it."""
    return GivenMaskPruner(make_net(module, n_epochs), random_state=seed).fit(*data)


def count_flops(module: nn.Module) -> float:
    """Count the MFLOPs for one image."""
    with FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, 1, 8, 8))
    return counter.get_total_flops() / 1e6


@torch.no_grad()
def measure_latency(modules: list[nn.Module]) -> list[float]:
    """Measure the median ms for 256 images of each module."""
    images = torch.rand(256, 1, 8, 8)
    seconds: list[list[float]] = [[] for _ in modules]
    for _ in range(31):
        for module, runs in zip(modules, seconds, strict=True):
            module.eval()(images)  # what the other one left in the cache does not count
            began = time.process_time()
            module(images)
            runs.append(time.process_time() - began)
    return [1000 * float(np.median(runs)) for runs in seconds]


def speed() -> None:
    """Prune nine tenths of a trained MLP in units, train what is left, and compare the two."""
    print_header(
        "scope", "seed", "accuracy, dense", "accuracy, units", "dense, ms", "compact, ms", "factor"
    )
    for seed in SEEDS:
        data, test = split(seed)
        dense = train(WIDE, 10, seed, data)
        for scope in ("layer", "global"):
            pruned = by_units(dense.estimator_.module_, "magnitude", scope, 0.9, 15, seed, data)
            before, after = measure_latency([dense.estimator_.module_, compact(pruned)])
            scores = f"{dense.score(*test):.3f}", f"{pruned.score(*test):.3f}"
            print_row(
                scope, seed, *scores, f"{before:.3g}", f"{after:.3g}", f"{before / after:.3g}"
            )


def by_units(
    module: nn.Module,
    importance: str,
    scope: str,
    sparsity: float,
    n_epochs: int,
    seed: int,
    data: Data,
) -> BasePruner:
    """Prune the units of a trained network, and train what is left."""
    pruner = PRUNERS[importance](
        make_net(ModuleTemplate(module), n_epochs),
        sparsity=sparsity,
        granularity="unit",
        scope=scope,
        random_state=seed,
    )
    return pruner.fit(*data)


def by_torch_pruning(module: nn.Module, importance: str, n_flops: float, data: Data) -> nn.Module:
    """Prune as many channels as leave `n_flops` or a few more, by Torch-Pruning."""
    import torch_pruning

    X, y = (torch.from_numpy(array) for array in data)
    kinds = torch_pruning.importance
    measure = {"magnitude": kinds.MagnitudeImportance, "Taylor": kinds.TaylorImportance}[importance]

    module.eval().zero_grad()
    nn.functional.cross_entropy(module(X), y).backward()

    def pruned(ratio: float) -> nn.Module:
        smaller = copy.deepcopy(module)
        for parameter, original in zip(smaller.parameters(), module.parameters(), strict=True):
            parameter.grad = original.grad
        pruner = torch_pruning.pruner.MetaPruner(
            smaller,
            X[:2],
            importance=measure(),
            pruning_ratio=ratio,
            ignored_layers=[[x for x in smaller.modules() if isinstance(x, nn.Linear)][-1]],
        )
        pruner.step()
        return smaller

    # A layer that would lose all its channels keeps all: a higher ratio can leave more FLOPs.
    networks = [module, *map(pruned, np.linspace(0, 1, 21)[1:-1])]
    smaller = min((x for x in networks if count_flops(x) >= n_flops), key=count_flops)
    smaller.zero_grad()
    return smaller


def compare(case: Case, importance: str) -> Iterator[list[float]]:
    """Yield FLOPs, accuracies and latencies of dense, ours and Torch-Pruning's, for each seed."""
    for seed in MANY_SEEDS:
        data, test = split(seed)
        dense = train_dense(case, seed)
        trained = dense.estimator_.module_
        ours = by_units(trained, importance, "layer", case.sparsity, case.n_after, seed, data)
        small = compact(ours)
        smaller = by_torch_pruning(trained, importance, count_flops(small), data)
        theirs = train(ModuleTemplate(smaller), case.n_after, seed, data)
        modules = [trained, small, theirs.estimator_.module_]
        scores = [each.score(*test) for each in (dense, ours, theirs)]
        yield [*map(count_flops, modules), *scores, *measure_latency(modules)]


def comparison() -> None:
    """Compare with Torch-Pruning at equal FLOPs."""
    if not find_spec("torch_pruning"):
        print("torch_pruning is not installed: run pip install torch-pruning==1.6.1")
        return
    print_header(
        "network", "scores", "MFLOPs", "accuracy", "ours - theirs (+- its error)", "ms, 256 images"
    )
    for name, case in CASES.items():
        for importance in PRUNERS:
            by_seed = np.array([*compare(case, importance)])
            flops, accuracies, latencies = np.split(by_seed, 3, axis=1)
            gaps = accuracies[:, 1] - accuracies[:, 2]
            error = gaps.std(ddof=1) / len(gaps) ** 0.5
            print_row(
                name,
                importance,
                means(flops, ".3g"),
                means(accuracies, ".3f"),
                f"{gaps.mean():+.3f} +- {error:.3f}",
                means(latencies, ".3g"),
            )


def means(columns: np.ndarray, spec: str) -> str:
    """Format the means of columns: dense, ours, theirs."""
    return ", ".join(format(x, spec) for x in columns.mean(axis=0))


if __name__ == "__main__":
    prepare_worker()
    run_sections(__doc__, [speed, comparison])
