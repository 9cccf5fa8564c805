"""The zoo in short: all modules with one pruner, a few with all; and that its checks catch faults.

`tests/benchmarks/zoo.py` is the long form.
"""

import copy
import inspect
import re
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets.masks import TicketMask
from tests.zoo import ZOO, checks
from tests.zoo.checks import CHECKS, examine, faults
from tests.zoo.fitting import OF_TORCH, PRUNERS, fit

QUICK = [name for name in CHECKS if name != "onnx"]
FEW = ["linear", "TiedAutoencoder", "SqueezedLogit", "six_numbers", "ResidualOfConvolutions", "gru"]
EXPORTED = ["mlp", "SqueezedLogit", "UNet", "gru", "FlatEmbedding"]
# Bases of other layers, several devices, and what torch keeps for old programs.
NOT_FOR_USERS = r"Module|Container|RNNBase|RNNCellBase|DataParallel|SyncBatchNorm|CrossMapLRN2d"
OTHER_FORMS = r"Lazy\w+|\w+Loss(2d)?|FractionalMaxPool3d"

pytestmark = pytest.mark.filterwarnings(f"ignore:{OF_TORCH}")


@pytest.mark.parametrize("name", ZOO)
def test_modules_are_pruned_as_plain_torch_would_or_refused(name):
    assert not faults(examine(ZOO[name], "magnitude", QUICK))


@pytest.mark.parametrize("kind", [kind for kind in PRUNERS if kind != "magnitude"])
@pytest.mark.parametrize("name", FEW)
def test_other_pruners_do_the_same(name, kind):
    assert not faults(examine(ZOO[name], kind, QUICK))


@pytest.mark.parametrize("name", EXPORTED)
def test_onnx_files_compute_the_same(name):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    assert examine(ZOO[name], "magnitude", ["onnx"]) == {"fit": "equal", "onnx": "equal"}


def test_every_layer_of_torch_lives_in_the_zoo():
    met = {type(layer) for case in ZOO.values() for layer in case.module().modules()}
    for name, layer in vars(nn).items():
        if inspect.isclass(layer) and issubclass(layer, nn.Module) and layer not in met:
            assert re.fullmatch(f"{NOT_FOR_USERS}|{OTHER_FORMS}", name), name


# What the checks catch --------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return fit(ZOO["mlp"], "magnitude")


@torch.no_grad()
def train_a_little_more(pruner, monkeypatch):
    pruner.estimator_.module_[0].bias += 0.1


def swap_classes(pruner, monkeypatch):
    pruner.classes_ = pruner.classes_[::-1].copy()


@torch.no_grad()
def revive(pruner, monkeypatch):
    pruner.estimator_.module_[0].weight += 1e-9


def keep_more(pruner, monkeypatch):
    pruner.mask_ = pruner.mask_ | ~pruner.mask_


def call_nothing_effective(pruner, monkeypatch):
    monkeypatch.setattr(TicketMask, "effective", lambda mask, *_: mask & ~mask)
    pruner.rounds_[-1]["n_effective"] = 0


def call_all_effective(pruner, monkeypatch):
    monkeypatch.setattr(TicketMask, "effective", lambda mask, *_: mask)


def drop_an_input(pruner, monkeypatch):
    pruner.input_support_ = pruner.input_support_ & (np.arange(6) != 0)


def call_it_collapsed(pruner, monkeypatch):
    pruner.rounds_[-1]["collapsed"] = True


def compact_another(pruner, monkeypatch):
    monkeypatch.setattr(checks, "compact", lambda _: ZOO["mlp"].module())


def fail_to_compact(pruner, monkeypatch):
    monkeypatch.setattr(checks, "compact", lambda _: nn.Linear(5, 2))


@pytest.mark.parametrize(
    ("fault", "check", "complaint"),
    [
        (train_a_little_more, "training", "0.bias, trained by plain torch: off by 0.1"),
        (swap_classes, "predict", "logits of the predicted classes"),
        (revive, "zeros", "pruned entries of 0.weight in estimator_ are not 0"),
        (keep_more, "zeros", "184 of 184 kept"),
        (call_nothing_effective, "ineffective", "entries of 0.weight matter"),
        (call_all_effective, "ineffective", "another number in rounds_"),
        (call_all_effective, "effective", "do not matter: {'.*weight': "),
        (drop_an_input, "support", "outputs change with the 1 inputs outside"),
        (call_it_collapsed, "collapse", "not constant"),
        (compact_another, "compact", "48 rows: off by"),
        (fail_to_compact, "compact", "RuntimeError: mat1 and mat2"),
    ],
)
def test_the_checks_catch(fitted, monkeypatch, fault, check, complaint):
    pruner = copy.deepcopy(fitted)
    fault(pruner, monkeypatch)
    monkeypatch.setattr(checks, "fit", lambda *_: pruner)
    found = examine(ZOO["mlp"], "magnitude", [check])
    assert re.search(complaint, faults(found)[check])


class Fails(nn.Linear):
    """A layer that fails or warns at a given call of its forward in training."""

    def __init__(self, call, action):
        super().__init__(6, 2)
        self.call, self.action, self.n_calls = call, action, 0

    def forward(self, x):
        self.n_calls += self.training
        if self.training and self.n_calls == self.call:
            self.action()
        return super().forward(x)


def refuse(message):
    raise ValueError(message)


@pytest.mark.parametrize(
    ("call", "action", "outcome"),
    [
        (1, partial(refuse, "Fails is not supported"), "refused: Fails is not supported"),
        (1, partial(refuse, "something is wrong"), "names neither the module nor a parameter"),
        (2, partial(refuse, "Fails is not supported"), "refused after 1 steps of training"),
        (1, partial(int, []), "TypeError"),
        (1, partial(warnings.warn, "strange"), "UserWarning: strange"),
    ],
)
def test_fits_are_refused_in_time_and_by_name(call, action, outcome):
    case = replace(ZOO["linear"], module=partial(Fails, call, action))
    assert outcome in examine(case, "SNIP", [])["fit"]


def test_mistakes_have_to_be_refused():
    case = replace(ZOO["linear"], mistake=True)
    assert examine(case, "SNIP", []) == {"fit": "fitted, though no result is right"}
