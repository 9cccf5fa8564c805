"""`fit_replicates`: each pruner finds what it would have found alone."""

import logging
import re

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import fit_replicates
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    SNIPPruner,
)


def plant(task, seeds=range(4), width=20):
    return [
        PlantedTicketGenerator(task, depth=3, width=width, random_state=seed).generate(80)
        for seed in seeds
    ]


CIRCLES, HELICES = plant("circle"), plant("helix", width=30)
NET = CIRCLES[0].make_net(max_epochs=2)


@pytest.fixture
def stacked(caplog):
    """The sizes of the stacks so far."""
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")
    pattern = re.compile(r"Trained (\d+) fits as one network\.")
    return lambda: [int(n) for n in pattern.findall(caplog.text)]


@pytest.mark.parametrize(
    ("pruner", "planted_list", "sizes"),
    [
        (MagnitudePruner(NET), CIRCLES, [4]),
        (SNIPPruner(NET), CIRCLES, [4]),
        (IterativeMagnitudePruner(NET, n_rounds=2, rewind_epoch=1), CIRCLES, [4] * 4),
        (
            MagnitudePruner(CIRCLES[0].make_net(output_scale=True, max_epochs=2)),
            CIRCLES,
            [4],
        ),
        (
            MagnitudePruner(HELICES[0].make_net(max_epochs=2)),
            HELICES,
            [4],
        ),
        (
            ContinuousSparsificationPruner(NET, n_rounds=1, round_epochs=1),
            CIRCLES,
            [4, 4],
        ),
    ],
    ids=["magnitude", "SNIP", "rounds", "output scale", "regression", "learned mask"],
)
def test_replicates_are_what_they_would_be_alone(pruner, planted_list, sizes, stacked):
    pruner = clone(pruner).set_params(random_state=1, sparsity=0.3)
    fitted = fit_replicates(pruner, planted_list)
    assert stacked() == sizes
    assert len(fitted) == len(planted_list)
    for replicate, planted in zip(fitted, planted_list, strict=True):
        alone = clone(pruner).set_params(estimator__module=planted.module)
        alone.fit(planted.X, planted.y)
        assert replicate.mask_ == alone.mask_
        assert vars(replicate).keys() == vars(alone).keys()
        np.testing.assert_allclose(replicate.predict(planted.X), alone.predict(planted.X), 1e-4)
        for name, value in alone.estimator_.module_.state_dict().items():
            own = replicate.estimator_.module_.state_dict()[name]
            torch.testing.assert_close(own, value, rtol=1e-4, atol=1e-6)


def test_replicates_differ_and_the_pruner_stays_as_it_was():
    pruner = MagnitudePruner(NET, sparsity=0.5, random_state=0)
    first, second, *_ = fit_replicates(pruner, CIRCLES, n_jobs=2)
    assert first.mask_ != second.mask_
    assert not hasattr(pruner, "mask_")
    assert pruner.estimator.module is CIRCLES[0].module


def test_other_architectures_and_numbers_of_samples_are_stacked_apart(stacked):
    others = [
        PlantedTicketGenerator(depth=3, width=30, random_state=seed).generate(90)
        for seed in range(3)
    ]
    fit_replicates(MagnitudePruner(NET, sparsity=0.5, random_state=0), CIRCLES + others)
    assert stacked() == [4, 3]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_none_and_one_are_fitted(n_jobs):
    pruner = MagnitudePruner(NET, sparsity=0.5, random_state=0)
    for n in (0, 1):
        assert len(fit_replicates(pruner, CIRCLES[:n], n_jobs=n_jobs)) == n


def test_memory_is_limited(stacked):
    pruner = MagnitudePruner(NET, sparsity=0.5, random_state=0)
    with pytest.warns(UserWarning, match="max_batch_bytes=1 per job has room for 1"):
        fit_replicates(pruner, CIRCLES, max_batch_bytes=1)
    assert stacked() == []


def test_the_error_of_a_replicate_is_raised():
    pruner = MagnitudePruner(CIRCLES[0].make_net(lr=1e30), sparsity=0.5, random_state=0)
    with pytest.raises(ValueError, match="The training loss of estimator=NeuralNetClassifier"):
        fit_replicates(pruner, CIRCLES)


def test_an_error_in_another_process_says_where():
    pruner = MagnitudePruner(NET, sparsity=2.0, random_state=0)
    with pytest.raises(InvalidParameterError, match="'sparsity' parameter") as error:
        fit_replicates(pruner, CIRCLES, n_jobs=2)
    assert "_validate_params" in error.value.__notes__[0]


def test_only_pruners_are_fitted():
    with pytest.raises(TypeError, match="pruner must be a pruner of sklearn_tickets"):
        fit_replicates(NET, CIRCLES)


def test_replicates_turn_gradients_on():
    pruner = MagnitudePruner(NET, sparsity=0.5, random_state=0)
    expected = fit_replicates(pruner, CIRCLES)
    with torch.inference_mode():
        found = fit_replicates(pruner, CIRCLES)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.predict(CIRCLES[0].X), other.predict(CIRCLES[0].X))


def test_threads_do_not_disturb_each_other():
    """The random streams are those of the process."""
    pruner = MagnitudePruner(NET, sparsity=0.5, round_epochs=2, random_state=0)
    planted_list = CIRCLES * 3
    expected = fit_replicates(pruner, planted_list)
    before = torch.get_rng_state()
    with parallel_config("threading"):
        found = fit_replicates(pruner, planted_list, n_jobs=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert [each.mask_ for each in found] == [each.mask_ for each in expected]


@pytest.mark.parametrize("schedule", [None, "one-cycle"])
def test_training_goes_on_as_after_a_fit_alone(schedule, stacked):
    pruner = MagnitudePruner(NET, sparsity=0.5, schedule=schedule, random_state=0)
    fitted = fit_replicates(pruner, CIRCLES)
    assert stacked() == [4]
    for replicate, planted in zip(fitted, CIRCLES, strict=True):
        alone = clone(pruner).set_params(estimator__module=planted.module)
        alone.fit(planted.X, planted.y)
        for each in (replicate, alone):
            torch.manual_seed(0)
            each.estimator_.partial_fit(planted.X, planted.y)
        own, expected = (each.estimator_ for each in (replicate, alone))
        settings, wanted = (net.optimizer_.state_dict()["param_groups"] for net in (own, expected))
        assert settings == wanted
        weights = dict(own.module_.named_parameters())
        for name, weight in expected.module_.named_parameters():
            torch.testing.assert_close(weights[name], weight, rtol=1e-5, atol=1e-7)
