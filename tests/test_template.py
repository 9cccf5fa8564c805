"""`ModuleTemplate`: fresh copies of a module."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetRegressor
from torch import nn

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


@pytest.mark.parametrize("module", [nn.Linear, lambda: nn.Linear(2, 2), None])
def test_template_of_anything_but_a_module_is_refused(module):
    with pytest.raises(
        TypeError, match=r"module must be a torch\.nn\.Module instance; got .* pass"
    ):
        ModuleTemplate(module)


def test_template_repr_is_one_line():
    module = nn.Sequential(nn.Linear(99, 10), nn.ReLU(), nn.Linear(10, 1))
    assert repr(ModuleTemplate(module)) == "ModuleTemplate(Sequential, 1,011 parameters)"
