"""Targets as the loss takes them: the shape of the outputs, and the numbers of the classes."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.callback import ScoringMonitor
from sklearn.datasets import make_regression
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn

from sklearn_tickets.inspection import linear_mode_connectivity, ticket_report
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    GeneticPruner,
    GivenMaskPruner,
    SNIPPruner,
)
from tests.instances import (
    GENERAL,
    assert_refused,
    instances,
    make_net,
    multilabel_data,
    multilabel_net,
    small_data,
)


class Flat(MLP):
    """A single output without an axis of its own."""

    def forward(self, X):
        return super().forward(X).squeeze(-1)


class SqueezedMSE(nn.Module):
    """A loss that expects a column of outputs and a vector of targets."""

    def forward(self, output, y):
        return ((output.squeeze(-1) - y) ** 2).mean()


class ColumnMSE(nn.MSELoss):
    """A loss that expects a vector of outputs and a column of targets."""

    def forward(self, output, y):
        return super().forward(output[:, None], y)


class LogCosh(nn.Module):
    def forward(self, output, y):
        return torch.log(torch.cosh(output - y)).mean()


class UnitVariance(nn.GaussianNLLLoss):
    def forward(self, output, y):
        return super().forward(output, y, torch.ones_like(output))


class Concordance(nn.Module):
    """A loss of all rows together."""

    def forward(self, output, y):
        return ((output - output.mean()) - (y - y.mean())).square().mean()


class Ranking(nn.Module):
    """A loss of pairs of rows."""

    def forward(self, output, y):
        output, y = output.flatten(), y.flatten()
        return ((output[:, None] - output) - (y[:, None] - y)).square().mean()


LOSSES = [
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.PoissonNLLLoss,
    UnitVariance,
    LogCosh,
    Concordance,
    Ranking,
]


def regression():
    X, y = make_regression(n_samples=60, n_features=5, random_state=0)
    return X.astype(np.float32), (y / y.std()).astype(np.float32)


def settings(module, criterion, **params):
    return {
        "module": module,
        "module__n_features": 5,
        "module__n_outputs": 1,
        "criterion": criterion,
        "max_epochs": 3,
        "lr": 0.02,
        "iterator_train__shuffle": False,
    } | params


def by_skorch(net, X, y):
    """What skorch alone learns from targets of this shape."""
    torch.manual_seed(0)
    net.initialize()
    start = {name: value.clone() for name, value in net.module_.state_dict().items()}
    net.partial_fit(X, y)
    return start, net.predict(X).ravel()


@pytest.mark.parametrize("criterion", LOSSES)
@pytest.mark.parametrize("module", [MLP, Flat])
def test_a_single_target_has_the_shape_of_the_output(module, criterion):
    X, y = regression()
    net = make_net("regressor", **settings(module, criterion))
    start, expected = by_skorch(net, X, y if module is Flat else y[:, None])
    pruner = GivenMaskPruner(
        make_net("regressor", **settings(lambda **sizes: _at(module(**sizes), start), criterion))
    )
    np.testing.assert_allclose(pruner.fit(X, y).predict(X), expected, rtol=1e-5, atol=1e-5)


def _at(module, state):
    module.load_state_dict(state)
    return module


@pytest.mark.parametrize(
    ("module", "criterion", "axis"), [(MLP, SqueezedMSE, ()), (Flat, ColumnMSE, (1,))]
)
def test_a_loss_that_changes_the_axes_of_outputs_gets_what_it_expects(module, criterion, axis):
    X, y = regression()
    net = make_net("regressor", **settings(module, criterion))
    start, expected = by_skorch(net, X, y.reshape(-1, *axis))
    net = make_net("regressor", **settings(lambda **sizes: _at(module(**sizes), start), criterion))
    np.testing.assert_allclose(
        GivenMaskPruner(net).fit(X, y).predict(X), expected, rtol=1e-5, atol=1e-5
    )


def test_a_loss_is_called_in_training_only():
    class Counts(nn.MSELoss):
        n_calls = 0

        def forward(self, outputs, targets):
            self.n_calls += 1
            return super().forward(outputs, targets)

    X, y = regression()
    net = make_net("regressor", criterion=Counts, batch_size=20, max_epochs=2)
    pruner = GivenMaskPruner(net).fit(X, y)
    assert pruner.estimator_.criterion_.n_calls == 3 * 2


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize(
    "pruner_class", [SNIPPruner, BernoulliGatePruner, ConcreteTicketPruner, GeneticPruner]
)
def test_searches_pair_outputs_with_their_targets(pruner_class, column):
    """The same mask for both shapes of the same network."""
    X, y = regression()
    small = {"population_size": 6, "min_generations": 1, "max_generations": 2}
    masks = []
    for module in (MLP, Flat):
        net = make_net("regressor", **settings(module, nn.MSELoss))
        pruner = pruner_class(net, random_state=0, sparsity=0.5)
        if pruner_class is GeneticPruner:
            pruner.set_params(**small)
        masks.append(pruner.fit(X, y[:, None] if column else y).mask_)
    assert masks[0] == masks[1]


@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss, nn.SoftMarginLoss])
def test_a_single_logit_may_lack_its_axis(criterion):
    X, y = small_data()
    losses = []
    for module in (MLP, Flat):
        net = NeuralNetBinaryClassifier(
            module, criterion=criterion, max_epochs=3, train_split=None, verbose=0
        )
        fitted = SNIPPruner(net, random_state=0).fit(X, y)
        losses.append(fitted.estimator_.history[:, "train_loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("net", "complaint"),
    [
        (
            NeuralNetClassifier(MLP, criterion=nn.MSELoss),
            r"MSELoss fails on outputs of shape \(n_samples, 2\) with targets of shape "
            r"\(n_samples,\) and type int64",
        ),
        (
            NeuralNetClassifier(MLP, criterion=nn.BCEWithLogitsLoss),
            r"indicator matrix .* y of shape \(80,\) is none.*CrossEntropyLoss",
        ),
        (NeuralNetClassifier(MLP, criterion=nn.L1Loss), "L1Loss fails on"),
        (NeuralNetClassifier(MLP, criterion=nn.GaussianNLLLoss), "GaussianNLLLoss fails on"),
        (
            NeuralNetClassifier(
                MLP, criterion=nn.CrossEntropyLoss, criterion__weight=torch.ones(3)
            ),
            "CrossEntropyLoss fails on",
        ),
        (NeuralNetRegressor(MLP, criterion=nn.CosineEmbeddingLoss), "CosineEmbeddingLoss fails on"),
    ],
)
def test_losses_that_do_not_take_the_targets_are_refused(net, complaint):
    net.set_params(train_split=None, verbose=0, batch_size=2)
    assert_refused(SNIPPruner(net), small_data(), complaint)


class Sigmoid(MLP):
    def forward(self, X):
        return super().forward(X).sigmoid()


class Images(MLP):
    def forward(self, X):
        return super().forward(X)[:, :, None]


class Rows(MLP):
    def forward(self, X):
        return super().forward(X).flatten()


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (Images, r"shape \(n_samples, 1, 1\), and y has shape \(60,\). End .* flatten\(1\)"),
        (Rows, r"shape \(16,\) for 8 rows. The first axis must be that of the rows"),
    ],
)
def test_outputs_of_other_axes_are_refused(module, complaint):
    X, y = regression()
    y = np.stack([y, -y], axis=1) if module is Rows else y
    assert_refused(SNIPPruner(make_net("regressor", module=module)), (X, y), complaint)


def test_one_class_is_named_as_it_was_given():
    X, _ = small_data()
    for label, shown in [(0.0, "0.0"), (3, "3"), ("cat", "'cat'"), (True, "True")]:
        y = np.full(len(X), label)
        assert_refused(SNIPPruner(make_net("classifier")), (X, y), f"only one class: {shown}$")


def test_callbacks_of_the_fit_see_labels():
    X, y = small_data()
    labels = np.array(["no", "yes"])[y]
    monitor = ScoringMonitor(scoring="accuracy")
    pruner = SNIPPruner(make_net("classifier", max_epochs=3), sparsity=0.5, random_state=0)
    pruner.set_callbacks(monitor).fit(X, labels)
    [score] = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert score == pruner.score(X, labels) > 0.6


# Several labels in a row ----------------------------------------------------------------


@pytest.mark.parametrize(
    "pruner",
    [pruner for pruner in instances("classifier") if type(pruner) in GENERAL],
    ids=lambda pruner: type(pruner).__name__,
)
def test_every_pruner_learns_several_labels(pruner):
    X, y = multilabel_data()
    pruner.set_params(estimator=multilabel_net(max_epochs=4)).fit(X, y)
    predicted = pruner.predict(X)
    assert predicted.dtype == y.dtype
    assert set(np.unique(predicted)) <= {0, 1}
    assert pruner.classes_.tolist() == [0, 1, 2, 3]
    assert pruner.score(X, y) == np.mean((predicted == y).all(axis=1))
    # Strong tickets of networks as small as this are poor.
    assert np.mean(predicted == y) > (0.6 if pruner.train_ticket else 0.45)


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist,
        list,
        sparse.csr_matrix,
        sparse.coo_array,
        lambda y: y.astype(bool),
        lambda y: y.astype(np.float32),
    ],
)
def test_indicators_of_any_kind_are_taken(convert):
    X, y = multilabel_data()
    pruner = SNIPPruner(multilabel_net(max_epochs=2), random_state=0, n_score_samples=20)
    expected = pruner.fit(X, y).predict(X)
    np.testing.assert_array_equal(pruner.fit(X, convert(y)).predict(X), expected)


def test_targets_of_a_regression_may_be_sparse():
    X, _ = small_data()
    pruner = SNIPPruner(make_net("regressor", max_epochs=1), random_state=0)
    expected = pruner.fit(X, X[:, :2]).predict(X)
    np.testing.assert_array_equal(pruner.fit(X, sparse.csr_array(X[:, :2])).predict(X), expected)


def test_labels_are_validated_as_they_are_trained():
    X, y = multilabel_data()
    given = [(X, y), (X, sparse.csr_array(y)), (sparse.csr_array(X), sparse.csr_matrix(y))]
    splits = [predefined_split(Dataset(inputs[:40], labels[:40])) for inputs, labels in given]
    for split in (ValidSplit(3), *splits):
        pruner = SNIPPruner(multilabel_net(max_epochs=4, train_split=split), random_state=0)
        history = pruner.fit(X, y).estimator_.history
        assert history[-1, "valid_loss"] < history[0, "valid_loss"]
        if split in splits:
            assert history[-1, "valid_acc"] == pruner.score(X[:40], y[:40])


def test_analyses_take_sparse_indicators():
    X, y = multilabel_data()
    pruner = SNIPPruner(multilabel_net(max_epochs=2), random_state=0).fit(X, y)
    reports, lines = [], []
    for labels in (y, sparse.csr_array(y)):
        data = X, labels
        reports.append(
            ticket_report(pruner, *data, X_test=X, y_test=labels, n_controls=1, random_state=0)
        )
        lines.append(linear_mode_connectivity(pruner, pruner, *data).errors.tolist())
    pd.testing.assert_frame_equal(*reports)
    assert lines[0] == lines[1]


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.MSELoss, nn.MultiMarginLoss])
def test_several_labels_need_the_loss_of_single_logits(criterion):
    complaint = (
        rf"y of shape \(100, 4\) has several labels .* NeuralNetClassifier with criterion "
        rf"{criterion.__name__} does not take.*BCEWithLogitsLoss"
    )
    net = make_net("classifier", criterion=criterion)
    assert_refused(SNIPPruner(net), multilabel_data(), complaint)


def test_a_binary_net_has_no_several_labels():
    net = NeuralNetBinaryClassifier(MLP, train_split=None, verbose=0)
    complaint = "NeuralNetBinaryClassifier with criterion BCEWithLogitsLoss does not take"
    assert_refused(SNIPPruner(net), multilabel_data(), complaint)


@pytest.mark.parametrize(
    ("change", "params", "complaint"),
    [
        (lambda y: 2 * y - 1, {}, r"zeros and ones .* y of shape \(100, 4\) is none"),
        (lambda y: y[:, 0], {}, r"y of shape \(100,\) is none.*CrossEntropyLoss"),
        (lambda y: y[:, :1], {}, r"y of shape \(100, 1\) is none"),
        (
            lambda y: y,
            {"train_split": ValidSplit(5, stratified=True)},
            r"stratified.*ValidSplit\(5\)",
        ),
        (
            lambda y: y,
            {"module__n_outputs": 3},
            r"y of shape \(100, 4\) and NeuralNetClassifier need",
        ),
        (
            lambda y: y,
            {"train_split": predefined_split(Dataset(np.ones((2, 6)), np.full((2, 4), 2)))},
            "no indicator matrix",
        ),
        (lambda y: y, {"module": Sigmoid}, "has a logsigmoid or sigmoid inside"),
        (lambda y: y, {"predict_nonlinearity": lambda z: (z - 1).sigmoid()}, "changes predictions"),
    ],
)
def test_what_is_no_multilabel_problem_is_refused(change, params, complaint):
    X, y = multilabel_data()
    assert_refused(SNIPPruner(multilabel_net(**params)), (X, change(y)), complaint)
