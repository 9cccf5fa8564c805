"""Network factories."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_tickets.models import MLP, ModuleTemplate


def test_mlp_is_linear_layers_with_relu_between_them():
    net = MLP(2, 1, hidden=(2,))
    with torch.no_grad():
        net.layers[0].weight[:] = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        net.layers[0].bias[:] = torch.tensor([0.0, -1.0])
        net.layers[1].weight[:] = torch.tensor([[1.0, 10.0]])
        net.layers[1].bias[:] = -100
    outputs = net(torch.tensor([[3.0, 9.0], [-3.0, 9.0], [0.5, 9.0]]))
    assert outputs.tolist() == [[-97], [-80], [-99.5]]


@pytest.mark.parametrize(
    ("hidden", "shapes"),
    [
        ((), [(3, 5)]),
        ([7], [(7, 5), (3, 7)]),
        ((7, 6), [(7, 5), (6, 7), (3, 6)]),
    ],
)
def test_mlp_has_the_sizes_asked_for(hidden, shapes):
    net = MLP(5, 3, hidden)
    assert [tuple(layer.weight.shape) for layer in net.layers] == shapes
    assert all(layer.bias is not None for layer in net.layers)
    assert net(torch.zeros(4, 5)).shape == (4, 3)


def test_mlp_flattens_images():
    net, images = MLP(12, 2, hidden=(4,)), torch.rand(5, 3, 2, 2)
    assert torch.equal(net(images), net(images.reshape(5, 12)))


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
