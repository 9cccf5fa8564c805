"""What compacting a pruned network gains: size, operations and latency on one core.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/export.py`` (a minute): prints a markdown
table, each cell the masked network and the compact one. Masks are unstructured. A unit goes if
none of its weights is left or leads on, so that a hundredth of the weights may need nearly all
units. Networks without effective weights have collapsed: they are constant.
"""

import io
import time
import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sklearn_tickets import (
    BasePruner,
    LayerCollapseWarning,
    MagnitudePruner,
    RandomPruner,
    SynFlowPruner,
)
from sklearn_tickets.export import compact
from sklearn_tickets.models import MLP, VGG, ResNet

NETWORKS = {
    "MLP 4 x 1024": {"module": MLP, "module__hidden": (1024,) * 4, "module__init": "he"},
    "VGG-16, width 0.5": {"module": VGG, "module__width": 0.5},
    "ResNet-20": {"module": ResNet},
}
PRUNERS = {"random": RandomPruner, "magnitude": MagnitudePruner, "SynFlow": SynFlowPruner}
CASES = [
    *(("MLP 4 x 1024", pruner, s) for pruner in PRUNERS for s in (0.9, 0.99, 0.999)),
    *((name, pruner, 0.99) for name in list(NETWORKS)[1:] for pruner in PRUNERS),
]


X, Y = load_digits(return_X_y=True)
IMAGES = (X[:1000] / 16).reshape(-1, 1, 8, 8).astype(np.float32)


def fitted(name: str, pruner: str, sparsity: float) -> BasePruner:
    """A pruner's network on digits, trained for two epochs before (magnitudes) and after."""
    net = NeuralNetClassifier(
        **NETWORKS[name],
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=128,
        max_epochs=2,
        train_split=None,
        verbose=0,
    )
    settings = {"n_rounds": 10} if pruner == "SynFlow" else {}
    unfitted = PRUNERS[pruner](net, sparsity=sparsity, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LayerCollapseWarning)
        return unfitted.fit(IMAGES, Y[:1000])


@torch.no_grad()
def measure(module: nn.Module) -> list[float]:
    """Parameters, kB of a file, MFLOPs of an image, ms of one image and of 256."""
    images = torch.from_numpy(IMAGES)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    with FlopCounterMode(display=False) as counter:
        module(images[:1])
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    numbers = [n_parameters, file.tell() / 1e3, counter.get_total_flops() / 1e6]
    for n_rows, n_runs in ((1, 50), (256, 9)):
        seconds = []
        for _ in range(n_runs):
            began = time.perf_counter()
            module(images[:n_rows])
            seconds.append(time.perf_counter() - began)
        numbers.append(1000 * float(np.median(seconds)))
    return numbers


if __name__ == "__main__":
    print("| network | mask | pruned | effective | parameters | file, kB | MFLOPs |", end="")
    print(" batch 1, ms | batch 256, ms | faster |\n|---|---|---|---|---|---|---|---|---|---|")
    for name, pruner, sparsity in CASES:
        network = fitted(name, pruner, sparsity)
        before = measure(network.estimator_.module_.eval())
        after = measure(compact(network))
        numbers = [f"{a:,.4g} → {b:,.4g}" for a, b in zip(before, after, strict=True)]
        effective = f"{network.rounds_[-1]['n_effective']:,}"
        faster = f"{before[-1] / after[-1]:.1f} x"
        cells = [name, pruner, f"{sparsity:.1%}", effective, *numbers, faster]
        print(f"| {' | '.join(cells)} |", flush=True)
