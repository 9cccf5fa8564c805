"""Exact selection compared with `torch.nn.utils.prune.global_unstructured`: time and memory.

Both keep the tenth of a network's weights with the largest magnitudes, and everything from the
network to the mask is measured. At 100 million weights only ours is run: torch's would take minutes
and 5 GB.
"""

import re
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from sklearn_tickets.masks import TicketMask


def network(n_millions):
    """Make linear layers of a million weights each."""
    return nn.Sequential(*(nn.Linear(1000, 1000, bias=False) for _ in range(n_millions)))


def ours(module):
    magnitudes = {name: p.detach().abs() for name, p in module.named_parameters()}
    return [*TicketMask.ones_like(module).shrink(magnitudes, 0.1, rng=0).values()]


def torchs(module):
    layers = [(layer, "weight") for layer in module]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=0.9)
    return [layer.weight_mask.bool() for layer in module]


def n_kept(masks):
    return sum(int(kept.sum()) for kept in masks)


def peak(select, n_millions):
    """Return the peak of additional megabytes, and the number of weights kept.

    Call this in a new process, on Linux, where the peak so far can be reset.
    """
    select(network(1))  # loads code
    module = network(n_millions)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    masks = select(module)
    return resident("VmHWM") - before, n_kept(masks)


def resident(field):
    """Return the megabytes of this process, now (VmRSS) or at the peak (VmHWM)."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


def fresh_process(job):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(job).result()


# Memory does not vary between runs, and a new process needs no warm-up.
ONCE = {"n_rounds": 1, "n_warm_ups": 0, "measure": fresh_process}


@pytest.mark.parametrize(("n_millions", "goal"), [(1, ""), (25, ">= 30")])
def test_time(n_millions, goal, compare):
    module = network(n_millions)

    def n_wrong(theirs, own):
        """Count the differences between the masks, apart from ties between equal magnitudes."""
        differing = [
            layer.weight[a != b].abs() for layer, a, b in zip(module, theirs, own, strict=True)
        ]
        return abs(n_kept(theirs) - n_kept(own)) + max(0, len(torch.cat(differing).unique()) - 1)

    compare(
        f"select among {n_millions} M weights; peer: `global_unstructured`",
        lambda: ours(module),
        # It leaves masks in the module, so it gets a copy, which takes a hundredth of its time.
        lambda: torchs(deepcopy(module)),
        n_wrong,
        within=0,
        goal=goal,
        n_rounds=3,
    )


@pytest.mark.parametrize(("n_millions", "goal"), [(1, ""), (25, ">= 8")])
def test_memory(n_millions, goal, compare):
    compare(
        f"memory to select among {n_millions} M weights; peer: `global_unstructured`",
        partial(peak, ours, n_millions),
        partial(peak, torchs, n_millions),
        lambda theirs, own: abs(theirs - own),
        within=0,
        goal=goal,
        unit="MB",
        **ONCE,
    )


def test_growth_of_time(grow):
    modules = {n: network(n) for n in (1, 3, 10, 30, 100)}
    jobs = {n: partial(ours, module) for n, module in modules.items()}
    grow("select among n million weights", jobs, per="s per million", n_rounds=3)


def test_growth_of_memory(grow):
    jobs = {n: partial(peak, ours, n) for n in (1, 3, 10, 30, 100)}
    grow("memory to select among n million weights", jobs, per="MB per million", **ONCE)
