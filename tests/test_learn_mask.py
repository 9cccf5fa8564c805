"""LearnMask: gradients of a gated network, and its validation."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import BatchScoring, Callback, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    HardConcretePruner,
)
from sklearn_tickets.training import (
    FusedSGD,
    Gates,
    Gating,
    Layout,
    LearnMask,
    MaskLearner,
)
from tests.instances import linear_net, make_net, small_data


@pytest.fixture
def data():
    return small_data()


class Linear(Gates):
    """Gates that are their scores, trained by plain gradient descent."""

    def optimizer(self):
        return FusedSGD(self.learned, momentum=0.0)

    def __call__(self, generator=None):
        return Gating(self.scores.clone())


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_those_of_the_gated_network(data, frozen):
    X, y = data[0], data[1].astype(np.float32).reshape(-1, 1)
    net = make_net("regressor", module=ModuleTemplate(MLP(6, 1, hidden=(4,))), batch_size=80)
    net.set_params(optimizer=torch.optim.SGD, lr=1.0, max_epochs=1).initialize()
    before = {name: p.detach().clone() for name, p in net.module_.named_parameters()}
    layout = Layout(TicketMask.ones_like(net.module_), "global")
    gates = Linear(torch.linspace(0.5, 1.5, 28))
    s = gates.scores.clone().requires_grad_()
    w = {name: p.clone().requires_grad_() for name, p in before.items()}
    theta = w | {n: w[n] * g for n, g in layout.split(s).items()}
    torch.nn.functional.mse_loss(
        torch.func.functional_call(net.module_, theta, torch.from_numpy(X)), torch.from_numpy(y)
    ).backward()
    criterion = net.criterion_
    net.callbacks_.append(("mask", LearnMask(MaskLearner(gates, layout, 1.0, 1, frozen=frozen))))
    net.partial_fit(X, y)  # one epoch of one batch
    np.testing.assert_allclose(gates.scores, (s - s.grad).detach(), rtol=1e-4, atol=1e-6)
    for name, p in net.module_.named_parameters():
        expected = before[name] if frozen else before[name] - w[name].grad
        np.testing.assert_allclose(p.detach(), expected, rtol=1e-4, atol=1e-6)
    assert net.criterion_ is criterion


def test_validation_sees_the_gated_network(data):
    closed = Linear(torch.zeros(6))
    net = linear_net([1.0] * 6, max_epochs=1, lr=1e-9).set_params(
        train_split=ValidSplit(2), criterion=nn.MSELoss
    )
    net.initialize()
    layout = Layout(TicketMask.ones_like(net.module_), "global")
    net.callbacks_.append(("mask", LearnMask(MaskLearner(closed, layout, 1e-9, 1, frozen=True))))
    net.partial_fit(data[0], np.ones((80, 1), dtype=np.float32))
    assert net.history[-1]["valid_loss"] == pytest.approx(1, abs=1e-4)
    assert net.module_.weight.tolist() == [[1.0] * 6]


class Pulled(Linear):
    """Gates whose scores have the gradient 1, whatever the loss."""

    def __call__(self, generator=None):
        return Gating(self.scores.clone(), slope=0 * self.scores, pull=torch.ones(6))


@pytest.mark.parametrize("n_steps", [2, 4])
def test_the_rate_of_the_scores_falls_as_a_cosine(n_steps, data):
    net = linear_net([1.0] * 6, max_epochs=n_steps // 2, lr=1e-9).set_params(
        batch_size=40, criterion=nn.MSELoss
    )
    net.initialize()
    gates, layout = Pulled(torch.zeros(6)), Layout(TicketMask.ones_like(net.module_), "global")
    net.callbacks_.append(("mask", LearnMask(MaskLearner(gates, layout, 1.0, 2, frozen=True))))
    net.partial_fit(data[0], np.ones((80, 1), dtype=np.float32))
    expected = -sum((1 + np.cos(np.pi * t / 4)) / 2 for t in range(n_steps))
    np.testing.assert_allclose(gates.scores, [expected] * 6, rtol=1e-6)


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_optimizers_that_evaluate_the_loss_several_times_are_refused(line_search, data):
    net = make_net("classifier", optimizer=torch.optim.LBFGS, max_epochs=2)
    net.set_params(optimizer__line_search_fn=line_search)
    with pytest.raises(ValueError, match="optimizer=LBFGS of estimator evaluates the loss several"):
        ContinuousSparsificationPruner(net).fit(*data)
    # Without gradients of the weights, there is nothing to evaluate again.
    frozen = EdgePopupPruner(net, sparsity=0.5, random_state=0).fit(*data)
    adam = EdgePopupPruner(make_net("classifier", max_epochs=2), sparsity=0.5, random_state=0)
    assert frozen.mask_ == adam.fit(*data).mask_


def test_a_step_without_notice_of_its_gradients_is_refused(data):
    class Accumulating(NeuralNetClassifier):
        def train_step(self, batch, **params):
            return self.train_step_single(batch, **params)

    settings = make_net("classifier", module=MLP(6, 2)).get_params(deep=False)
    net = Accumulating(**settings).initialize()
    layout = Layout(TicketMask.ones_like(net.module_), "global")
    gates = Linear(torch.ones(len(layout.join(dict(net.module_.named_parameters())))))
    net.callbacks_.append(("mask", LearnMask(MaskLearner(gates, layout, 0.1, 1, frozen=True))))
    with pytest.raises(ValueError, match="train_step of estimator=Accumulating did not notify"):
        net.partial_fit(*data)


SCORES = [("classifier", "neg_log_loss"), ("regressor", "neg_mean_squared_error")]


@pytest.mark.parametrize("log_scale", [None, [0.5, -0.5]])
@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
@pytest.mark.parametrize(("kind", "scoring"), SCORES)
def test_callbacks_score_the_gated_network(kind, scoring, on_train, use_caching, log_scale, data):
    X, y = data[0], data[1] if kind == "classifier" else data[0][:, :2]
    net = make_net(kind, module=ModuleTemplate(MLP(6, 2, hidden=(4,))), lr=1e-12, max_epochs=1)
    net.set_params(batch_size=25, train_split=predefined_split(Dataset(X[50:], y[50:])))
    callbacks = [
        EpochScoring(scoring, on_train=on_train, use_caching=use_caching, name="epoch"),
        BatchScoring(scoring, on_train=on_train, use_caching=use_caching, name="batch"),
    ]
    net.set_params(callbacks=callbacks).initialize()
    before = {name: p.detach().clone() for name, p in net.module_.named_parameters()}
    layout = Layout(TicketMask.ones_like(net.module_), "global")
    gates = Linear(torch.linspace(0.5, 1.5, 32))
    if log_scale is not None:
        gates.log_scale = torch.tensor(log_scale, requires_grad=True)
    learn = LearnMask(MaskLearner(gates, layout, 1e-12, 1, frozen=False))
    net.callbacks_.insert(0, ("mask", learn))
    net.partial_fit(X[:50], y[:50])
    theta = before | {n: before[n] * g for n, g in layout.split(gates.scores).items()}
    rows = slice(50) if on_train else slice(50, None)
    output = torch.func.functional_call(net.module_, theta, torch.from_numpy(X[rows]))
    output = (output * torch.tensor(log_scale or [0.0, 0.0]).exp()).detach()
    loss = nn.CrossEntropyLoss() if kind == "classifier" else nn.MSELoss()
    expected = -loss(output, torch.from_numpy(y[rows])).item()
    row = net.history[-1]
    assert [row["epoch"], row["batch"]] == pytest.approx([expected, expected], rel=1e-5)
    assert "infer" not in vars(net)


class Watches(Callback):
    """Predicts, also before the first step, and remembers whether this changed the weights."""

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        net.predict(dataset_valid)

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        before = [p.clone() for p in net.module_.parameters()]
        net.predict(dataset_valid)
        self.stayed = all(map(torch.equal, before, net.module_.parameters()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize(
    "cls", [ContinuousSparsificationPruner, EdgePopupPruner, HardConcretePruner]
)
def test_scores_are_those_of_the_validation_loss(cls, kind, weighted, data):
    scoring = dict(SCORES)[kind]
    callbacks = [
        EpochScoring(scoring, name="cached"),
        EpochScoring(scoring, name="computed", use_caching=False),
        Watches(),
    ]
    (X, y), (X_valid, y_valid) = ((each[:50] for each in data), (each[50:] for each in data))
    split = predefined_split(Dataset(X_valid, y_valid))
    net = make_net(kind, max_epochs=3, callbacks=callbacks, train_split=split)
    pruner = cls(net, mask_lr=0.1, sparsity=0.5, train_ticket=False, random_state=0)
    rounds = pruner.fit(X, y, sample_weight=np.linspace(1, 2, 50) if weighted else None).rounds_
    for row in rounds[0]["history"]:
        assert [row["cached"], row["computed"]] == pytest.approx([-row["valid_loss"]] * 2, rel=1e-5)
    assert dict(pruner.estimator_.callbacks_)["Watches"].stayed


def test_a_binary_net_scores_probabilities(data):
    callbacks = [EpochScoring("neg_log_loss", on_train=True, use_caching=False, name="own")]
    net = NeuralNetBinaryClassifier(
        ModuleTemplate(MLP(6, 1, hidden=(4,))),
        callbacks=callbacks,
        train_split=None,
        max_epochs=2,
        verbose=0,
        lr=1e-12,
        criterion=nn.BCEWithLogitsLoss,
    )
    pruner = EdgePopupPruner(net, mask_lr=1e-9, sparsity=0.5, train_ticket=False, random_state=0)
    [record] = pruner.fit(*data).rounds_
    assert record["history"][-1]["own"] == pytest.approx(-record["train_loss"], rel=1e-5)
