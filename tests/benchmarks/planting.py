"""Measure the properties of planted tickets, and print them as Markdown tables.

Run ``python tests/benchmarks/planting.py`` for all sections (about ten minutes on one core), or
name them: ``sizes exact hidden trainable speed``.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from sklearn_tickets.datasets import PlantedModule, PlantedTicketGenerator, plant_ticket
from sklearn_tickets.datasets.tasks import TASKS, feed_forward, live_part
from sklearn_tickets.models import MLP

DEPTHS = (3, 4, 5, 6, 10)


def plant(task: str, depth: int, width: int, seed: int) -> PlantedModule:
    """Plant a hidden ticket."""
    generator = PlantedTicketGenerator(task, depth=depth, width=width, random_state=seed)
    return generator.generate(1).module


def masked_outputs(module: PlantedModule, X: np.ndarray, *, mask_bias: bool = True) -> np.ndarray:
    """Compute the outputs of the untrained ticket in float64, times their scale."""
    ticket = module()
    for name, parameter in ticket.named_parameters():
        if mask_bias or name.endswith("weight"):
            parameter.data *= module.ticket[name]
    arrays = [parameter.detach().numpy() for parameter in ticket.parameters()]
    layers = list(zip(arrays[::2], arrays[1::2], strict=True))
    if mask_bias:
        layers = live_part(layers)
    return feed_forward(layers, X) * module.output_scale


def disagreement(outputs: np.ndarray, expected: np.ndarray, kind: str) -> float:
    """Compute the fraction of other classes, or the MSE relative to the output's variance."""
    if kind == "classification":
        return float(np.mean(outputs.argmax(axis=1) != expected.argmax(axis=1)))
    return float((np.mean((outputs - expected) ** 2, axis=0) / expected.var(axis=0)).max())


def relative_sizes(module: PlantedModule) -> tuple[np.ndarray, np.ndarray]:
    """Divide every |weight| by He's deviation of its layer, and say whether it is planted."""
    pairs = [
        (abs(p.detach().numpy()) * np.sqrt(p.shape[1] / 2), module.ticket[name].numpy())
        for name, p in module().named_parameters()
        if p.ndim == 2
    ]
    sizes, planted = zip(*pairs, strict=True)
    return np.concatenate([s.ravel() for s in sizes]), np.concatenate([p.ravel() for p in planted])


def detection_auc(sizes: np.ndarray, planted: np.ndarray) -> float:
    """Compute the area under the ROC curve of the weights' sizes as a detector of planted ones."""
    n_planted = planted.sum()
    excess = rankdata(sizes)[planted].sum() - n_planted * (n_planted + 1) / 2
    return float(excess / n_planted / (len(planted) - n_planted))


def trained_score(task: str, depth: int, width: int, scaling: str, seed: int) -> float:
    """Train the planted ticket alone for 10 epochs; return its quality on noisy test data."""
    generator = PlantedTicketGenerator(
        task, depth=depth, width=width, scaling=scaling, random_state=seed
    )
    planted = generator.generate(19_000)
    module = planted.module(output_scale=True)
    planted.mask.apply_(module)
    kept = {name: planted.mask[name] for name in planted.mask}
    X, y = torch.from_numpy(planted.X), torch.from_numpy(planted.y)
    is_classification = y.dtype == torch.int64
    y = y if is_classification else y.reshape(len(y), -1)
    loss = nn.CrossEntropyLoss() if is_classification else nn.MSELoss()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    shuffling = torch.Generator().manual_seed(seed)
    for _ in range(10):
        for batch in torch.randperm(9000, generator=shuffling).split(32):
            optimizer.zero_grad()
            loss(module(X[batch]), y[batch]).backward()
            optimizer.step()
            for name, parameter in module.named_parameters():
                parameter.data *= kept[name]
    with torch.no_grad():
        outputs = module(X[9000:])
    if is_classification:
        return float((outputs.argmax(dim=1) == y[9000:]).float().mean())
    return float(((outputs - y[9000:]) ** 2).mean())


def print_table(columns: str, rows: Iterator[tuple]) -> None:
    """Print a Markdown table, each row as soon as it is computed."""
    names = columns.split("; ")
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for row in rows:
        print(f"| {' | '.join(f'{v:.4g}' if isinstance(v, float) else str(v) for v in row)} |")


