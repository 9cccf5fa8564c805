"""The genetic algorithm: its operators, its fitness, and what it finds where one can tell."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_classification, make_moons, make_regression
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import GeneticPruner
from sklearn_tickets.pruners._genetic import _Genetics
from tests.instances import make_net

QUICK = {"population_size": 10, "min_generations": 3, "max_generations": 5, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(n_samples=80, n_features=6, n_informative=4, random_state=0)
    return X.astype(np.float32), y


def linear_net(weight):
    module = nn.Linear(len(weight), 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([weight]))
    return make_net("regressor", module=ModuleTemplate(module))


# What it finds --------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("sparsity", [0.5, None])
def test_the_weights_that_fit_are_kept_as_they_are(sparsity, scope):
    # y = 6 x1 - 3 x3; the weights of x2 and x4 are of no use, at any factor of the output.
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    y = 6 * X[:, 0] - 3 * X[:, 2]
    net = linear_net([2.0, 5.0, -1.0, 4.0])
    pruner = GeneticPruner(net, sparsity=sparsity, scope=scope, random_state=0)
    pruner.set_params(population_size=10, min_generations=10, max_generations=20).fit(X, y)
    assert pruner.mask_["weight"].tolist() == [[True, False, True, False]]
    assert pruner.estimator_.module_.weight.tolist() == [[2, 0, -1, 0]]
    assert pruner.rounds_[-1]["train_loss"] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(pruner.strong_predict(X), y, rtol=1e-4)


def test_of_equally_good_genomes_the_one_that_keeps_less_survives():
    X = np.random.RandomState(0).randn(50, 3).astype(np.float32)
    X[:, 1:] = 0
    pruner = GeneticPruner(linear_net([2.0, 5.0, 3.0]), sparsity=None, **QUICK)
    assert pruner.fit(X, X[:, 0]).mask_["weight"].tolist() == [[True, False, False]]


def test_moons_are_told_apart_without_training():
    X, y = make_moons(300, noise=0.1, random_state=0)
    net = make_net("classifier", module=MLP, module__hidden=(20,))
    pruner = GeneticPruner(net, sparsity=0.5, population_size=40, random_state=0)
    pruner.set_params(min_generations=50, max_generations=50)
    assert (pruner.fit(X, y).strong_predict(X) == y).mean() > 0.9


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("sparsity", [0.7, 0.97, None])
def test_the_count_is_met_and_no_layer_is_emptied(data, sparsity, scope):
    net = make_net("classifier", module__hidden=(8, 8))
    pruner = GeneticPruner(net, sparsity=sparsity, scope=scope, prune_bias=True, **QUICK)
    mask = pruner.fit(*data).mask_
    assert all(kept.any() for kept in mask.values() if kept.ndim > 1)
    assert list(mask) == [name for name, _ in pruner.estimator_.module_.named_parameters()]
    if sparsity is not None:
        for names in mask.allocation(scope).groups:
            part = TicketMask({name: mask[name] for name in names})
            assert part.n_kept == max(1, round((1 - sparsity) * part.n_parameters))


def test_repeats_itself(data):
    fits = [GeneticPruner(make_net("classifier"), sparsity=0.5, **QUICK) for _ in range(3)]
    first, second, other = (
        pruner.set_params(random_state=seed).fit(*data)
        for pruner, seed in zip(fits, [0, 0, 1], strict=True)
    )
    assert first.mask_ == second.mask_
    assert first.mask_ != other.mask_


# The operators --------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    density=st.none() | st.floats(0.02, 1),
    scope=st.sampled_from(["global", "layer"]),
)
def test_operators_change_what_they_may(seed, density, scope):
    full = TicketMask.ones_like(MLP(3, 2, hidden=(4,)), prune_bias=True)
    genetics = _Genetics(full, density, scope, np.random.RandomState(seed))
    one, other = genetics.random(), genetics.random()
    child, mutant = genetics.child(one, other), genetics.mutant(one)
    if density is not None:
        for part in genetics.layout.groups:
            count = max(1, round(density * len(one[part])))
            assert {genome[part].sum() for genome in (one, other, child, mutant)} == {count}
    assert (child >= (one & other)).all()
    assert (child <= (one | other)).all()
    assert (mutant != one).sum() <= 2
    if density is None or density * len(one) > 2:
        assert all(
            genome[part].any() for part in genetics.layout.weights for genome in (child, mutant)
        )


@pytest.mark.parametrize(("density", "n_changed"), [(None, 1), (0.5, 2)])
def test_a_mutation_is_a_flip_or_a_swap(density, n_changed):
    full = TicketMask({"weight": np.ones((3, 4))})
    genetics = _Genetics(full, density, "global", np.random.RandomState(0))
    genome = genetics.random()
    changes = np.array([genetics.mutant(genome) != genome for _ in range(2000)])
    assert (changes.sum(axis=1) == n_changed).all()
    # Every entry is as likely as any other.
    assert changes.mean(axis=0) == pytest.approx(changes.mean(), rel=0.2)


def test_a_child_takes_half_of_what_its_parents_differ_in():
    full = TicketMask({"weight": np.ones((3, 4))})
    genetics = _Genetics(full, None, "global", np.random.RandomState(0))
    one, other = genetics.random(), genetics.random()
    children = np.mean([genetics.child(one, other) for _ in range(1000)], axis=0)
    assert children == pytest.approx((one.astype(float) + other) / 2, abs=0.08)


# Fitness --------------------------------------------------------------------------------


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        )
        self.dropout = nn.Dropout()
        self.head = nn.Linear(4 * 3 * 3, 3)

    def forward(self, X):
        return self.head(self.dropout(self.features(X).flatten(1)))


def test_a_convolutional_net_is_measured_as_it_predicts():
    images, y = load_digits(n_class=3, return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    pruner = GeneticPruner(make_net("classifier", module=ConvNet), sparsity=0.5, **QUICK)
    predicted = pruner.fit(images, y).strong_predict(images, rescale=False)
    assert pruner.rounds_[-1]["train_loss"] == pytest.approx((predicted != y).mean())
    state = pruner.estimator_.module_.state_dict()
    assert state["features.1.num_batches_tracked"] == 0


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_single_logit_is_measured_by_its_sign(data, scope):
    X, y = data
    net = NeuralNetBinaryClassifier(
        MLP, criterion=nn.BCEWithLogitsLoss, train_split=None, verbose=0
    )
    pruner = GeneticPruner(net, sparsity=0.5, scope=scope, prune_bias=True, **QUICK)
    predicted = pruner.fit(X, np.array(["no", "yes"])[y]).strong_predict(X)
    loss = pruner.rounds_[-1]["train_loss"]
    assert loss == pytest.approx((predicted != np.array(["no", "yes"])[y]).mean())
    assert loss < 0.5


def test_regression_outputs_are_measured_rescaled_batch_by_batch():
    X, y = make_regression(n_samples=1500, n_features=5, n_targets=2, random_state=0)
    pruner = GeneticPruner(make_net("regressor"), sparsity=0.5, **QUICK).fit(X, y)
    assert (pruner.output_scale_ != 1).any()
    mse = np.mean((pruner.strong_predict(X) - y) ** 2)
    assert pruner.rounds_[-1]["train_loss"] == pytest.approx(mse, rel=1e-4)


def test_fitness_can_be_measured_on_fewer_rows(data):
    pruner = GeneticPruner(make_net("classifier"), n_score_samples=7, **QUICK).fit(*data)
    n_wrong = 7 * pruner.rounds_[-1]["train_loss"]
    assert n_wrong == pytest.approx(round(n_wrong))


# Generations ----------------------------------------------------------------------------


class Counting(GeneticPruner):
    def _offspring(self, population, genetics, rng):
        self.n_generations_ = getattr(self, "n_generations_", 0) + 1
        return super()._offspring(population, genetics, rng)


@pytest.mark.parametrize(
    ("least", "patience", "most", "n_generations"),
    # The only two genomes are as good as each other.
    [(2, 3, 9, 3), (6, 3, 9, 6), (2, 30, 9, 9)],
)
def test_it_stops_when_nothing_improves_any_more(least, patience, most, n_generations):
    X = np.ones((10, 2), dtype=np.float32)
    pruner = Counting(linear_net([1.0, 1.0]), sparsity=0.5, population_size=6, random_state=0)
    pruner.set_params(min_generations=least, patience=patience, max_generations=most)
    assert pruner.fit(X, X[:, 0]).n_generations_ == n_generations


def test_its_parameters_can_be_searched(data):
    pruner = GeneticPruner(make_net("classifier", max_epochs=2), train_ticket=True, **QUICK)
    search = GridSearchCV(pruner, {"population_size": [6, 12], "mutate": [0, 0.5]}, cv=2)
    assert search.fit(*data).best_params_.keys() == {"population_size", "mutate"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"population_size": 1}, "population_size"),
        ({"population_size": 4}, r"population_size=4 .* mutate=0.1 .* at least 6"),
        ({"migrate": 0.01}, r"population_size=10 .* migrate=0.01 .* at least 51"),
        ({"recombine": 0, "mutate": 0, "migrate": 0}, "raise one"),
        ({"min_generations": 9, "max_generations": 8}, r"min_generations=9 .* max_generations=8"),
        ({"patience": 0}, "patience"),
        ({"sparsity": 1}, "sparsity"),
    ],
)
def test_what_cannot_be_bred_is_refused(data, params, message):
    pruner = GeneticPruner(make_net("classifier"), **QUICK | params)
    with pytest.raises(ValueError, match=message):
        pruner.fit(*data)
