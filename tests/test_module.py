"""Which parameters are prunable, and evaluation mode for a block."""

import pytest
import torch
from torch import nn

from sklearn_tickets._network import (
    evaluating,
    functional_call,
    plain_module,
    prunable_parameters,
)
from sklearn_tickets.models import MLP


class Everything(nn.Module):
    """Layers of every kind; it need not run."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.conv = nn.Conv2d(1, 2, 3)
        self.batch_norm = nn.BatchNorm2d(2)
        self.layer_norm = nn.LayerNorm([2, 3])
        self.group_norm = nn.GroupNorm(1, 2)
        self.prelu = nn.PReLU(4)
        self.head = nn.Linear(3, 2)
        self.offset = nn.Parameter(torch.zeros(2))


def test_weights_of_all_but_normalization_layers_are_prunable():
    assert list(prunable_parameters(Everything())) == [
        "embedding.weight",
        "conv.weight",
        "head.weight",
    ]


def test_biases_are_those_of_layers_with_a_prunable_weight():
    assert list(prunable_parameters(Everything(), prune_bias=True)) == [
        "embedding.weight",
        "conv.weight",
        "conv.bias",
        "head.weight",
        "head.bias",
    ]


def test_the_parameters_themselves_are_listed():
    module = nn.Linear(2, 2)
    assert prunable_parameters(module, prune_bias=True)["bias"] is module.bias


def test_shared_weights_are_listed_once():
    encoder, decoder = nn.Linear(3, 3), nn.Linear(3, 3)
    decoder.weight = encoder.weight
    module = nn.Sequential(encoder, nn.ReLU(), encoder, decoder)
    assert list(prunable_parameters(module, prune_bias=True)) == ["0.weight", "0.bias", "3.bias"]


class Lists(nn.Module):
    """Weights and biases in lists of parameters of their own; it need not run."""

    def __init__(self):
        super().__init__()
        self.ws = nn.ParameterList([torch.zeros(2, 2), torch.zeros(2, 1)])
        self.bs = nn.ParameterList([torch.zeros(2), torch.zeros(1)])
        self.by_name = nn.ParameterDict({"w": torch.zeros(2, 2), "b": torch.zeros(2)})
        self.scales = nn.ModuleList([nn.PReLU(3)])


def test_a_layer_owns_the_parameters_in_its_lists():
    assert list(prunable_parameters(Lists())) == ["ws.0", "ws.1", "by_name.w"]
    with_biases = ["ws.0", "ws.1", "bs.0", "bs.1", "by_name.w", "by_name.b"]
    assert sorted(prunable_parameters(Lists(), prune_bias=True)) == sorted(with_biases)


def test_normalization_layers_own_no_weights_in_lists_either():
    norm = nn.LayerNorm(3)
    norm.more = nn.ParameterList([torch.zeros(2, 2), torch.zeros(2)])
    module = nn.Sequential(norm, nn.Linear(3, 2))
    assert list(prunable_parameters(module, prune_bias=True)) == ["1.weight", "1.bias"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["b[1].weight"], ["b1.weight", "b*.weight"]),
        (["b*.weight"], ["b[1].weight", "b1.weight"]),
        (["b[[]1].weight"], ["b1.weight", "b*.weight"]),
        (["b[0-9].weight"], ["b[1].weight", "b*.weight"]),
        (["b1.*"], ["b[1].weight", "b*.weight"]),
        (["b[1].*"], ["b[1].weight", "b*.weight"]),
    ],
)
def test_names_with_brackets_are_names_before_they_are_patterns(exclude, left):
    module = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("b[1]", "b1", "b*")})
    assert list(prunable_parameters(module, exclude=exclude)) == left


@pytest.mark.parametrize("exclude", ["0.weight", "1.weight", "1.*"])
def test_a_shared_weight_is_excluded_by_any_of_its_names(exclude):
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    module[1].weight = module[0].weight
    assert list(prunable_parameters(module, exclude=[exclude])) == ["2.weight"]


def test_frozen_weights_are_prunable():
    module = nn.Linear(2, 2).requires_grad_(False)
    assert list(prunable_parameters(module)) == ["weight"]


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        ((), ["layers.0.weight", "layers.1.weight", "layers.2.weight"]),
        (["layers.2.*"], ["layers.0.weight", "layers.1.weight"]),
        (("*.0.*", "layers.1.weight"), ["layers.2.weight"]),
        (["*.bias"], ["layers.0.weight", "layers.1.weight", "layers.2.weight"]),
        ((pattern for pattern in ["layers.[01].*"]), ["layers.2.weight"]),
    ],
)
def test_excluded_names_are_left_out(exclude, expected):
    assert list(prunable_parameters(MLP(2, 2, hidden=(3, 3)), exclude=exclude)) == expected


def test_excluding_a_weight_leaves_its_bias_prunable():
    kept = prunable_parameters(nn.Linear(2, 2), prune_bias=True, exclude=["weight"])
    assert list(kept) == ["bias"]


def test_pattern_that_matches_nothing_is_named_with_all_names():
    with pytest.raises(
        ValueError, match=r"exclude='head\.\*' matches no parameter\. .* are: weight, bias\."
    ):
        prunable_parameters(nn.Linear(2, 2), exclude=["head.*"])


@pytest.mark.parametrize(
    ("module", "exclude", "name"),
    [
        (nn.ReLU(), (), "ReLU"),
        (nn.Sequential(nn.BatchNorm1d(3), nn.PReLU()), (), "Sequential"),
        (nn.Linear(2, 2), ("*",), "Linear"),
    ],
)
def test_nothing_to_prune_is_an_error(module, exclude, name):
    with pytest.raises(ValueError, match=f"{name} has no prunable parameters .* left by exclude="):
        prunable_parameters(module, exclude=exclude)


def test_compiled_module_has_the_names_of_the_plain_one():
    module = MLP(2, 2, hidden=(3,))
    compiled = torch.compile(module, backend="eager")
    assert plain_module(compiled) is module
    assert plain_module(module) is module
    assert list(prunable_parameters(compiled)) == ["layers.0.weight", "layers.1.weight"]


def test_evaluating_puts_every_layer_back_in_its_own_mode():
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2), nn.Linear(2, 2))
    module[1].eval()
    with evaluating(module):
        assert not any(layer.training for layer in module.modules())
    assert [layer.training for layer in module.modules()] == [True, True, False, True]


def test_evaluating_puts_modes_back_after_an_error():
    module = nn.Sequential(nn.Dropout())
    with pytest.raises(KeyError), evaluating(module):
        raise KeyError
    assert module[0].training


def one_layer_twice():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def one_block_twice():
    block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    return nn.ModuleDict({"a": block, "b": nn.Sequential(nn.ReLU(), block)})


def tied():
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    return module


def shared_buffer():
    module = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    module[1].running_mean = module[0].running_mean
    return module


def listed():
    module = nn.Linear(3, 3)
    module.also = nn.ParameterList([module.weight])
    return module


@pytest.mark.parametrize("make", [one_layer_twice, one_block_twice, tied, shared_buffer, listed])
@pytest.mark.parametrize("name", ["first", "last"])
def test_a_call_with_other_tensors_replaces_shared_ones_and_puts_all_back(make, name):
    module = make().eval()
    if isinstance(module, nn.ModuleDict):
        module.forward = lambda x: module["b"](module["a"](x))
    x, before = torch.randn(5, 3), dict(module.state_dict(keep_vars=True))
    names = {id(value): key for key, value in before.items()}
    if name == "first":
        names = {id(value): key for key, value in reversed(before.items())}
    others = {key: before[key].double() + 1 for key in names.values()}
    for _ in range(2):
        output = functional_call(module, others, x.double())
        after = module.state_dict(keep_vars=True)
        assert all(after[key] is value for key, value in before.items())
    with torch.no_grad():
        for key, value in others.items():
            before[key].copy_(value)
    torch.testing.assert_close(output, module.double()(x.double()), rtol=1e-5, atol=1e-5)


def test_a_call_with_some_other_tensors_keeps_the_rest():
    module = nn.Linear(2, 1)
    output = functional_call(module, {"weight": torch.zeros(1, 2)}, torch.ones(3, 2))
    assert torch.equal(output, module.bias.expand(3, 1))
