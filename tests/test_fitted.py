"""Fitted pruners: their predictions, probabilities and outputs."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_regression
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner, SNIPPruner
from tests.instances import make_net, small_data


@pytest.fixture
def data():
    return small_data()


def test_a_binary_net_with_one_logit(data):
    X, y = data
    labels = np.array(["no", "yes"])[y]
    net = NeuralNetBinaryClassifier(
        MLP,
        module__hidden=(32,),
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=30,
        train_split=None,
        verbose=0,
    )
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, labels)
    assert pruner.score(X, labels) > 0.8
    assert pruner.predict_proba(X).shape == (80, 2)
    assert (pruner.predict_proba(X)[:, 1] > 0.5).tolist() == (pruner.predict(X) == "yes").tolist()


def test_several_regression_outputs():
    X, y = make_regression(n_samples=80, n_features=5, n_targets=3, random_state=0)
    pruner = SNIPPruner(make_net("regressor"), sparsity=0.2, random_state=0).fit(X, y / y.std())
    assert pruner.predict(X).shape == (80, 3)
    assert pruner.output_scale_.shape == (3,)


def memmap(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def read_only(X, tmp_path):
    array = X.copy()
    array.setflags(write=False)
    return array


LAYOUTS = {
    "reversed": lambda X, tmp_path: X[::-1].copy()[::-1],
    "mirrored": lambda X, tmp_path: X[:, ::-1].copy()[:, ::-1],
    "frame": lambda X, tmp_path: pd.DataFrame(X[::-1].copy()).iloc[::-1].reset_index(drop=True),
    "Fortran": lambda X, tmp_path: np.asfortranarray(X),
    "big-endian": lambda X, tmp_path: X.astype(">f4"),
    "double": lambda X, tmp_path: X.astype(">f8")[::-1].copy()[::-1],
    "read-only": read_only,
    "memmap": memmap,
    "list": lambda X, tmp_path: X.tolist(),
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_data_of_any_layout_are_taken(make, data, tmp_path):
    X, y = data
    other = make(X, tmp_path)
    net = make_net("classifier", max_epochs=1)
    plain, laid_out = (
        SNIPPruner(net, sparsity=0.5, random_state=0).fit(data, y) for data in (X, other)
    )
    assert plain.mask_ == laid_out.mask_
    for method in ("predict", "predict_proba", "transform", "strong_predict", "strong_output"):
        np.testing.assert_array_equal(
            getattr(plain, method)(X), getattr(laid_out, method)(other), err_msg=method
        )
    assert plain.score(X, y) == laid_out.score(other, y)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "transform", "strong_predict", "strong_output"]
)
def test_predictions_in_inference_mode_are_the_same(method, data):
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    expected = getattr(pruner, method)(data[0])
    with torch.inference_mode():
        np.testing.assert_array_equal(getattr(pruner, method)(data[0]), expected)


class ParametersOnly(nn.Module):
    """No layer of its own is called."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.ws = nn.ParameterList([torch.randn(n_features, 8), torch.randn(8, n_outputs)])
        self.bs = nn.ParameterList([torch.zeros(8), torch.zeros(n_outputs)])

    def forward(self, x):
        hidden = (x @ self.ws[0] + self.bs[0]).relu()
        return hidden @ self.ws[1] + self.bs[1]


def test_a_network_of_listed_parameters_is_pruned_with_its_biases(data):
    net = make_net("classifier", module=ParametersOnly)
    pruner = MagnitudePruner(net, sparsity=0.2, prune_bias=True, round_epochs=5, random_state=0)
    pruner.fit(*data)
    assert set(pruner.mask_) == {"ws.0", "ws.1", "bs.0", "bs.1"}
    assert pruner.score(*data) > 0.8
    np.testing.assert_array_equal(pruner.transform(data[0]), data[0])
    assert len(pruner.get_feature_names_out()) == 6


def test_the_threshold_of_a_binary_net_counts(data):
    net = NeuralNetBinaryClassifier(MLP, threshold=0.9, train_split=None, max_epochs=1, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    expected = pruner.predict_proba(data[0])[:, 1] > 0.9
    assert (pruner.predict(data[0]) == 1).tolist() == expected.tolist()


def test_a_criterion_without_probabilities_has_no_predict_proba(data):
    net = make_net("classifier", criterion=nn.MultiMarginLoss, max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    pruner.predict(data[0])
    with pytest.raises(ValueError, match=r"MultiMarginLoss does not imply .* predict_nonlinearity"):
        pruner.predict_proba(data[0])


def test_other_columns_at_predict_are_refused(data):
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    with pytest.raises(ValueError, match="X has 5 features, but SNIPPruner is expecting 6"):
        pruner.predict(data[0][:, :5])
