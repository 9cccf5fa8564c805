"""The benefit of exporting a pruned network: size, operations and latency on one core.

``OMP_NUM_THREADS=1 python tests/benchmarks/export.py`` (two minutes) prints a Markdown table of the
masked network, the results of `compact` and of `to_sparse` (if it finds layers with few weights),
and the file of `to_onnx` in ONNX Runtime. The factor after each number is the masked network's
number divided by it. Latencies are medians of runs taken in turns. Masks are unstructured;
networks without effective weights have collapsed and are constant.
"""

import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from _common import print_header, print_row
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sklearn_tickets.export import SparseLinear, compact, to_onnx, to_sparse
from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.models import MLP, VGG, ResNet
from sklearn_tickets.pruners import MagnitudePruner, RandomPruner, SynFlowPruner
from sklearn_tickets.pruners.base import BasePruner

NETWORKS = {
    "MLP 4 x 1024": {"module": MLP, "module__hidden": (1024,) * 4, "module__init": "he"},
    "VGG-16, width 0.5": {"module": VGG, "module__width": 0.5},
    "ResNet-20": {"module": ResNet},
}
PRUNERS = {"random": RandomPruner, "magnitude": MagnitudePruner, "SynFlow": SynFlowPruner}
CASES = [
    *(("MLP 4 x 1024", pruner, sparsity) for pruner in PRUNERS for sparsity in (0.9, 0.99)),
    *((name, pruner, 0.99) for name in list(NETWORKS)[1:] for pruner in PRUNERS),
]
# The number of runs by the number of images in each.
RUNS = {1: 50, 256: 9}

X, Y = load_digits(return_X_y=True)
IMAGES = (X[:1000] / 16).reshape(-1, 1, 8, 8).astype(np.float32)


def fit(name: str, pruner: str, sparsity: float) -> BasePruner:
    """Fit a pruner on digits, with two epochs of training for the ticket."""
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


def measure_size(module: nn.Module) -> list[float]:
    """Count the parameters, the kB of a file, and the MFLOPs for one image."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    with FlopCounterMode(display=False) as counter:
        module(torch.from_numpy(IMAGES[:1]))
    sparse = [layer for layer in module.modules() if isinstance(layer, SparseLinear)]
    n_flops = counter.get_total_flops() + sum(2 * len(layer.values) for layer in sparse)
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    return [n_parameters, file.tell() / 1e3, n_flops / 1e6]


def load_onnx(network: BasePruner) -> tuple[float, Callable[[torch.Tensor], object]]:
    """Return the kB of a network's ONNX file, and a function that runs it on torch's threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        to_onnx(network, path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return os.path.getsize(path) / 1e3, lambda X: session.run(None, {"X": X.numpy()})


def measure_latency(forms: dict[str, Callable[[torch.Tensor], object]]) -> dict[str, list[float]]:
    """Measure the median ms of each form, for each number of images in `RUNS`."""
    medians: dict[str, list[float]] = {form: [] for form in forms}
    for n_images, n_runs in RUNS.items():
        images = torch.from_numpy(IMAGES[:n_images])
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        for _ in range(n_runs):
            for form, compute in forms.items():
                began = time.perf_counter()
                compute(images)
                seconds[form].append(time.perf_counter() - began)
        for form, runs in seconds.items():
            medians[form].append(1000 * float(np.median(runs)))
    return medians


@torch.no_grad()
def measure(network: BasePruner) -> dict[str, list[float]]:
    """Measure the numbers of a table row, for each form of a network."""
    small, sparse = compact(network), to_sparse(network)
    forms = {"masked": network.estimator_.module_.eval(), "compact": small}
    if any(isinstance(layer, SparseLinear) for layer in sparse.modules()):
        forms["sparse"] = sparse
    numbers = {form: measure_size(module) for form, module in forms.items()}
    if HAS_ONNX:
        n_parameters, _, n_flops = numbers["compact"]
        size, forms["ONNX"] = load_onnx(network)
        numbers["ONNX"] = [n_parameters, size, n_flops]
    return {form: numbers[form] + times for form, times in measure_latency(forms).items()}


HAS_ONNX = all(map(find_spec, ("onnx", "onnxscript", "onnxruntime")))

if __name__ == "__main__":
    if not HAS_ONNX:
        print("No rows for ONNX Runtime: onnx, onnxscript or onnxruntime is not installed.\n")
    names = "network, mask", "form", "parameters", "file, kB", "MFLOPs"
    print_header(*names, *(f"batch {n}, ms" for n in RUNS))
    for name, pruner, sparsity in CASES:
        numbers = measure(fit(name, pruner, sparsity))
        for form, row in numbers.items():
            case = f"{name}, {pruner} {sparsity:.0%}" if form == "masked" else ""
            cells = []
            for value, before in zip(row, numbers["masked"], strict=True):
                number = f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
                times = "" if form == "masked" else f" ({before / value:.3g} x)"
                cells.append(number + times)
            print_row(case, form, *cells)
