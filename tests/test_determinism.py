"""The same random_state gives the same results, bit for bit, wherever it runs."""

import hashlib
import subprocess
import sys

import pytest
import torch
from joblib import Parallel, delayed

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import IterativeMagnitudePruner, SNIPPruner

PRUNERS = SNIPPruner, IterativeMagnitudePruner


def fingerprint(pruner_class, seed=0):
    """A hash of a planted problem, and of the ticket found in it and its trained weights."""
    torch.set_num_threads(1)
    planted = PlantedTicketGenerator(width=30, random_state=seed).generate(300)
    pruner = pruner_class(
        planted.make_net(max_epochs=2), sparsity=0.8, prune_bias=True, n_rounds=2, random_state=seed
    ).fit(planted.X, planted.y)
    digest = hashlib.sha256(planted.X.tobytes() + planted.y.tobytes())
    digest.update(planted.mask.to_vector().tobytes() + pruner.mask_.to_vector().tobytes())
    for state in (planted.module().state_dict(), pruner.estimator_.module_.state_dict()):
        for value in state.values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_new_process_gives_the_same():
    code = "from tests.test_determinism import *; print(*map(fingerprint, PRUNERS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [fingerprint(pruner_class) for pruner_class in PRUNERS]


@pytest.mark.parametrize("options", [{"n_jobs": 2}, {"n_jobs": 2, "backend": "threading"}])
def test_workers_and_threads_give_the_same(options):
    tasks = [(pruner, seed) for pruner in PRUNERS for seed in (0, 1)]
    parallel = Parallel(**options)(delayed(fingerprint)(*task) for task in tasks)
    assert parallel == [fingerprint(*task) for task in tasks]
    assert len(set(parallel)) == len(tasks)
