"""Sparse inputs: made dense batch by batch, with the results of dense ones."""

import logging
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader

from sklearn_tickets._network import SparseRows, as_tensor, row_sizes
from sklearn_tickets.export import compact, to_onnx, to_sparse
from sklearn_tickets.inspection import linear_mode_connectivity, ticket_report
from sklearn_tickets.metrics import effective_sparsity, strong_accuracy
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import IterativeMagnitudePruner, SNIPPruner
from tests.instances import assert_refused, instances, make_net, small_data, weights
from tests.searches import stacked


def gappy(n_samples=80):
    """Small data, two thirds of which are 0."""
    X, y = small_data()
    X[np.random.RandomState(0).rand(*X.shape) < 2 / 3] = 0
    return X[:n_samples], y[:n_samples]


METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "strong_predict",
    "strong_output",
]


def assert_alike(dense, other, X, given):
    """Two pruners are the same, bit for bit, on dense and on sparse inputs."""
    assert dense.mask_ == other.mask_
    for name, value in weights(dense).items():
        assert torch.equal(value, weights(other)[name]), name
    np.testing.assert_array_equal(dense.output_scale_, other.output_scale_)
    for method in METHODS:
        if hasattr(dense, method):
            expected, found = getattr(dense, method)(X), getattr(other, method)(given)
            np.testing.assert_array_equal(found, expected, err_msg=method)


# The rows themselves ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows", [2, -1, np.int64(0), slice(1, 3), slice(None), [0, 0, 2], np.array([3, 1])]
)
def test_rows_are_dense_when_they_are_taken(rows):
    X = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0], [0, -5, 4]], dtype=np.float32)
    found = SparseRows(sparse.csr_matrix(X))
    assert (found.shape, len(found), found.ndim) == (X.shape, 4, 2)
    assert (found.dtype, found.nbytes) == (X.dtype, X.nbytes)
    taken = found[rows]
    assert isinstance(taken, torch.Tensor)
    np.testing.assert_array_equal(taken, X[rows])
    if not isinstance(rows, int | np.integer):
        np.testing.assert_array_equal(found.take(rows)[:], X[rows])
        np.testing.assert_array_equal(found[torch.arange(4)[rows]], X[rows])
        np.testing.assert_array_equal(found[rows, ...], X[rows])  # as scikit-learn takes rows
    assert row_sizes(found).tolist() == row_sizes(X).tolist() == [1, 2, 0, 5]
    np.testing.assert_array_equal(as_tensor(sparse.coo_array(X)), X)


# Fits and predictions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "pruner",
    [*instances("classifier"), *instances("regressor")],
    ids=lambda pruner: f"{type(pruner).__name__}-{type(pruner.estimator).__name__}",
)
@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
def test_sparse_inputs_have_the_results_of_dense_ones(pruner):
    X, y = gappy()
    given = sparse.csr_array(X)
    assert_alike(clone(pruner).fit(X, y), clone(pruner).fit(given, y), X, given)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array])
@pytest.mark.parametrize(
    "params",
    [
        {"train_split": ValidSplit(4)},
        {"iterator_train": DataLoader, "iterator_train__drop_last": True},
        {"iterator_train__shuffle": False, "batch_size": -1},
        {"callbacks": [EpochScoring("roc_auc", name="own", lower_is_better=False, on_train=True)]},
        {"callbacks": [EpochScoring("f1", name="f1", use_caching=False)], "train_split": None},
        {
            "callbacks": [EpochScoring("f1", name="f1", use_caching=False)],
            "train_split": ValidSplit(4),
        },
    ],
)
def test_settings_of_the_net_take_sparse_inputs(params, container):
    X, y = gappy()
    labels = np.array([3, 1])[y]
    given = container(X.astype(np.float64))
    pruner = IterativeMagnitudePruner(
        make_net("classifier", max_epochs=2, **params), sparsity=0.5, n_rounds=2, random_state=0
    )
    dense, other = clone(pruner).fit(X, labels), clone(pruner).fit(given, labels)
    assert_alike(dense, other, X, given)
    columns = [name for name in dense.estimator_.history[-1] if name not in ("batches", "dur")]
    assert dense.estimator_.history[:, columns] == other.estimator_.history[:, columns]


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
def test_validation_data_may_be_sparse(container):
    X, y = gappy()
    losses = []
    for as_given in (np.asarray, container):
        split = predefined_split(Dataset(as_given(X[40:]), y[40:]))
        net = make_net("classifier", max_epochs=2, train_split=split)
        pruner = SNIPPruner(net, random_state=0).fit(as_given(X[:40]), y[:40])
        losses.append(pruner.estimator_.history[:, "valid_loss"])
    assert losses[0] == losses[1]


def test_callbacks_of_a_fit_see_the_sparse_inputs():
    X, y = gappy()
    monitor = ScoringMonitor(scoring="accuracy")
    pruner = SNIPPruner(make_net("classifier", max_epochs=3), sparsity=0.5, random_state=0)
    pruner.set_callbacks(monitor).fit(sparse.csr_array(X), y)
    [score] = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert score == pruner.score(X, y)


class Watched(MLP):
    """Remembers the most rows it was given at once."""

    most = 0

    def forward(self, X):
        Watched.most = max(Watched.most, len(X))
        return super().forward(X)