def sizes() -> None:
    """Ticket sizes, and the quality of the constructions on a million points."""

    def rows() -> Iterator[tuple]:
        for task, depth in product(TASKS.values(), DEPTHS):
            layers = task.construct(depth)
            X = task.sample(1_000_000, np.random.RandomState(0))
            y, outputs = task.target(X), feed_forward(layers, X)
            if task.kind == "classification":
                quality = float(np.mean(outputs.argmax(axis=1) == y))
            else:
                quality = float(np.mean((outputs - y.reshape(outputs.shape)) ** 2))
            weights = [int(np.count_nonzero(weight)) for weight, _ in layers]
            biases = [int(np.count_nonzero(bias)) for _, bias in layers]
            yield task.name, depth, weights, sum(weights), biases, sum(biases), quality

    print_table("task; depth; weights; in all; biases; in all; accuracy or MSE", rows())


def exact() -> None:
    """Masked host times output_scale compared with the construction: the worst of 20 seeds."""

    def rows() -> Iterator[tuple]:
        points = {task: task.sample(200_000, np.random.RandomState(1)) for task in TASKS.values()}
        for (task, X), depth in product(points.items(), DEPTHS):
            expected = feed_forward(task.construct(depth), X)
            for width in (50, 100, 300, 1000):
                worst, worst_unmasked_bias = 0.0, 0.0
                for seed in range(20):
                    module = plant(task.name, depth, width, seed)
                    found = disagreement(masked_outputs(module, X), expected, task.kind)
                    worst = max(worst, found)
                    few = masked_outputs(module, X[:1000], mask_bias=False)
                    found = disagreement(few, expected[:1000], task.kind)
                    worst_unmasked_bias = max(worst_unmasked_bias, found)
                yield task.name, depth, width, worst, worst_unmasked_bias

    print_table(
        "task; depth; width; other class or relative MSE; the same with only weights masked", rows()
    )


def hidden() -> None:
    """How well the planted weights are hidden: 20 seeds."""

    def rows() -> Iterator[tuple]:
        settings = (3, 100), (5, 50), (5, 100), (5, 300), (10, 100)
        for task, (depth, width) in product(TASKS, settings):
            aucs, largest, shared = [], [], []
            for seed in range(20):
                sizes, is_planted = relative_sizes(plant(task, depth, width, seed))
                _, counts = np.unique(sizes[is_planted], return_counts=True)
                aucs.append(detection_auc(sizes, is_planted))
                largest.append(float(sizes[is_planted].max()))
                shared.append(float(counts[counts > 1].sum() / is_planted.sum()))
            yield task, depth, width, float(np.median(aucs)), max(aucs), max(largest), max(shared)

    print_table(
        "task; depth; width; AUC, median; AUC, worst; largest, deviations; equal sizes", rows()
    )


def trainable() -> None:
    """Ten epochs from the planted weights: five seeds."""
    settings = [
        *product(TASKS, ((5, 100),), ("trainable", "hidden")),
        *product(("circle", "helix"), ((3, 100), (6, 100), (10, 100)), ("trainable", "hidden")),
        *product(("circle", "helix"), ((5, 50), (5, 300)), ("hidden",)),
    ]

    def rows() -> Iterator[tuple]:
        for task, (depth, width), scaling in settings:
            scores = [trained_score(task, depth, width, scaling, seed) for seed in range(5)]
            listed = ", ".join(f"{score:.3g}" for score in scores)
            yield task, depth, width, scaling, float(np.median(scores)), listed

    print_table("task; depth; width; scaling; accuracy or MSE, median; each seed", rows())


def speed() -> None:
    """Milliseconds, median and minimum of 11 calls."""

    def measure(call: Callable[[], object]) -> tuple[float, float]:
        seconds = []
        for _ in range(11):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return 1e3 * float(np.median(seconds)), 1e3 * min(seconds)

    def rows() -> Iterator[tuple]:
        for task in TASKS.values():
            generator = PlantedTicketGenerator(task.name, random_state=0)
            yield task.name, "generate(100_000)", *measure(lambda g=generator: g.generate(100_000))
            host = MLP(task.n_inputs, task.n_outputs, hidden=(1000, 1000, 1000))
            layers = task.construct(5)
            yield (
                task.name,
                "plant_ticket, width 1000",
                *measure(lambda h=host, t=layers: plant_ticket(t, h, random_state=0)),
            )

    print_table("task; call; median ms; minimum ms", rows())


if __name__ == "__main__":
    sections = {f.__name__: f for f in (sizes, exact, hidden, trainable, speed)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", default=sections, help=" ".join(sections))
    torch.set_num_threads(1)
    for name in parser.parse_args().section:
        print(f"\n## {name}: {sections[name].__doc__}", flush=True)
        sections[name]()
