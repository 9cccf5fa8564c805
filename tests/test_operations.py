"""The names of operations: torch has them, and each kind has a rule."""

import pytest
import torch
from torch.nn import functional

from sklearn_tickets._network._connections import Connections
from sklearn_tickets._network._operations import KINDS, operation_name


def test_torch_has_all_operations_and_each_kind_has_a_rule():
    namespaces = torch, torch.Tensor, functional, torch._C._nn, torch.special
    listed = set(KINDS) - {"get", "special_expit"}  # attributes, and torch.special.expit
    forms = {n: {n, f"{n}_", f"_{n}", f"__{n}__"} for n in listed}
    unheard_of = [n for n in listed if not any(hasattr(s, f) for s in namespaces for f in forms[n])]
    assert not unheard_of
    assert all(callable(getattr(Connections, kind)) for kind in KINDS.values())


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (torch.relu, "relu"),
        (torch.Tensor.relu_, "relu"),
        (torch.Tensor.__add__, "add"),
        (torch.Tensor.__iadd__, "iadd"),
        (functional.batch_norm, "batch_norm"),
        (torch.ops.aten.relu, "relu"),
        (torch.ops.aten.relu.default, "relu"),
        (torch.special.expit, "special_expit"),
    ],
)
def test_names_are_those_of_torch_without_underscores(func, name):
    assert operation_name(func) == name


def test_operations_of_other_libraries_keep_their_full_names():
    assert operation_name(relu) == f"{__name__}.relu"


def relu(x):
    return x


@pytest.mark.parametrize(
    "names",
    [
        "abs absolute",
        "neg negative",
        "pos positive",
        "clamp clip clamp_min clamp_max",
        "sub subtract rsub isub",
        "mul multiply rmul imul",
        "div divide true_divide truediv itruediv",
        "matmul mm bmm mv rmatmul",
        "cat concat concatenate",
        "view reshape ravel flatten",
        "transpose t permute swapaxes swapdims movedim moveaxis",
        "hstack vstack dstack stack",
        "eq ne lt le gt ge not_equal less less_equal greater greater_equal",
    ],
)
def test_names_of_the_same_operation_have_the_same_rule(names):
    first, *others = [KINDS.get(name) for name in names.split()]
    assert first is not None
    assert others == [first] * len(others)
