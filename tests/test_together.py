"""`fit_together`: stacks within the limits of memory, in one process and in several."""

import logging
from contextlib import nullcontext

import pytest
from joblib import parallel_config, register_parallel_backend
from joblib.parallel import ThreadingBackend
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.parallel import delayed

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.model_selection import BatchedGridSearchCV, _stack, _train_together
from sklearn_tickets.model_selection._together import make_parallel
from sklearn_tickets.pruners import (
    IterativeMagnitudePruner,
    MagnitudePruner,
    RigLPruner,
    SNIPPruner,
)
from tests.searches import CIRCLE, GRID, check_same, stacked


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


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
    assert "_validate_params" in str(error.value.__cause__)


def test_several_jobs_fit_what_cannot_be_stacked(caplog):
    pruner = RigLPruner(CIRCLE.make_net(), mask_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="the pruner defines the training itself"):
        check_same(pruner, {"sparsity": [0.4, 0.5]}, n_jobs=2)
    assert caplog.messages == ["Trainings are not stacked: the pruner defines the training itself."]


def test_nothing_to_train_is_nothing_to_stack(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=0), random_state=0)
    check_same(pruner, {"sparsity": [0.3, 0.5]})
    assert caplog.messages == []


def test_memory_limits_what_is_stacked_at_a_time(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    expected = GridSearchCV(pruner, GRID, cv=2, refit=False).fit(CIRCLE.X, CIRCLE.y)
    # Half of 120 rows of two inputs in float32 and a class in int64.
    each = 5 * 4 * CIRCLE.mask.n_parameters + 2 * 60 * (2 * 4 + 8)
    for limit, sizes in [(8 * each, [8]), (3 * each, [3, 3]), (2 * each, []), (1, [])]:
        caplog.clear()
        search = BatchedGridSearchCV(pruner, GRID, cv=2, refit=False, max_batch_bytes=limit)
        is_slow = pytest.warns(UserWarning, match=f"max_batch_bytes={limit}")
        with nullcontext() if sizes else is_slow:
            scores = search.fit(CIRCLE.X, CIRCLE.y).cv_results_["mean_test_score"]
        assert stacked(caplog) == sizes
        assert_array_equal(scores, expected.cv_results_["mean_test_score"])


def test_memory_also_holds_the_gradients_that_fits_share(caplog):
    pruner = SNIPPruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    each = 5 * 4 * CIRCLE.mask.n_parameters + 2 * 60 * (2 * 4 + 8)
    gradient = 4 * TicketMask.ones_like(CIRCLE.module()).n_parameters
    # Each of two folds has its gradient.
    for limit, sizes in [(3 * each + 2 * gradient, [3, 3]), (3 * each + 2 * gradient + 4, [4])]:
        caplog.clear()
        check_same(pruner, {"sparsity": [0.1, 0.2, 0.3]}, max_batch_bytes=limit)
        assert stacked(caplog)[: len(sizes)] == sizes


def test_jobs_share_the_memory(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    each = 5 * 4 * CIRCLE.mask.n_parameters + 2 * 60 * (2 * 4 + 8)
    check_same(pruner, GRID, n_jobs=2, max_batch_bytes=2 * 3 * each)
    assert stacked(caplog) == [3, 3]


def test_a_stack_that_goes_wrong_is_trained_one_by_one(monkeypatch):
    def fail(stack):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(_stack.Stack, "train", fail)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), schedule="one-cycle", random_state=0)
    with pytest.warns(UserWarning, match="4 fits are trained one by one: no kernel"):
        check_same(pruner, {"sparsity": [0.1, 0.3]})


def test_too_few_networks_alike_are_not_stacked():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), sparsity=0.3, random_state=0)
    with pytest.warns(UserWarning, match="fewer than 3 have the same network"):
        check_same(pruner, {"estimator__batch_size": [20, 30]})


@pytest.fixture
def sizes(monkeypatch):
    """The numbers of networks in the stacks so far."""
    found, train = [], _stack.Stack.train

    def note(stack):
        found.append(len(stack.members))
        return train(stack)

    monkeypatch.setattr(_stack.Stack, "train", note)
    return found


def test_equal_trainings_are_trained_once(sizes, caplog):
    # Candidates differ only after the first round; momentum is a state of the optimizer.
    net = CIRCLE.make_net(max_epochs=2)
    pruner = IterativeMagnitudePruner(net, n_rounds=2, rewind_epoch=1, random_state=0)
    check_same(pruner, {"sparsity": [0.4, 0.6], "scope": ["global", "layer"]})
    assert stacked(caplog) == [8] * len(sizes)
    assert sizes == [2, 2, 8, 8]


def test_stacks_fit_into_the_cache(sizes, monkeypatch):
    monkeypatch.setattr(_train_together, "_CACHE_BYTES", 3 * 5 * 4 * CIRCLE.mask.n_parameters)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    check_same(pruner, GRID | {"estimator__lr": [1e-2, 1e-3]})
    assert sizes == [4, 3, 3, 3, 3]


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
    # Equal messages are logged once.
    assert stacked(caplog) == [4, 3, 4, 3]
    assert sum("fits is split: " in message for message in caplog.messages) == 3


class WithoutGenerators(ThreadingBackend):
    """A backend that returns lists only, as ray's does."""

    supports_return_generator = False


def test_a_backend_without_generators_returns_lists():
    register_parallel_backend("without_generators", WithoutGenerators)
    with parallel_config(backend="without_generators"):
        parallel = make_parallel(2)
    assert not parallel.return_generator
    assert [*parallel(delayed(abs)(i) for i in (-1, 2))] == [1, 2]
