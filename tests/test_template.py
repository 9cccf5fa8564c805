"""`ModuleTemplate`: fresh copies of a module."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn
from torch.nn.utils import prune

from sklearn_tickets.models import ModuleTemplate


def test_template_hands_out_fresh_equal_copies():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    template = ModuleTemplate(module)
    with torch.no_grad():
        pretrained = module[0].weight.clone()
        module[0].weight.zero_()
        template()[0].weight.zero_()
    assert torch.equal(template()[0].weight, pretrained)
    assert template() is not template()


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda t: clone(t, safe=False), lambda t: pickle.loads(pickle.dumps(t))],
)
def test_copied_template_makes_the_same_module(copied):
    template = ModuleTemplate(nn.Linear(2, 2))
    assert torch.equal(copied(template)().weight, template().weight)


def test_training_does_not_reach_the_original():
    module = nn.Linear(2, 1)
    weight = module.weight.detach().clone()
    net = NeuralNetRegressor(
        ModuleTemplate(module), lr=0.1, max_epochs=2, train_split=None, verbose=0
    )
    X = np.ones((10, 2), dtype="float32")
    fits = [net.fit(X, X[:, :1] * 5).module_.weight.detach().clone() for _ in range(2)]
    assert torch.equal(fits[0], fits[1])
    assert not torch.equal(fits[0], weight)
    assert torch.equal(module.weight, weight)
    assert torch.equal(clone(net).initialize().module_.weight, weight)


class Everything(nn.Module):
    """Tensors of many kinds; it need not run."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
        self.convolution = nn.Conv2d(2, 2, 3).to(memory_format=torch.channels_last)
        self.named = nn.ModuleDict({"".join(["r", "nn"]): nn.GRU(2, 3)})
        self.scalar = nn.Parameter(torch.tensor(1.5))
        self.frozen = nn.Parameter(torch.randn(2, 2).bfloat16(), requires_grad=False)
        self.register_buffer("integers", torch.arange(3))
        self.register_buffer("unsaved", torch.ones(2), persistent=False)
        self.register_buffer("nothing", None)
        self.attribute = torch.randn(2, dtype=torch.complex64)
        self.empty, self.transposed = torch.zeros(0, 3), torch.randn(3, 4).T


def test_templates_are_pickled_by_value():
    template = ModuleTemplate(Everything())
    copied = pickle.loads(pickle.dumps(template))
    again = pickle.loads(pickle.dumps(copied))
    assert joblib.hash(template) == joblib.hash(copied) == joblib.hash(again)
    assert joblib.hash(template) != joblib.hash(ModuleTemplate(Everything()))
    before, after = template(), copied()
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name
    for name in ("attribute", "empty", "transposed", "unsaved"):
        assert torch.equal(getattr(before, name), getattr(after, name)), name
    assert after.a.weight is after.b.weight
    assert {n: p.requires_grad for n, p in before.named_parameters()} == {
        n: p.requires_grad for n, p in after.named_parameters()
    }


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(2, 2),
        nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(4, 2)),
        nn.LSTM(2, 3, bidirectional=True),
        nn.TransformerEncoderLayer(4, 2, batch_first=True),
        nn.Embedding(3, 2, padding_idx=0),
        nn.ParameterList([torch.ones(2, 2)]),
    ],
)
def test_equal_templates_have_equal_hashes(module):
    hashes = {joblib.hash(ModuleTemplate(copy.deepcopy(module))) for _ in range(2)}
    hashes |= {joblib.hash(pickle.loads(pickle.dumps(ModuleTemplate(module))))}
    assert len(hashes) == 1
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] += 1
    assert joblib.hash(ModuleTemplate(module)) not in hashes


@pytest.mark.parametrize(
    "module", [nn.Sequential(nn.LazyLinear(2)), nn.Sequential(nn.Linear(2, 2, device="meta"))]
)
def test_modules_without_values_are_refused(module):
    with pytest.raises(ValueError, match=r"parameter '0\.weight' has no values"):
        ModuleTemplate(module)


def test_weights_that_are_computed_from_others_are_refused():
    module = nn.Sequential(nn.Linear(4, 2))
    prune.l1_unstructured(module[0], "weight", 0.5)
    with pytest.raises(ValueError, match=r"layer '0' .* 'weight' .*prune\.remove"):
        ModuleTemplate(module)
    prune.remove(module[0], "weight")
    assert (ModuleTemplate(module)()[0].weight == 0).sum() == 4


def test_a_fitted_net_is_no_module():
    net = NeuralNetClassifier(nn.Linear, module__in_features=2, module__out_features=2)
    with pytest.raises(TypeError, match=r"pass net\.module_"):
        ModuleTemplate(net.initialize())


@pytest.mark.parametrize("module", [nn.Linear, lambda: nn.Linear(2, 2), None])
def test_template_of_anything_but_a_module_is_refused(module):
    with pytest.raises(
        TypeError, match=r"module must be a torch\.nn\.Module instance; got .* pass"
    ):
        ModuleTemplate(module)


def test_template_repr_is_one_line():
    module = nn.Sequential(nn.Linear(99, 10), nn.ReLU(), nn.Linear(10, 1))
    assert repr(ModuleTemplate(module)) == "ModuleTemplate(Sequential, 1,011 parameters)"
