"""The net that is trained: made from the user's, and checked against the data."""

from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_tickets.models import MLP, VGG, ModuleTemplate
from sklearn_tickets.pruners import (
    GivenMaskPruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
    SynFlowPruner,
)
from tests.instances import Softmax, assert_refused, make_net, small_data


@pytest.fixture
def data():
    return small_data()


@pytest.mark.parametrize(
    ("settings", "has_log"),
    [
        ({"verbose": 0}, False),
        ({"verbose": 1}, True),
        ({"verbose": 0, "callbacks__print_log__sink": len}, True),
    ],
    ids=["silent", "verbose", "own sink"],
)
def test_silent_nets_make_no_tables(settings, has_log, data, capsys):
    net = make_net("classifier", max_epochs=1, **settings)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    log = dict(pruner.estimator_.callbacks_).get("print_log")
    assert (log is not None) == has_log
    assert bool(capsys.readouterr().out) == bool(settings["verbose"])


def test_a_fitted_net_is_a_misunderstanding(data):
    net = make_net("classifier", module=ModuleTemplate(MLP(6, 2)), max_epochs=1).fit(*data)
    with pytest.warns(UserWarning, match=r"ModuleTemplate\(estimator.module_\)"):
        MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)


class LogSoftmax(MLP):
    def forward(self, X):
        return super().forward(X).log_softmax(dim=1)


