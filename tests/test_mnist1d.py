"""MNIST-1D: what it consists of, and that making it leaves everything else alone."""

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from sklearn_tickets.datasets import load_mnist1d


@pytest.fixture(scope="module")
def sequences():
    return load_mnist1d(subset="all")


def test_it_is_a_bunch_of_standardized_sequences(sequences):
    assert sequences.data.shape == (5000, 40)
    assert sequences.data.dtype == np.float32
    assert sequences.target.dtype == np.int64
    assert_array_equal(np.bincount(sequences.target), np.full(10, 500))
    assert_allclose([sequences.data.mean(), sequences.data.std()], [0, 1], atol=1e-6)
    # What the authors' package gives with its own seed.
    assert_allclose(sequences.data[0, :3], [-0.33200567, -0.47191037, -0.77869708], rtol=1e-5)
    assert_array_equal(sequences.target[:10], [2, 6, 4, 5, 6, 6, 6, 0, 3, 1])
    assert sequences.target_names == list("0123456789")
    assert sequences.DESCR.startswith("MNIST-1D")


def test_subsets_are_parts_of_all(sequences):
    train, test = load_mnist1d(), load_mnist1d(subset="test")
    assert_array_equal(np.concatenate([train.data, test.data]), sequences.data)
    assert_array_equal(np.concatenate([train.target, test.target]), sequences.target)


def test_it_is_a_problem_that_its_description_tells_the_truth_about(sequences):
    X, y, X_test, y_test = (
        part[rows]
        for rows in (slice(4000), slice(4000, None))
        for part in (sequences.data, sequences.target)
    )
    assert 0.3 < LogisticRegression().fit(X, y).score(X_test, y_test) < 0.36
    assert KNeighborsClassifier().fit(X, y).score(X_test, y_test) > 0.5


def test_another_seed_gives_others(sequences):
    X, y = load_mnist1d(random_state=1, return_X_y=True)
    assert (X.shape, y.shape) == ((4000, 40), (4000,))
    assert not np.array_equal(y, sequences.target[:4000])


def test_global_random_streams_are_left_alone():
    np.random.seed(3)
    random.seed(3)
    expected = np.random.random_sample(), random.random()
    np.random.seed(3)
    random.seed(3)
    load_mnist1d(subset="test")
    assert (np.random.random_sample(), random.random()) == expected


def test_streams_are_left_alone_by_a_failure(monkeypatch):
    import mnist1d.data

    def fail(settings):
        random.seed(settings.seed)
        raise MemoryError

    monkeypatch.setattr(mnist1d.data, "make_dataset", fail)
    state = random.getstate()
    with pytest.raises(MemoryError):
        load_mnist1d()
    assert random.getstate() == state


def test_streams_are_left_alone_by_threads(monkeypatch):
    import mnist1d.data

    make_dataset, began = mnist1d.data.make_dataset, Event()

    def make(settings):
        random.seed(settings.seed)
        began.set()
        time.sleep(0.1)  # The other thread arrives.
        return make_dataset(settings)

    monkeypatch.setattr(mnist1d.data, "make_dataset", make)
    random.seed(3)
    state = random.getstate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(load_mnist1d)
        began.wait()
        second = pool.submit(load_mnist1d)
    assert_array_equal(first.result().data, second.result().data)
    assert random.getstate() == state


@pytest.mark.parametrize("seed", [None, -1, "a", 1.5])
def test_what_is_no_seed_is_refused(seed):
    message = rf"'random_state' parameter of load_mnist1d must be .* Got {seed!r} instead"
    with pytest.raises(ValueError, match=message):
        load_mnist1d(random_state=seed)


def test_unknown_subsets_are_refused():
    with pytest.raises(ValueError, match="subset must be 'train', 'test' or 'all'; got 'valid'"):
        load_mnist1d(subset="valid")


def test_seeds_are_integers_of_any_type(sequences):
    X, _ = load_mnist1d(random_state=np.int64(42), return_X_y=True)
    assert_array_equal(X, sequences.data[:4000])


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    with pytest.raises(ImportError, match=r"load_mnist1d needs mnist1d; pip install '.*\[data\]'"):
        load_mnist1d()
