"""Networks of a million weights and more, beside skorch alone: time, memory, and where it goes.

Run ``OMP_NUM_THREADS=1 python tests/benchmarks/large.py`` for all sections (twenty minutes on one
core), or name them: ``predict fit memory rounds``. Data are 256 generated images of 32 x 32 in ten
classes. Both sides take turns in one process, on one thread, and their processor times are
divided, so that a busy machine slows both. Memory is the peak of a new process, beyond what it
took after a small fit had loaded the code.
"""

import cProfile
import pstats
import re
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from _common import make_classifier, prepare_worker, print_header, print_row, run_sections, spread

from sklearn_tickets.models import MLP, VGG, ResNet
from sklearn_tickets.pruners import (
    IterativeMagnitudePruner,
    RandomPruner,
    SNIPPruner,
)

N_TURNS, BATCH_SIZE = 3, 64
IMAGES = {
    "VGG-16": {"module": VGG},
    "ResNet-18": {"module": ResNet, "module__depth": 18},
}
NETWORKS = {"MLP 4 x 1024": {"module": MLP, "module__hidden": (1024,) * 4}} | IMAGES
PRUNERS = {
    "RandomPruner": RandomPruner,
    "SNIPPruner, n_score_samples=100": partial(SNIPPruner, n_score_samples=100),
}
# Where the time of a fit goes: what is called, and not what it calls.
PARTS = {
    "training": ("_training.py", "run"),
    "scores, selection": ("_scoring.py", "_search"),
    "paths": ("_ticket_mask.py", "trace"),
    "checks of the network": ("_net.py", "check_module"),
    "whole fit": ("_base.py", "fit"),
}


def load(name: str, n_images: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Draw images, flat for a network without convolutions, whose class shows in their mean."""
    rng = np.random.RandomState(0)
    y = np.arange(n_images) % 10
    X = rng.randn(n_images, 3, 32, 32) + y[:, None, None, None] / 5
    return X.reshape(n_images, *([-1] if name.startswith("MLP") else X.shape[1:])).astype("f4"), y


def make_net(name: str, n_epochs: int = 2, **params):
    """Make a net that is trained by SGD with momentum; sizes are given, as skorch needs them."""
    sizes = (
        {"module__n_features": 3072}
        if name.startswith("MLP")
        else {"module__n_channels": 3, "module__image_size": 32}
    )
    settings = {
        "module__n_outputs": 10,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "lr": 0.01,
        "batch_size": BATCH_SIZE,
        "max_epochs": n_epochs,
    }
    return make_classifier(**NETWORKS[name] | sizes | settings | params)


def seconds(function) -> float:
    """Measure the processor time of a call."""
    began = time.process_time()
    function()
    return time.process_time() - began


def compare(network: str, contenders: dict, n_turns: int = N_TURNS) -> None:
    """Let functions take turns, and print the ratio of each to the last, which is skorch's."""
    turns = np.array([[seconds(run) for run in contenders.values()] for _ in range(n_turns)])
    *own, peer = np.median(turns, axis=0)
    for i, (what, ours) in enumerate(zip(contenders, own, strict=False)):
        ratio = spread(turns[:, i] / turns[:, -1], ".2f")
        print_row(network, what, f"{ours:.3g}", f"{peer:.3g}", ratio)


def predict() -> None:
    """Compare `predict`."""
    print()
    print_header("network", "predict", "ours, s", "skorch, s", "ours : skorch (min - max)")
    for name in NETWORKS:
        X, y = load(name)
        pruner = RandomPruner(make_net(name, n_epochs=1), sparsity=0.9, random_state=0)
        pruner.fit(X[:64], y[:64])
        for n in (1, 256):
            ours, theirs = (partial(s.predict, X[:n]) for s in (pruner, pruner.estimator_))
            compare(name, {f"{n} rows": ours, "skorch": theirs}, n_turns=9 if n == 1 else 5)


def fit() -> None:
    """Compare the fit of single-shot pruners with skorch's fit of as many epochs."""
    print()
    print_header("network", "fit, 2 epochs", "ours, s", "skorch, s", "ours : skorch (min - max)")
    for name in NETWORKS:
        X, y = load(name)
        sides = {
            label: pruner(make_net(name), sparsity=0.9, random_state=0)
            for label, pruner in PRUNERS.items()
        } | {"skorch": make_net(name)}
        compare(name, {label: partial(side.fit, X, y) for label, side in sides.items()})


def resident(field: str) -> float:
    """Return the megabytes of this process, now (VmRSS) or at the peak (VmHWM)."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


def peak(name: str, label: str) -> float:
    """Return the peak of additional megabytes. Call this in a new process, on Linux."""
    prepare_worker()
    X, y = load(name)
    small = {"module__hidden": (8,)} if name.startswith("MLP") else {"module__width": 0.05}
    RandomPruner(make_net(name, 1, **small), sparsity=0.5, random_state=0).fit(X[:64], y[:64])
    net = make_net(name, n_epochs=1)
    fitted = net if label == "skorch" else PRUNERS[label](net, sparsity=0.9, random_state=0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    fitted.fit(X, y)
    return resident("VmHWM") - before


def memory() -> None:
    """Compare the peaks of memory in a fit."""
    print()
    print_header("network", "peak memory of fit", "ours, MB", "skorch, MB", "ours : skorch")
    for name in NETWORKS:
        peaks = {}
        for label in ("skorch", *PRUNERS):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                peaks[label] = pool.submit(peak, name, label).result()
        theirs = peaks.pop("skorch")
        for label, own in peaks.items():
            print_row(name, label, f"{own:.0f}", f"{theirs:.0f}", f"{own / theirs:.2f}")


def rounds() -> None:
    """Profile iterative magnitude pruning in five rounds of two epochs."""
    print()
    tables = {}
    for name in IMAGES:
        X, y = load(name, 128)
        pruner = IterativeMagnitudePruner(
            make_net(name), sparsity=0.9, n_rounds=5, rewind_epoch=1, random_state=0
        )
        profile = cProfile.Profile(time.process_time)
        profile.runcall(pruner.fit, X, y)
        tables[name] = {
            (Path(file).name, function): spent
            for (file, _, function), (_, _, _, spent, _) in pstats.Stats(profile).stats.items()
            if "sklearn_tickets" in file
        }
    print_header("five rounds of magnitude pruning, s", *(f"{name} (share)" for name in tables))
    for part, key in PARTS.items():
        cells = [(table[key], table[PARTS["whole fit"]]) for table in tables.values()]
        print_row(part, *(f"{spent:.1f} ({spent / whole:.1%})" for spent, whole in cells))


if __name__ == "__main__":
    prepare_worker()
    run_sections(__doc__.splitlines()[0], [predict, fit, memory, rounds])
