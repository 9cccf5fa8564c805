"""Refactoring changes no number: masks and weights are, bit for bit, those on record.

``python -m tests.test_digests`` records them anew, in ``digests.json``; a change of results must
be meant. Floating-point sums depend on the processor and on torch's version, so elsewhere than
where they were recorded the digests are not compared.
"""

import hashlib
import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_tickets.datasets import PlantedTicketGenerator
from tests.instances import SETTINGS, instances

RECORD = Path(__file__).with_name("digests.json")
TASKS = "relu", "circle", "helix"
FITS = [f"{cls.__name__} {kind}" for kind in ("classifier", "regressor") for cls in SETTINGS]


def machine():
    """What the last bits of a sum depend on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    cpu = [line for line in lines if "model name" in line] or [": unknown"]
    kernels = torch.backends.cpu.get_cpu_capability()
    return f"{cpu[0].partition(': ')[2]}, {kernels}, {platform.system()}, torch {torch.__version__}"


def digest(*values):
    """A hash of arrays, tensors, masks and dictionaries of them."""
    result = hashlib.sha256()
    for value in values:
        if hasattr(value, "items"):
            for name, part in sorted(value.items()):
                result.update(f"{name} {digest(part)}".encode())
        else:
            result.update(np.ascontiguousarray(value).tobytes())
    return result.hexdigest()[:16]


def pruner_digest(pruner):
    """The digest of a fit on a small problem: mask, weights, output scale and predictions."""
    rng = np.random.RandomState(0)
    X = rng.randn(96, 6).astype("float32")
    y = X[:, 0] * X[:, 1] + 0.1 * rng.randn(96)
    if "Classifier" in type(pruner.estimator).__name__:
        y = (y > 0).astype(int)
    pruner.fit(X, y)
    return digest(
        pruner.mask_,
        pruner.estimator_.module_.state_dict(),
        pruner.initial_state_,
        pruner.output_scale_,
        pruner.predict(X),
        pruner.transform(X),
    )


def planted_digest(task):
    """The digest of a planted problem: data, mask and host."""
    planted = PlantedTicketGenerator(task=task, width=40, random_state=3).generate(500)
    return digest(
        planted.X, planted.y, planted.mask, planted.module().state_dict(), planted.output_scale
    )


def digests():
    """All digests by name."""
    torch.set_num_threads(1)
    pruners = [*instances("classifier"), *instances("regressor")]
    fits = {name: pruner_digest(pruner) for name, pruner in zip(FITS, pruners, strict=True)}
    return {"machine": machine()} | {task: planted_digest(task) for task in TASKS} | fits


@pytest.fixture(scope="module")
def found():
    """The digests of today, where they can be compared."""
    recorded = json.loads(RECORD.read_text())
    if recorded["machine"] != machine():
        pytest.skip(f"digests are of {recorded['machine']}")
    # In a process of its own: other tests may have set torch's number of threads.
    code = "from tests.test_digests import *; print(json.dumps(digests()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["machine", *TASKS, *FITS])
def test_results_are_those_on_record(found, name):
    assert found[name] == json.loads(RECORD.read_text())[name]


if __name__ == "__main__":
    RECORD.write_text(json.dumps(digests(), indent=1) + "\n")