class Convolution(nn.Module):
    """A convolution for images of any size."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.convolution = nn.Conv2d(n_channels, n_outputs, 3)

    def forward(self, X):
        return self.convolution(X).mean(dim=(2, 3))


class Head(MLP):
    """A function of the outputs of an MLP."""

    def __init__(self, head, n_features, n_outputs):
        super().__init__(n_features, n_outputs, hidden=(8,))
        self.head = head

    def forward(self, X):
        return self.head(super().forward(X))


class PriorBias(MLP):
    """A last layer that starts with no weights and the logarithms of class probabilities."""

    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs, hidden=(8,))
        last = [layer for layer in self.modules() if isinstance(layer, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        last.bias.data[:] = torch.tensor([0.25, 0.75][-n_outputs:]).log()


def binary(module, **params):
    return NeuralNetBinaryClassifier(module, max_epochs=1, train_split=None, verbose=0, **params)


@pytest.mark.parametrize(
    "head",
    [
        torch.sigmoid,
        nn.Hardsigmoid(),
        nn.LogSigmoid(),
        nn.Hardtanh(0, 1),
        lambda z: z.sigmoid().clamp(1e-7, 1 - 1e-7),
        lambda z: 1 / (1 + (-z / 2).exp()),
        lambda z: (z.tanh() + 1) / 2,
        lambda z: torch.cat([z, -z], dim=1).softmax(dim=1)[:, 1],
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_sigmoid_inside_is_refused(head, seed, data):
    pruner = SNIPPruner(binary(partial(Head, head)), random_state=seed)
    assert_refused(pruner, data, "or sigmoid inside: .* Remove it; modules return logits")


@pytest.mark.parametrize(
    "head",
    [
        lambda z: z.softmax(dim=1),
        lambda z: (z / 5).softmax(dim=1),
        lambda z: z.log_softmax(dim=1),
        lambda z: (z.softmax(dim=1) + 1e-8).log(),
        lambda z: z.exp() / z.exp().sum(dim=1, keepdim=True),
    ],
)
def test_a_softmax_inside_is_refused(head, data):
    net = make_net("classifier", module=partial(Head, head))
    assert_refused(SNIPPruner(net, random_state=0), data, "or softmax inside")


@pytest.mark.parametrize(
    "head",
    [
        nn.Identity(),
        nn.ReLU(),
        nn.Softplus(),
        nn.Tanh(),
        lambda z: z / 1000,
        lambda z: z / 1000 + 0.5,
        lambda z: z * z.sigmoid(),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_outputs_that_only_look_like_probabilities_are_taken(head, seed, data):
    GivenMaskPruner(binary(partial(Head, head)), random_state=seed).fit(*data)


@pytest.mark.parametrize(
    "module",
    [
        PriorBias,
        partial(Head, nn.ReLU()),
        partial(Head, nn.functional.normalize),
        partial(Head, lambda z: nn.functional.normalize(z.relu())),
        partial(Head, lambda z: z.sigmoid().logit()),
    ],
)
def test_logits_that_only_look_like_probabilities_are_taken(module, data):
    GivenMaskPruner(make_net("classifier", module=module, max_epochs=1)).fit(*data)


class Sizes(nn.Module):
    def __init__(self, n_inputs, n_hidden, n_outputs, bias=True):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.Linear(n_hidden, n_outputs))

    def forward(self, X):
        return self.layers(X)


def test_sizes_of_other_names_are_asked_for(data):
    net = make_net("classifier", module=Sizes, max_epochs=1)
    complaint = (
        "requires n_inputs, n_hidden: set module__n_inputs, module__n_hidden of estimator. Only "
        "n_features, n_outputs, n_channels and image_size are inferred"
    )
    assert_refused(SNIPPruner(net), data, complaint)
    GivenMaskPruner(net.set_params(module__n_inputs=6, module__n_hidden=4)).fit(*data)
    GivenMaskPruner(make_net("classifier", module=partial(Sizes, 6, 4), max_epochs=1)).fit(*data)


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (partial(VGG, depth=11, width=0.1), "takes images, but X has rows of shape"),
        (partial(Convolution, 3), "for X with rows of shape"),
        (Convolution, "takes images, but X has rows of shape"),
    ],
)
def test_images_with_channels_last_are_recognized(module, complaint):
    X = np.random.RandomState(0).rand(20, 16, 16, 3)
    pruner = RandomPruner(make_net("classifier", module=module, max_epochs=1))
    hint = r".* \(16, 16, 3\).*channels come first: pass X.transpose\(0, 3, 1, 2\)"
    y = np.arange(20) % 2
    assert_refused(pruner, (X, y), complaint + hint)
    pruner.fit(X.transpose(0, 3, 1, 2), y)


def test_the_size_of_an_image_that_is_no_square_is_asked_for():
    X, y = np.random.RandomState(0).rand(20, 1, 6, 8), np.arange(20) % 2
    pruner = RandomPruner(make_net("classifier", module=partial(VGG, depth=11, width=0.1)))
    complaint = r"images, but X has rows of shape \(1, 6, 8\). Set .*module__image_size"
    assert_refused(pruner, (X, y), complaint)


class TwoTensors(MLP):
    def forward(self, X):
        return super().forward(X), X


class FlatOutput(MLP):
    def forward(self, X):
        return super().forward(X)[:, :1]


@pytest.mark.parametrize(
    ("make_pruner", "complaint"),
    [
        (
            lambda: MagnitudePruner(NeuralNetClassifier(MLP(6, 2), criterion=nn.CrossEntropyLoss)),
            r"instance of MLP.*ModuleTemplate\(module\)",
        ),
        (lambda: MagnitudePruner(NeuralNetClassifier(MLP)), "criterion is NLLLoss"),
        (lambda: SNIPPruner(make_net("classifier", module=Softmax)), "softmax inside"),
        (lambda: SynFlowPruner(make_net("classifier", module=LogSoftmax)), "log_softmax"),
        (
            lambda: MagnitudePruner(make_net("classifier", module=TwoTensors)),
            "does not return a single tensor",
        ),
        (
            lambda: MagnitudePruner(NeuralNetBinaryClassifier(MLP, criterion=nn.BCELoss)),
            "BCEWithLogitsLoss",
        ),
        (
            lambda: MagnitudePruner(NeuralNetBinaryClassifier(MLP, threshold=2)),
            "threshold=2, which must be a probability",
        ),
        (lambda: MagnitudePruner(make_net("classifier", module=FlatOutput)), r"\(n_samples, 1\)"),
        (
            lambda: MagnitudePruner(make_net("classifier", module__n_features=5)),
            r"for X with rows of shape \(6,\)",
        ),
    ],
)
def test_nets_that_do_not_fit_are_refused(make_pruner, complaint, data):
    assert_refused(make_pruner(), data, complaint)
