"""What a GPU brings, as one Markdown table with the card's name.

``bash tests/benchmarks/gpu.sh`` installs what is missing, runs the tests for a GPU, then this. The
table goes to ``$OUT/gpu.md`` if the variable OUT is set, else to the standard output, row by row,
so that an interrupted run leaves what it has measured. ``--device cpu --quick`` runs the same at
toy size, to see that it works. No section begins once ``--seconds`` are over.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import make_classifier, prepare_worker, spread
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import VGG
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner

HEAD = "what | ours | peer | peer : ours (min - max) | goal"
# The numbers of turns, epochs, rows, candidates, images, and millions of weights.
FULL = {
    "turns": 3,
    "epochs": 5,
    "rows": 3000,
    "candidates": (16, 256),
    "images": 2048,
    "width": 1.0,
    "millions": 100,
}
QUICK = {
    "turns": 1,
    "epochs": 1,
    "rows": 90,
    "candidates": (2, 4),
    "images": 20,
    "width": 0.05,
    "millions": 1,
}


def seconds(function: Callable[[], Any], device: str) -> float:
    """Measure the time until a device has done all that a function asked of it."""
    began = time.perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def row(what: str, ours: list[float], theirs: list[float], goal: str) -> str:
    """Format a row: medians, and the ratios of turns."""
    ratios = spread(np.array(theirs) / np.array(ours))
    return f"{what} | {np.median(ours):.4g} s | {np.median(theirs):.4g} s | {ratios} | {goal}"


def take_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], device: str, n_turns: int
) -> tuple[list[float], list[float]]:
    """Measure two functions in turns, after a first call of each that loads code."""
    seconds(ours, device), seconds(theirs, device)
    turns = [(seconds(ours, device), seconds(theirs, device)) for _ in range(n_turns)]
    own, peer = zip(*turns, strict=True)
    return list(own), list(peer)


def plain_loop(
    module: nn.Module,
    mask: TicketMask,
    optimizer: torch.optim.Optimizer,
    data: tuple[torch.Tensor, torch.Tensor],
    batch_size: int,
    n_epochs: int,
) -> None:
    """Train in a hand-written loop that applies a mask after every step."""
    X, y = data
    criterion = nn.CrossEntropyLoss()
    held = [module.get_parameter(name) for name in mask]
    factors = [mask[name].to(weight) for name, weight in zip(mask, held, strict=True)]
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).to(X.device).split(batch_size):
            optimizer.zero_grad()
            loss = criterion(module(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                torch._foreach_mul_(held, factors)
            loss.item()


def single_fit(device: str, size: dict[str, Any]) -> Iterator[str]:
    """Fit one small network beside a plain loop."""
    planted = PlantedTicketGenerator(random_state=0).generate(size["rows"])
    net = planted.make_net(max_epochs=size["epochs"], device=device)
    pruner = GivenMaskPruner(net, planted.mask, random_state=0)
    data = tuple(torch.from_numpy(values).to(device) for values in (planted.X, planted.y))

    def loop() -> None:
        module = planted.module().to(device)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
        plain_loop(module, planted.mask, optimizer, data, 32, size["epochs"])

    turns = take_turns(lambda: pruner.fit(planted.X, planted.y), loop, device, size["turns"])
    what = f"`fit`, {size['rows']} rows, {size['epochs']} epochs; peer: plain loop"
    yield row(what, *turns, ">= 0.77")


def searches(device: str, size: dict[str, Any]) -> Iterator[str]:
    """Search in stacks beside the same networks one by one, of which a few are trained."""
    planted = PlantedTicketGenerator(random_state=0).generate(size["rows"])
    net = planted.make_net(max_epochs=size["epochs"], device=device)
    pruner = MagnitudePruner(net, random_state=0)

    def search(cls: type, n_candidates: int) -> None:
        grid = {"sparsity": np.linspace(0.2, 0.9, n_candidates)}
        cls(pruner, grid, cv=3, refit=False).fit(planted.X, planted.y)

    few = min(4, *size["candidates"])
    for n in size["candidates"]:
        own, peer = take_turns(
            lambda n=n: search(BatchedGridSearchCV, n),
            lambda: search(GridSearchCV, few),
            device,
            1,
        )
        what = f"search of {n} x 3 in stacks; peer: one by one, {few} x 3 times {n // few}"
        yield row(what, own, [each * n / few for each in peer], ">= 30")


def selection(device: str, size: dict[str, Any]) -> Iterator[str]:
    """Select a tenth of very many weights beside ``torch.topk``, which makes no mask."""
    n = size["millions"]
    module = nn.Sequential(*(nn.Linear(1000, 1000, bias=False) for _ in range(n))).to(device)
    mask = TicketMask.ones_like(module)
    scores = {name: weight.detach().abs() for name, weight in module.named_parameters()}
    joined = torch.cat([score.flatten() for score in scores.values()])
    turns = take_turns(
        lambda: mask.shrink(scores, 0.1, rng=0),
        lambda: joined.topk(len(joined) // 10, sorted=False),
        device,
        size["turns"],
    )
    yield row(f"select among {n} M weights; peer: `topk`", *turns, "<= 0.02 s")


def large_training(device: str, size: dict[str, Any]) -> Iterator[str]:
    """Train VGG-16 with a mask beside a plain loop."""
    rng, n_images = np.random.RandomState(0), size["images"]
    X = rng.randn(n_images, 3, 32, 32).astype(np.float32)
    y = np.arange(n_images) % 10
    shape = {"n_channels": 3, "image_size": 32, "n_outputs": 10, "width": size["width"]}
    module = VGG(**shape)
    mask = TicketMask.ones_like(module)
    mask = mask.shrink({name: torch.rand(kept.shape) for name, kept in mask.items()}, 0.1, rng=0)
    net = make_classifier(
        VGG,
        **{f"module__{name}": value for name, value in shape.items()},
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.01,
        batch_size=128,
        max_epochs=size["epochs"],
        device=device,
    )
    pruner = GivenMaskPruner(net, mask, random_state=0)
    data = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)

    def loop() -> None:
        fresh = VGG(**shape).to(device)
        optimizer = torch.optim.SGD(fresh.parameters(), lr=0.01, momentum=0.9)
        plain_loop(fresh, mask, optimizer, data, 128, size["epochs"])

    turns = take_turns(lambda: pruner.fit(X, y), loop, device, size["turns"])
    yield row(f"`fit` of VGG-16, {n_images} images; peer: plain loop", *turns, ">= 0.77")


def main() -> int:
    """Write the table; return how many sections failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="toy sizes")
    parser.add_argument("--seconds", type=float, default=240)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU; --device cpu --quick shows that the script works.")
    prepare_worker()
    began, n_failed = time.perf_counter(), 0
    card = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    folder = os.environ.get("OUT")
    with open(Path(folder, "gpu.md"), "w") if folder else nullcontext(sys.stdout) as table:

        def write(line: str) -> None:
            print(f"| {line} |", file=table, flush=True)

        write(f"{card}, torch {torch.__version__}: {HEAD}")
        write(" | ".join(["---"] * len(HEAD.split(" | "))))
        for section in (selection, single_fit, large_training, searches):
            passed = time.perf_counter() - began
            if passed > given.seconds:
                write(f"{section.__name__}: left out after {passed:.0f} s | | | |")
                continue
            print(f"{passed:.0f} s: {section.__name__}", file=sys.stderr, flush=True)
            try:
                for line in section(given.device, QUICK if given.quick else FULL):
                    write(line)
            except Exception as error:  # the other sections still run
                traceback.print_exc()
                write(f"{section.__name__} failed: {type(error).__name__} | | | |")
                n_failed += 1
    return n_failed


if __name__ == "__main__":
    sys.exit(main())
