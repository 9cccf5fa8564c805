"""Gradients to score by: the rows they are taken on, and what they leave alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    GraSPPruner,
    IterativeMagnitudePruner,
    SNIPPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import BatchLosses, masked_leaves, scoring_sample
from tests.instances import (
    ConvNet,
    linear_net,
    make_net,
    run_of,
    small_data,
    small_images,
    two_layer_net,
)


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.mark.parametrize("pruner_class", [SNIPPruner, GraSPPruner, SynFlowPruner])
def test_scoring_leaves_batch_norm_statistics_as_they_were(pruner_class, images):
    net = make_net("classifier", module=ConvNet)
    pruner = pruner_class(net, random_state=0, n_rounds=2, train_ticket=False).fit(*images)
    state = pruner.estimator_.module_.state_dict()
    for name in ("features.1.running_mean", "features.1.num_batches_tracked"):
        assert torch.equal(state[name], pruner.initial_state_[name])


def test_scoring_samples_are_drawn_from_all_classes_equally():
    y = np.repeat([0, 1, 2], [100, 10, 5])
    X = np.arange(115.0)
    run = run_of(two_layer_net().initialize(), X, y, X / 100)
    _, drawn, _ = scoring_sample(replace(run, classes=np.arange(3)), 12)
    assert np.bincount(drawn).tolist() == [4, 4, 4]
    inputs, _, weights = scoring_sample(run, 12)
    assert weights.tolist() == (inputs / 100).tolist()
    assert len(inputs) == 12
    assert scoring_sample(run, None)[0] is X


@pytest.mark.parametrize("sample_weight", [None, np.linspace(0.5, 1.5, 700)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_of_batches_add_up_to_the_loss_of_all_rows(reduction, sample_weight):
    """The squared errors are 0, 1, 4, ... in two batches of different sizes."""
    errors = np.arange(700, dtype=np.float32)[:, None]
    net = linear_net([1.0], criterion__reduction=reduction).initialize()
    leaves = masked_leaves(net, TicketMask.ones_like(net.module_))
    total = sum(BatchLosses(net, leaves, errors, 0 * errors, sample_weight)).item()
    weights = np.ones(700) if sample_weight is None else sample_weight
    squares = errors[:, 0].astype(float) ** 2
    assert total == pytest.approx((weights * squares).sum() / (700 if reduction == "mean" else 1))


def test_arrays_may_be_read_only():
    """As those of joblib's memory maps and of pandas are."""
    numbers = np.arange(1, 9, dtype=np.float32)
    weights = numbers.astype(np.float64)
    for each in (numbers, weights):
        each.setflags(write=False)
    net = linear_net([1.0], criterion__reduction="sum", max_epochs=1)
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        SNIPPruner(net).fit(numbers[:, None], numbers, sample_weight=weights)
    finally:
        torch.set_warn_always(always)


class Attention(nn.Module):
    """A row is a sequence of numbers; attention's fast kernels are differentiable only once."""

    def __init__(self, n_features, n_outputs, layer):
        super().__init__()
        self.embed, self.layer = nn.Linear(1, 8), layer()
        self.head = nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(self.layer(self.embed(X[:, :, None])).mean(1))


class SelfAttention(nn.Module):
    def __init__(self, is_causal=False):
        super().__init__()
        self.project, self.is_causal = nn.Linear(8, 24), is_causal

    def forward(self, X):
        parts = self.project(X).chunk(3, dim=2)
        return nn.functional.scaled_dot_product_attention(*parts, is_causal=self.is_causal)


class MultiHead(nn.MultiheadAttention):
    def forward(self, X):
        return super().forward(X, X, X, need_weights=False)[0]


@pytest.mark.parametrize(
    "layer",
    [
        SelfAttention,
        partial(SelfAttention, is_causal=True),
        partial(MultiHead, 8, 2, batch_first=True),
        partial(nn.TransformerEncoderLayer, 8, 2, 16, batch_first=True),
        partial(nn.TransformerEncoderLayer, 8, 2, 16, batch_first=True, norm_first=True),
    ],
)
def test_attention_is_differentiated_twice(layer):
    X, y = small_data()
    net = make_net("classifier", module=Attention, module__layer=layer, max_epochs=1)
    pruner = GraSPPruner(net, sparsity=0.5, random_state=0).fit(X, y)
    assert pruner.mask_.sparsity == pytest.approx(0.5, abs=1e-2)


@pytest.mark.parametrize(
    ("criterion", "x_scale", "y_scale"),
    [
        (nn.MSELoss, 1, 1e20),
        (nn.MSELoss, 1, -1e38),
        (nn.MSELoss, 1e25, 1),
        (partial(nn.MSELoss, reduction="sum"), 1e22, 1e15),
        (partial(nn.HuberLoss, delta=1e30), 1, 1e25),
        (partial(nn.SmoothL1Loss, beta=1e30), 1e25, 1),
        (partial(nn.MSELoss, reduction="sum"), 1, 1e19),
    ],
)
@pytest.mark.parametrize("pruner_class", [SNIPPruner, IterativeMagnitudePruner])
def test_values_too_large_for_the_loss_are_refused_before_training(
    criterion, x_scale, y_scale, pruner_class
):
    X, y = small_data()
    net = make_net("regressor", criterion=criterion)
    message = rf"Loss, is inf at the initial weights.*y\| <= {abs(y_scale):.3g}. Scale X with"
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        pruner_class(net, random_state=0).fit(x_scale * np.abs(X), y_scale * y)


@pytest.mark.parametrize("criterion", [nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss])
def test_large_values_are_fine_where_the_loss_is(criterion):
    X, y = small_data()
    net = make_net("regressor", criterion=criterion, max_epochs=1)
    SNIPPruner(net, random_state=0).fit(X, 1e20 * y)


@pytest.mark.parametrize("pruner_class", [SNIPPruner, IterativeMagnitudePruner, EdgePopupPruner])
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_also_where_a_caller_turned_them_off(context, pruner_class):
    X, y = small_data()
    pruner = pruner_class(make_net("classifier", max_epochs=2), sparsity=0.5, random_state=0)
    expected = pruner.fit(X, y)
    with context():
        fitted = clone(pruner).fit(X, y)
        assert not torch.is_grad_enabled()
    assert fitted.mask_ == expected.mask_
    for name, value in expected.estimator_.module_.state_dict().items():
        assert torch.equal(fitted.estimator_.module_.state_dict()[name], value)
