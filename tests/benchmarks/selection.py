"""Exact selection beside `torch.nn.utils.prune.global_unstructured`: time and extra memory.

Run as ``python tests/benchmarks/selection.py`` (two minutes, one thread). Both keep the largest
tenth of the weights of a network, by magnitude; memory is the peak above what was there before,
the magnitudes included, in a process of its own.
"""

import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn.utils import prune

from sklearn_tickets import TicketMask


def network(n_millions: int) -> nn.Sequential:
    """Linear layers of a million weights each."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(1000, 1000, bias=False) for _ in range(n_millions)))


def ours(module: nn.Module, mask: TicketMask) -> None:
    mask.shrink({name: p.detach().abs() for name, p in module.named_parameters()}, 0.1, rng=0)


def torchs(module: nn.Module, mask: TicketMask) -> None:
    layers = [(layer, "weight") for layer in module]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=0.9)


def measure(method: str, n_millions: int) -> None:
    """Print seconds and extra megabytes of one call."""
    torch.set_num_threads(1)
    function = {"ours": ours, "torch": torchs}[method]
    function(network(1), TicketMask.ones_like(network(1)))  # loads code
    module = network(n_millions)
    mask = TicketMask.ones_like(module)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    function(module, mask)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seconds, (peak - before) / 1024)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
        sys.exit()
    print("| weights | method | s (median of 3) | extra MB |\n|---|---|---|---|")
    for n_millions, method in [
        (1, "torch"),
        (1, "ours"),
        (25, "torch"),
        (25, "ours"),
        (100, "ours"),
    ]:
        command = [sys.executable, __file__, method, str(n_millions)]
        runs = [
            list(map(float, subprocess.check_output(command, text=True).split())) for _ in range(3)
        ]
        seconds, memory = map(statistics.median, zip(*runs, strict=True))
        print(f"| {n_millions} M | {method} | {seconds:.2f} | {memory:.0f} |", flush=True)
