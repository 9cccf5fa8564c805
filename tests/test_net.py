"""The net that is trained: made from the user's, and checked against the data."""

import pytest
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import MagnitudePruner, SNIPPruner, SynFlowPruner
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
        (lambda: MagnitudePruner(make_net("classifier", module=FlatOutput)), r"\(n_samples, 1\)"),
        (
            lambda: MagnitudePruner(make_net("classifier", module__n_features=5)),
            r"for X with rows of shape \(6,\)",
        ),
    ],
)
def test_nets_that_do_not_fit_are_refused(make_pruner, complaint, data):
    assert_refused(make_pruner(), data, complaint)
