"""Every pruner on convolutional networks: pipelines, searches, exact masks, statistics."""

from inspect import signature

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from torch import nn

from sklearn_tickets.models import LeNet5, ResNet
from sklearn_tickets.pruners import EdgePopupPruner, GivenMaskPruner, MagnitudePruner, RandomPruner
from tests.instances import GENERAL, SETTINGS, make_net

DIGITS, LABELS = load_digits(return_X_y=True)
X, Y = DIGITS[:60], LABELS[:60]
IMAGES = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)


def image_net(module, **params):
    return make_net("classifier", module=module, batch_size=32, max_epochs=1, **params)


def quick(pruner_class, net):
    """The pruner at its smallest."""
    least = {"n_rounds": 2, "round_epochs": 1, "mask_epochs": 1, "final_epochs": 1}
    least |= {"population_size": 6, "max_generations": 1, "min_generations": 1, "update_every": 1}
    settings = SETTINGS[pruner_class]
    own = {name: least[name] for name in settings.keys() & least.keys()}
    return pruner_class(net, random_state=0, **settings | own)


@pytest.mark.filterwarnings("ignore:The mask did not move")  # in a single step
@pytest.mark.parametrize("pruner_class", GENERAL)
@pytest.mark.parametrize("module", [LeNet5, ResNet])
def test_pruners_fit_images_in_pipelines_and_searches(module, pruner_class):
    # Scalers keep rows of pixels, from which the size of images cannot be told.
    size = {"module__n_channels": 1, "module__image_size": 8}
    name = pruner_class.__name__.lower()
    is_sized = "sparsity" in signature(pruner_class).parameters
    parameter, values = ("sparsity", [0.5, 0.8]) if is_sized else ("final_epochs", [0, 1])
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), quick(pruner_class, image_net(module, **size))),
        {f"{name}__{parameter}": values},
        cv=ShuffleSplit(1, test_size=0.5, random_state=0),
        error_score="raise",
    ).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pruner = search.best_estimator_[-1]
    sparsity = search.best_params_[f"{name}__{parameter}"] if is_sized else 0
    mask = pruner.mask_
    assert mask.n_kept == round((1 - sparsity) * mask.n_parameters)
    weights = dict(pruner.estimator_.module_.named_parameters())
    assert all(not weights[name].detach()[~kept].any() for name, kept in mask.items())
    assert not any("norm" in name or "bn" in name for name in mask)


@pytest.mark.filterwarnings("ignore:The mask did not move")
@pytest.mark.parametrize("pruner_class", GENERAL)
def test_no_search_damages_batch_statistics(pruner_class):
    pruner = quick(pruner_class, image_net(ResNet)).set_params(train_ticket=False)
    if "rewind_epoch" in pruner.get_params(deep=False):
        pruner.set_params(rewind_epoch=0)
    pruner.fit(IMAGES, Y)
    for name, buffer in pruner.estimator_.module_.named_buffers():
        assert torch.equal(buffer, pruner.initial_state_[name]), name
        assert torch.equal(buffer, torch.full_like(buffer, name.endswith("var"))), name


class Normalized(nn.Module):
    """Batch normalization behind one layer, whose statistics are easily worked out."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3, eps=1e-9)

    def forward(self, X):
        return self.norm(self.layer(X))


@pytest.mark.parametrize("n_samples", [100, 1025])
def test_a_strong_ticket_is_read_with_its_own_statistics(n_samples):
    rng = np.random.RandomState(0)
    X = (rng.standard_normal((n_samples, 2)) * [10, 1] + 5).astype(np.float32)
    y = rng.randint(3, size=n_samples)
    net = make_net("classifier", module=Normalized)
    pruner = RandomPruner(net, sparsity=0.5, train_ticket=False, random_state=0).fit(X, y)
    weight = pruner.initial_state_["layer.weight"] * pruner.mask_["layer.weight"]
    hidden = X.astype(np.float64) @ weight.numpy().T.astype(np.float64)
    statistics = pruner.strong_statistics_
    np.testing.assert_allclose(statistics["norm.running_mean"], hidden.mean(axis=0), rtol=2e-3)
    np.testing.assert_allclose(statistics["norm.running_var"], hidden.var(axis=0), rtol=0.02)
    strong = pruner.strong_output(X)
    live = hidden.std(axis=0) > 0
    np.testing.assert_allclose(strong.mean(axis=0)[live], 0, atol=1e-3)
    np.testing.assert_allclose(strong.std(axis=0)[live], 1, atol=0.01)
    assert pruner.estimator_.module_.norm.momentum == 0.1
    assert torch.equal(pruner.estimator_.module_.norm.running_var, torch.ones(3))


def test_nets_without_batch_normalization_have_no_statistics():
    pruner = MagnitudePruner(image_net(LeNet5), sparsity=0.5, random_state=0).fit(IMAGES, Y)
    assert pruner.strong_statistics_ == {}


def test_strong_tickets_of_normalized_nets_are_worth_reading(monkeypatch):
    net = image_net(ResNet, module__width=0.5)
    images = (DIGITS / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    pruner = EdgePopupPruner(net, sparsity=0.5, mask_epochs=4, random_state=0)
    pruner.fit(images[:600], LABELS[:600])
    test, truth = images[600:900], LABELS[600:900]
    assert np.mean(pruner.strong_predict(test) == truth) > 0.5
    # Initial statistics are those of nothing.
    monkeypatch.setattr(EdgePopupPruner, "strong_statistics_", {})
    assert np.mean(pruner.strong_predict(test) == truth) < 0.3


class TwoHeads(nn.Module):
    """A shared first layer used twice, and two heads side by side."""

    def __init__(self, n_outputs):
        super().__init__()
        self.first, self.norm = nn.Linear(32, 16), nn.BatchNorm1d(16)
        self.left, self.right = nn.Linear(16, n_outputs // 2), nn.Linear(16, n_outputs // 2)

    def forward(self, X):
        upper, lower = X.flatten(1).split(32, dim=1)
        hidden = self.norm(self.first(upper).relu() + self.first(lower).relu())
        return torch.cat([self.left(hidden), self.right(hidden)], dim=1)


@pytest.mark.parametrize("pruner_class", GENERAL)
def test_shared_layers_and_several_heads_are_pruned_like_any_other(pruner_class):
    pruner = quick(pruner_class, image_net(TwoHeads)).fit(IMAGES, Y)
    weights = {name for name in pruner.mask_ if name.endswith("weight")}
    assert weights == {"first.weight", "left.weight", "right.weight"}
    if pruner_class is not GivenMaskPruner:
        assert pruner.mask_.n_kept == pruner.mask_.n_parameters // 2
    assert clone(pruner).fit(IMAGES, Y).mask_ == pruner.mask_


def test_image_sizes_come_from_images_only():
    with pytest.raises(ValueError, match=r"rows of shape \(64,\). Set module__n_channels and"):
        MagnitudePruner(image_net(LeNet5)).fit(X, Y)
