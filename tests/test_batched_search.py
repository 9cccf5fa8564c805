"""Searches that train candidates together find what scikit-learn's find."""

import gc
import inspect
import logging
import pickle
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import uniform
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV, _stack
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    RigLPruner,
    SNIPPruner,
)

CIRCLE = PlantedTicketGenerator("circle", depth=3, width=20, random_state=0).generate(120)
HELIX = PlantedTicketGenerator("helix", depth=3, width=30, random_state=0).generate(120)
GRID = {"sparsity": [0.2, 0.5], "scope": ["global", "layer"]}


class Noisy(nn.Module):
    """Random while it is trained, where no layer tells."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return nn.functional.dropout(self.layer(X), 0.5, self.training)


class Idle(MLP):
    """Has a parameter that it does not use."""

    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs, hidden=(5,))
        self.idle = nn.Parameter(torch.ones(3))


class Scaled(nn.Module):
    """Networks that look the same, and are not."""

    def __init__(self, n_features, n_outputs, scale=1.0):
        super().__init__()
        self._scale = scale
        self.layers = nn.Sequential(nn.Linear(n_features, 9), nn.Tanh(), nn.Linear(9, n_outputs))

    def forward(self, X):
        return self.layers(self._scale * X)


class Convolutional(nn.Sequential):
    def __init__(self, n_outputs):
        super().__init__(
            *(nn.Unflatten(1, (1, 2)), nn.Conv1d(1, 6, 2), nn.LayerNorm([6, 1]), nn.GELU()),
            *(nn.Flatten(), nn.Linear(6, n_outputs, bias=False)),
        )


class Normalized(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        super().__init__(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, n_outputs)
        )


def make_net(module, **settings):
    return NeuralNetClassifier(
        module,
        **{
            "criterion": nn.CrossEntropyLoss,
            "lr": 0.1,
            "batch_size": 32,
            "max_epochs": 2,
            "iterator_train__shuffle": True,
            "train_split": None,
            "verbose": 0,
        }
        | settings,
    )


def stacked(caplog):
    """The sizes of the stacks so far."""
    found = (re.fullmatch(r"Trained (\d+) fits as one network\.", m) for m in caplog.messages)
    return [int(match[1]) for match in found if match]


def weigh(estimator, X, y):
    """A sum of the trained weights, with factors that tell them apart."""
    pruner = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    weights = torch.cat([p.detach().flatten() for p in pruner.estimator_.module_.parameters()])
    return float(weights.double() @ torch.arange(1.0, len(weights) + 1, dtype=torch.float64))


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


def check_same(estimator, grid, planted=CIRCLE, *, rtol=1e-5, **settings):
    """Search with scikit-learn, too, and compare predictions and weights of all fits."""
    quality = "accuracy" if planted.y.dtype == np.int64 else "r2"
    settings = {
        "scoring": {"quality": quality, "weights": weigh},
        "cv": 2,
        "refit": False,
    } | settings
    batched = BatchedGridSearchCV(estimator, grid, **settings).fit(planted.X, planted.y)
    settings.pop("max_batch_bytes", None)
    expected = GridSearchCV(estimator, grid, **settings).fit(planted.X, planted.y).cv_results_
    assert batched.cv_results_.keys() == expected.keys()
    for name, values in expected.items():
        if name.startswith("split"):
            assert_allclose(batched.cv_results_[name], values, rtol, err_msg=name)
    return batched


def test_scores_and_weights_are_those_of_grid_search(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=3), prune_bias=True, random_state=0)
    rows = np.arange(120)
    folds = [(rows[:60], rows[60:]), (rows[60:], rows[:60]), (rows[:61], rows[61:])]
    search = check_same(pruner, GRID, cv=folds, return_train_score=True)
    assert sorted(stacked(caplog)) == [4, 8]
    assert search.cv_results_["mean_fit_time"].min() > 0


def test_recorded_steps_are_those_of_grid_search(caplog, monkeypatch):
    monkeypatch.setattr(_stack, "_RECORD_FROM", 3)
    net = CIRCLE.make_net(max_epochs=3, batch_size=25)
    check_same(MagnitudePruner(net, random_state=0), GRID, cv=2)
    assert stacked(caplog) == [8]


def test_stacks_are_trained_side_by_side(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    check_same(pruner, GRID | {"random_state": [0, 1, 2, 3]}, n_jobs=2)
    assert stacked(caplog) == [16, 16]


def test_fits_that_fail_in_another_process_say_where():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    search = BatchedGridSearchCV(
        pruner, {"sparsity": [0.5, 2.0]}, cv=2, n_jobs=2, error_score="raise"
    )
    with pytest.raises(InvalidParameterError, match="'sparsity' parameter") as error:
        search.fit(CIRCLE.X, CIRCLE.y)
    assert "_validate_params" in error.value.__notes__[0]


@pytest.mark.parametrize("fused", [True, None])
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__nesterov": True},
        {"optimizer": torch.optim.Adam, "optimizer__amsgrad": True},
        {"optimizer": torch.optim.AdamW},
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_optimizers_with_settings_of_their_own(settings, fused, caplog):
    net = CIRCLE.make_net(**settings, optimizer__fused=fused)
    pruner = MagnitudePruner(net.set_params(max_epochs=2), sparsity=0.5, random_state=0)
    decay = {"estimator__optimizer__weight_decay": [0.1]}
    check_same(pruner, [{"estimator__lr": [1e-2, 1e-3]}, decay])
    assert stacked(caplog) == [6]


def test_regression_in_another_order_with_a_schedule(caplog):
    net = HELIX.make_net(max_epochs=3, iterator_train__shuffle=False)
    pruner = MagnitudePruner(net, schedule="one-cycle", random_state=0)
    check_same(pruner, {"estimator__lr": [1e-2, 1e-3], "sparsity": [0.3]}, HELIX)
    assert stacked(caplog) == [4]


def test_a_single_output_and_a_single_row(caplog):
    relu = PlantedTicketGenerator("relu", width=10, depth=3, random_state=0).generate(54)
    net = relu.make_net(max_epochs=2, batch_size=13)
    pruner = MagnitudePruner(net, sparsity=0.2, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]}, relu)
    assert stacked(caplog) == [4]


@pytest.mark.parametrize(
    "pruner",
    [
        SNIPPruner(CIRCLE.make_net(max_epochs=2), sparsity=0.2),
        GivenMaskPruner(CIRCLE.make_net(max_epochs=2), CIRCLE.mask),
        IterativeMagnitudePruner(
            CIRCLE.make_net(max_epochs=1), sparsity=0.5, n_rounds=2, rewind_epoch=None
        ),
        RigLPruner(CIRCLE.make_net(max_epochs=1), sparsity=0.5, final_epochs=1),
        EdgePopupPruner(
            CIRCLE.make_net(max_epochs=1), sparsity=0.5, mask_epochs=1, train_ticket=True
        ),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_all_pruners_train_their_tickets_in_a_stack(pruner, caplog):
    check_same(pruner, {"random_state": [0, 1]})
    assert set(stacked(caplog)) == {4}


def test_other_layers_than_linear(caplog):
    pruner = MagnitudePruner(make_net(Convolutional), sparsity=0.3, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]}, rtol=1e-4)
    assert stacked(caplog) == [4]


def test_frozen_parameters_stay(caplog):
    module = MLP(2, 4, hidden=(8,))
    module.layers[0].weight.requires_grad_(False)
    pruner = MagnitudePruner(make_net(ModuleTemplate(module)), sparsity=0.5, random_state=0)
    check_same(pruner, {"prune_bias": [True, False]})
    assert stacked(caplog) == [4]


def test_architectures_are_stacked_apart_however_alike_they_look(caplog):
    pruner = MagnitudePruner(make_net(Scaled), sparsity=0.3, random_state=0)
    check_same(pruner, {"estimator__module__scale": [0.5, 2], "scope": ["global", "layer"]})
    assert stacked(caplog) == [4, 4]


def test_pipelines_fit_their_transformers_per_fold(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), sparsity=0.3, random_state=0)
    pipeline = make_pipeline(StandardScaler(copy=False), pruner)
    grid = {"standardscaler": [StandardScaler(copy=False), "passthrough"]}
    check_same(pipeline, grid | {"magnitudepruner__prune_bias": [False, True]})
    assert stacked(caplog) == [8]


def test_random_splits_are_drawn_once():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    weights = [
        search(pruner, GRID, scoring=weigh, cv=cv, refit=False)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
        for cv in [ShuffleSplit(1, random_state=np.random.RandomState(0))]
    ]
    assert_allclose(*weights, rtol=1e-5)


def test_groups_reach_the_splitter(caplog):
    groups = np.arange(120) % 3
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    scores = [
        search(pruner, {"sparsity": [0.5]}, cv=GroupKFold(3), refit=False)
        .fit(CIRCLE.X, CIRCLE.y, groups=groups)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    assert_array_equal(*scores)
    assert stacked(caplog) == [3]


def test_randomized_search_draws_the_same_candidates(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    results = [
        search(pruner, {"sparsity": uniform(0, 0.8)}, n_iter=2, cv=2, random_state=0)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_
        for search in (BatchedRandomizedSearchCV, RandomizedSearchCV)
    ]
    assert results[0]["params"] == results[1]["params"]
    assert_array_equal(results[0]["mean_test_score"], results[1]["mean_test_score"])
    assert stacked(caplog) == [4]


def test_the_best_is_refitted_in_the_ordinary_way():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
    search = BatchedGridSearchCV(pruner, GRID, cv=2).fit(CIRCLE.X, CIRCLE.y)
    expected = GridSearchCV(pruner, GRID, cv=2).fit(CIRCLE.X, CIRCLE.y)
    assert search.estimator is pruner
    assert search.best_params_ == expected.best_params_
    assert search.best_score_ == expected.best_score_
    assert vars(search).keys() - {"max_batch_bytes"} == vars(expected).keys()
    assert vars(search.best_estimator_).keys() == vars(expected.best_estimator_).keys()
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict(CIRCLE.X), expected.predict(CIRCLE.X))
    assert_array_equal(search.fit(CIRCLE.X, CIRCLE.y).predict(CIRCLE.X), again.predict(CIRCLE.X))


def test_scorers_see_what_an_ordinary_fit_leaves():
    seen = []
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
    for search in (BatchedGridSearchCV, GridSearchCV):

        def remember(estimator, X, y):
            seen.append(estimator)
            return 0.0

        search(pruner, {"sparsity": [0.2]}, cv=3, scoring=remember, refit=False).fit(
            CIRCLE.X, CIRCLE.y
        )
    for batched, ordinary in zip(seen[:3], seen[3:], strict=True):
        assert vars(batched).keys() == vars(ordinary).keys()
        assert batched.mask_ == ordinary.mask_
        assert_array_equal(batched.output_scale_, ordinary.output_scale_)
        histories = [fitted.estimator_.history for fitted in (batched, ordinary)]
        losses = [history[:, ("epoch", "train_loss", "train_batch_count")] for history in histories]
        assert_allclose(*losses, rtol=1e-5)
        assert histories[0][-1].keys() == histories[1][-1].keys()
        pickle.dumps(clone(batched))


def test_memory_limits_what_is_stacked_at_a_time(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    expected = GridSearchCV(pruner, GRID, cv=2, refit=False).fit(CIRCLE.X, CIRCLE.y)
    # Half of 120 rows of two inputs in float32 and a class in int64.
    each = 5 * 4 * CIRCLE.mask.n_parameters + 2 * 60 * (2 * 4 + 8)
    for limit, sizes in [(8 * each, [8]), (3 * each, [3, 3]), (2 * each, []), (1, [])]:
        caplog.clear()
        search = BatchedGridSearchCV(pruner, GRID, cv=2, refit=False, max_batch_bytes=limit)
        scores = search.fit(CIRCLE.X, CIRCLE.y).cv_results_["mean_test_score"]
        assert stacked(caplog) == sizes
        assert_array_equal(scores, expected.cv_results_["mean_test_score"])


def test_jobs_share_the_memory(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    each = 5 * 4 * CIRCLE.mask.n_parameters + 2 * 60 * (2 * 4 + 8)
    check_same(pruner, GRID, n_jobs=2, max_batch_bytes=2 * 3 * each)
    assert stacked(caplog) == [3, 3]


def test_a_candidate_that_fails_gets_the_error_score(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), sparsity=0.5, random_state=0)
    grid = [{"estimator__lr": [1e-3]}, {"estimator__lr": [1e30]}, {"sparsity": [2.0]}]
    search = BatchedGridSearchCV(pruner, grid, cv=3, error_score=-1.0)
    stream = torch.get_rng_state()
    with pytest.warns(FitFailedWarning, match=r"(?s)6 fits failed.*training loss.*'sparsity'"):
        search.fit(CIRCLE.X, CIRCLE.y)
    assert_array_equal(search.cv_results_["mean_test_score"][1:], -1)
    assert search.best_index_ == 0
    with pytest.raises(ValueError, match=r"The training loss .* is nan after 2 epochs"):
        search.set_params(error_score="raise").fit(CIRCLE.X, CIRCLE.y)
    gc.collect()
    assert torch.equal(torch.get_rng_state(), stream)


OBSTACLES = {
    "training is random": (make_net(Noisy), "torch cannot stack the module: vmap: "),
    "batch normalization": (
        make_net(Normalized),
        "the module changes its buffers, as batch normalization does",
    ),
    "unused": (make_net(Idle), "torch cannot stack the module: "),
    "local class": (make_net(type("Local", (MLP,), {})), "the module cannot be pickled"),
    "callback": (
        CIRCLE.make_net(max_epochs=1, callbacks=[EpochScoring("accuracy", on_train=True)]),
        "the net has callbacks",
    ),
    "criterion": (
        make_net(MLP, criterion=nn.MultiMarginLoss),
        "the criterion is not CrossEntropyLoss or MSELoss",
    ),
    "optimizer": (make_net(MLP, optimizer=torch.optim.RMSprop), "the optimizer is not SGD"),
    "iterator": (
        make_net(MLP, iterator_train__drop_last=True),
        "batches come from another iterator",
    ),
    "train_split": (make_net(MLP, train_split=ValidSplit(3)), "the net has a train_split"),
}


@pytest.mark.parametrize(("net", "obstacle"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_cannot_be_stacked_is_fitted_as_ever(net, obstacle, caplog):
    check_same(MagnitudePruner(net, random_state=0), {"sparsity": [0.3]})
    assert stacked(caplog) == []
    [message] = caplog.messages
    assert message.startswith(f"Trainings are not stacked: {obstacle}")


def test_nothing_to_train_is_nothing_to_stack(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=0), random_state=0)
    check_same(pruner, {"sparsity": [0.3, 0.5]})
    assert caplog.messages == []


# Rounds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rewind_epoch", [0, 1, 2, None])
@pytest.mark.parametrize(
    "optimizer",
    [
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.1},
        {"optimizer": torch.optim.Adam, "optimizer__fused": True},
        {"optimizer": torch.optim.AdamW, "optimizer__amsgrad": True, "optimizer__fused": True},
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_rounds_are_stacked(rewind_epoch, optimizer, caplog):
    pruner = IterativeMagnitudePruner(
        CIRCLE.make_net(max_epochs=2, **optimizer), n_rounds=2, rewind_epoch=rewind_epoch
    )
    check_same(pruner, {"random_state": [0, 1], "sparsity": [0.5]})
    # To the state to return to, and from there, are trainings of their own.
    assert stacked(caplog) == [4] * ({1: 4, 2: 1}.get(rewind_epoch, 3))


def test_penalties_differ_from_fit_to_fit(caplog):
    pruner = LearningRateRewindingPruner(
        CIRCLE.make_net(max_epochs=2), n_rounds=2, sparsity=0.6, random_state=0
    )
    check_same(pruner, {"l1": [0.0, 1e-3, "auto"], "schedule": [None, "one-cycle"]})
    assert stacked(caplog) == [6] * 6


def test_what_rounds_leave_is_the_same(caplog):
    pruner = IterativeMagnitudePruner(
        CIRCLE.make_net(max_epochs=2),
        sparsity=0.5,
        n_rounds=2,
        rewind_epoch=1,
        store_rounds=True,
        random_state=0,
    )
    seen = []

    def remember(estimator, X, y):
        seen.append(estimator)
        return 0.0

    for search in (BatchedGridSearchCV, GridSearchCV):
        search(pruner, {"scope": ["global"]}, cv=3, scoring=remember, refit=False).fit(
            CIRCLE.X, CIRCLE.y
        )
    for batched, ordinary in zip(seen[:3], seen[3:], strict=True):
        for own, expected in zip(batched.rounds_, ordinary.rounds_, strict=True):
            assert own.keys() == expected.keys()
            assert own["mask"] == expected["mask"]
            assert_allclose(own["train_loss"], expected["train_loss"], rtol=1e-5)
            for name, value in expected["state"].items():
                assert_allclose(own["state"][name], value, rtol=1e-4, atol=1e-7)
        states = [fitted.estimator_.optimizer_.state_dict() for fitted in (batched, ordinary)]
        assert states[0]["param_groups"] == states[1]["param_groups"]
        for index, expected in states[1]["state"].items():
            for name, value in expected.items():
                assert_allclose(states[0]["state"][index][name], value, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    "pruner",
    [
        ContinuousSparsificationPruner(CIRCLE.make_net(max_epochs=1), n_rounds=1),
        EdgePopupPruner(CIRCLE.make_net(max_epochs=1), mask_epochs=1, train_ticket=True),
        RigLPruner(CIRCLE.make_net(max_epochs=1), final_epochs=1),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_learned_masks_are_trained_one_by_one(pruner, caplog):
    check_same(clone(pruner).set_params(sparsity=0.5), {"random_state": [0, 1]})
    assert "Trainings are not stacked: the pruner defines the training itself." in caplog.messages
    assert stacked(caplog) == [4]


def test_several_jobs_fit_what_cannot_be_stacked(caplog):
    pruner = EdgePopupPruner(CIRCLE.make_net(), mask_epochs=1, random_state=0)
    check_same(pruner, {"sparsity": [0.4, 0.5]}, n_jobs=2)
    assert caplog.messages == ["Trainings are not stacked: the pruner defines the training itself."]


def test_candidates_that_can_be_stacked_are_stacked_beside_others(caplog):
    pruner = MagnitudePruner(make_net(MLP), sparsity=0.5, random_state=0)
    optimizers = {"estimator__optimizer": [torch.optim.Adam, torch.optim.RMSprop]}
    check_same(pruner, [optimizers | {"scope": GRID["scope"]}, {"estimator__max_epochs": [0]}])
    assert stacked(caplog) == [4]
    assert "Trainings are not stacked: the optimizer is not SGD" in caplog.text


class OwnFit(MagnitudePruner):
    """Starts from data of its own."""

    def fit(self, X, y=None):
        return super().fit(2 * X, y)


def test_pruners_with_a_fit_of_their_own_keep_it(caplog):
    pruner = OwnFit(CIRCLE.make_net(max_epochs=1), sparsity=0.2, random_state=0)
    check_same(pruner, {"sparsity": [0.2, 0.3]})
    assert stacked(caplog) == []


def test_hooks_are_not_stacked(caplog):
    module = MLP(2, 4, hidden=(8,))
    module.register_forward_hook(double)
    pruner = MagnitudePruner(make_net(ModuleTemplate(module)), sparsity=0.3, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]})
    assert "the module has hooks" in caplog.text


def double(module, args, output):
    return 2 * output


def test_a_stack_that_goes_wrong_is_trained_one_by_one(caplog, monkeypatch):
    def fail(stack):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(_stack.Stack, "train", fail)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), schedule="one-cycle", random_state=0)
    check_same(pruner, {"sparsity": [0.1, 0.3]})
    assert "4 fits are trained one by one: no kernel" in caplog.messages


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
    ids=["NumPy", "torch"],
)
def test_a_stack_that_memory_does_not_suffice_for_is_split(error, caplog, monkeypatch):
    train = _stack.Stack.train

    def fail(stack):
        if len(stack.members) > 4:
            raise error
        return train(stack)

    monkeypatch.setattr(_stack.Stack, "train", fail)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
    check_same(pruner, {"sparsity": [0.1, 0.2, 0.3], "scope": ["global", "layer"]}, cv=3)
    # 18 are two times nine, these four and five, and two of the five are too few for a stack.
    # The same is told once.
    assert stacked(caplog) == [4, 3, 4, 3]
    assert sum("fits is split: " in message for message in caplog.messages) == 3


@pytest.mark.parametrize(
    ("estimator", "grid", "reason"),
    [
        (LogisticRegression(), {"C": [1.0, 2.0]}, "the estimator is neither a pruner nor"),
        (
            MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0).set_callbacks(
                ScoringMonitor(scoring="accuracy")
            ),
            {"sparsity": [0.1, 0.2]},
            "there are callbacks of scikit-learn",
        ),
    ],
    ids=["no pruner", "callbacks"],
)
def test_scikit_learn_takes_over(estimator, grid, reason, caplog):
    results = [
        search(estimator, grid, cv=2).fit(CIRCLE.X, CIRCLE.y).cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    assert_array_equal(*results)
    [message] = caplog.messages
    assert message.startswith(f"BatchedGridSearchCV stacks no fits: {reason}")


def test_global_random_streams_are_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(2), np.random.uniform(size=2)
    torch.manual_seed(3)
    np.random.seed(3)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    BatchedGridSearchCV(pruner, GRID, cv=2, refit=False, n_jobs=2).fit(CIRCLE.X, CIRCLE.y)
    assert torch.equal(torch.rand(2), expected[0])
    assert_array_equal(np.random.uniform(size=2), expected[1])


def test_a_limit_of_memory_must_be_positive():
    search = BatchedGridSearchCV(MagnitudePruner(CIRCLE.make_net()), {}, max_batch_bytes=0)
    with pytest.raises(InvalidParameterError, match="'max_batch_bytes' parameter"):
        search.fit(CIRCLE.X, CIRCLE.y)


def test_an_unknown_parameter_is_an_error_and_leaves_the_search_as_it_was():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1))
    search = BatchedGridSearchCV(pruner, {"density": [0.5]})
    with pytest.raises(ValueError, match="Invalid parameter 'density'"):
        search.fit(CIRCLE.X, CIRCLE.y)
    assert search.estimator is pruner
    assert "__sklearn_clone__" not in vars(pruner)


def test_parameters_are_those_of_scikit_learn():
    for batched, ordinary in [
        (BatchedGridSearchCV, GridSearchCV),
        (BatchedRandomizedSearchCV, RandomizedSearchCV),
    ]:
        names = [*inspect.signature(batched).parameters]
        assert names == [*inspect.signature(ordinary).parameters, "max_batch_bytes"]
        search = batched(MagnitudePruner(CIRCLE.make_net()), {"sparsity": [0.5]}, cv=4)
        assert clone(search).get_params()["cv"] == 4