def test_a_wide_matrix_is_never_dense_as_a_whole(monkeypatch):
    most = []
    to_array = sparse.csr_array.toarray
    monkeypatch.setattr(
        sparse.csr_array,
        "toarray",
        lambda matrix, *args, **kwargs: (
            most.append(matrix.shape[0]) or to_array(matrix, *args, **kwargs)
        ),
    )
    X = sparse.random_array((2000, 20_000), density=0.001, format="csr", rng=0, dtype=np.float32)
    y = (X[:, :50].sum(axis=1) > 0.03).astype(int)
    Watched.most = 0
    net = make_net("classifier", module=partial(Watched, hidden=(4,)), max_epochs=1)
    pruner = SNIPPruner(net, sparsity=0.9, round_epochs=1, random_state=0).fit(X, y)
    pruner.predict(X), pruner.predict_proba(X), pruner.transform(X), pruner.strong_predict(X)
    assert Watched.most == max(most) == 1024


def test_sparse_inputs_that_are_too_large_are_named():
    X, y = gappy()
    net = make_net("regressor", lr=1e30, optimizer=torch.optim.SGD)
    complaint = rf"scale X \(\|X\| <= {np.abs(X).max():.3g}\)"
    assert_refused(SNIPPruner(net), (sparse.csr_array(X), y.astype(float)), complaint)
    huge = sparse.csr_array(1e30 * X)
    assert_refused(SNIPPruner(net), (huge, y.astype(float)), "X or y is too large")
    broken = sparse.csr_array(np.where(X.max() == X, np.nan, X))
    assert_refused(SNIPPruner(net), (broken, y.astype(float)), "contains NaN")


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.coo_array])
def test_exports_are_compared_on_sparse_inputs(container, tmp_path):
    X, y = gappy()
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), sparsity=0.5, random_state=0)
    pipeline = make_pipeline(MaxAbsScaler(), pruner).fit(container(X), y)
    given = container(X.astype(np.float64))
    ones = torch.ones(2, 6)
    for export in (compact, to_sparse):
        assert torch.equal(export(pipeline, given)(ones), export(pipeline, X)(ones))
    to_onnx(pipeline, tmp_path / "ticket.onnx", given)
    wide = sparse.csr_array((10**6, 10**6))  # more than fits in memory
    with pytest.raises(ValueError, match="cannot read X"):
        compact(nn.Linear(6, 2), wide)


def test_scorers_and_analyses_take_sparse_inputs():
    X, y = gappy()
    given = sparse.csr_matrix(X)
    pruner = SNIPPruner(make_net("classifier", max_epochs=2), sparsity=0.5, random_state=0)
    pruner.fit(given, y)
    for scorer in (effective_sparsity, strong_accuracy):
        assert scorer(pruner, given, y) == scorer(pruner, X, y)
    mask, module = pruner.mask_, pruner.estimator_.module_
    assert mask.effective(module, given) == mask.effective(module, X)
    lines = [linear_mode_connectivity(pruner, pruner, data, y) for data in (given, X)]
    assert lines[0].errors.tolist() == lines[1].errors.tolist()
    reports = [
        ticket_report(pruner, data, y, X_test=data, y_test=y, n_controls=1, random_state=0)
        for data in (given, X)
    ]
    pd.testing.assert_frame_equal(*reports)


# Pipelines and searches ---------------------------------------------------------------------


def encoded(**params):
    net = make_net("classifier", batch_size=32, **{"max_epochs": 2} | params)
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0)
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0, 1, 2]))
    return make_pipeline(encoder, MaxAbsScaler(), pruner)


def categories(n_samples=120):
    """Three columns of words; the first two decide."""
    rng = np.random.RandomState(0)
    words = np.array(list("abcdefgh"))
    codes = rng.randint(8, size=(n_samples, 3))
    return words[codes].astype(object), ((codes[:, 0] + codes[:, 1]) % 8 > 3).astype(int)


def test_a_pipeline_encodes_categories_in_front():
    X, y = categories()
    pipeline = encoded(max_epochs=60).fit(X, y)
    assert sparse.issparse(pipeline[:-1].transform(X))
    assert pipeline[-1].n_features_in_ == 24
    assert pipeline.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("memory", "sizes"), [({}, [8]), ({"max_batch_bytes": 30_000}, [])], ids=["ample", "short"]
)
@pytest.mark.filterwarnings("ignore:No networks are stacked")
def test_searches_over_sparse_inputs(memory, sizes, caplog):
    """They are stacked, dense, where memory allows; otherwise the fits run one after another."""
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")
    X, y = categories()
    grid = {"snippruner__sparsity": [0.2, 0.5], "snippruner__estimator__lr": [0.01, 0.1]}
    found = BatchedGridSearchCV(encoded(), grid, cv=2, **memory).fit(X, y)
    expected = GridSearchCV(encoded(), grid, cv=2).fit(X, y)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_allclose(found.cv_results_[name], expected.cv_results_[name])
    assert stacked(caplog) == sizes
    assert any("max_batch_bytes=30000" in message for message in caplog.messages) == bool(memory)


def test_a_network_may_take_rows_of_sparse_inputs_in_place():
    X, y = gappy()
    given = sparse.csr_array(X)
    before = given.copy()
    net = make_net("classifier", module=nn.Sequential, max_epochs=1)
    net.set_params(module=lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 2)))
    dense, other = (SNIPPruner(net, random_state=0).fit(data, y) for data in (X, given))
    assert_alike(dense, other, X, given)
    assert (given != before).nnz == 0
