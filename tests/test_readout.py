"""`to_onnx(outputs=)`: ONNX Runtime says what `predict` and `predict_proba` say."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets.export import compact, to_onnx
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner, RandomPruner
from tests.instances import make_net, multilabel_data, multilabel_net

reason = "writing and running ONNX files takes the extra onnx, and onnxruntime"
pytest.importorskip("onnx", reason=reason)
pytest.importorskip("onnxscript", reason=reason)
onnxruntime = pytest.importorskip("onnxruntime", reason=reason)

RNG = np.random.RandomState(0)
X = RNG.standard_normal((60, 3)).astype(np.float32)
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
ALL = ("labels", "probabilities", "raw")


def fitted(net, y=CODES, train_ticket=True, rows=X):
    pruner = MagnitudePruner(net, sparsity=0.4, train_ticket=train_ticket, random_state=0)
    return pruner.set_params(estimator__max_epochs=3).fit(rows, y)


def classifier(**settings):
    return make_net("classifier", **settings)


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(path, rows=X):
    """The outputs of an ONNX file, by name."""
    session = session_of(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": rows}), strict=True))


def assert_says_the_same(path, pruner):
    """A file says what the methods of a pruner say, for any number of rows."""
    for n in (len(X), 1, 7):
        found = run(path, X[:n])
        assert tuple(found) == ALL
        assert_array_equal(found["labels"], pruner.predict(X[:n]))
        expected = pruner.predict_proba(X[:n])
        assert found["probabilities"].dtype == np.float32
        assert_allclose(found["probabilities"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "dtype", "train_ticket"),
    [
        (np.array(["no", "perhaps", "é"]), object, True),
        (np.array(["no", "perhaps", "yes"], dtype=object), object, False),
        (np.array([3, 7, 9], dtype=np.uint8), np.int64, True),
        (np.array([0.0, 1.0, 2.0]), np.float64, False),
    ],
    ids=["strings", "objects", "integers", "floats"],
)
def test_files_say_what_a_classifier_says(tmp_path, labels, dtype, train_ticket):
    path = tmp_path / "net.onnx"
    pruner = fitted(classifier(), y=labels[CODES], train_ticket=train_ticket)
    to_onnx(pruner, path, outputs=ALL)
    assert_says_the_same(path, pruner)
    assert run(path)["labels"].dtype == dtype
    assert len({*run(path)["labels"]}) > 1, "all rows have one label"
    metadata = session_of(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == labels.tolist()


@pytest.mark.parametrize("train_ticket", [True, False])
def test_the_threshold_of_a_binary_classifier_decides(tmp_path, train_ticket):
    path = tmp_path / "net.onnx"
    net = NeuralNetBinaryClassifier(MLP, threshold=0.6, train_split=None, verbose=0)
    pruner = fitted(net, X[:, 0] > 0, train_ticket)
    to_onnx(pruner, path, outputs=ALL)
    assert_says_the_same(path, pruner)
    found = run(path)
    assert found["labels"].dtype == bool
    assert_array_equal(found["labels"], found["probabilities"][:, 1] > 0.6)
    assert_allclose(found["probabilities"][:, 1], expit(found["raw"][:, 0]), atol=1e-6)
    assert (found["labels"] != found["probabilities"].argmax(axis=1)).any()


def test_outputs_of_an_untrained_ticket_are_rescaled(tmp_path, monkeypatch):
    pruner = fitted(classifier(), train_ticket=False)
    monkeypatch.setattr(type(pruner), "output_scale_", np.array([1.0, 4.0, 0.5]))
    monkeypatch.setattr(type(pruner), "temperature_", 2.0)
    to_onnx(pruner, tmp_path / "net.onnx", outputs=("raw", "probabilities"))
    found, raw = run(tmp_path / "net.onnx"), pruner.strong_output(X) * [0.5, 2, 0.25]
    assert_allclose(found["raw"], raw, atol=1e-5)
    assert_allclose(found["probabilities"], softmax(raw, axis=1), atol=1e-5)


@pytest.mark.parametrize(("n_outputs", "train_ticket"), [(1, True), (2, False)])
def test_regressors_write_what_they_predict(tmp_path, n_outputs, train_ticket):
    y = X @ np.array([[1.0, 30], [2, 20], [3, 10]])[:, :n_outputs]
    pruner = fitted(make_net("regressor"), y=y, train_ticket=train_ticket)
    to_onnx(pruner, tmp_path / "net.onnx")
    outputs = run(tmp_path / "net.onnx")["raw"]
    assert outputs.shape == (60, n_outputs)
    assert_allclose(outputs, pruner.predict(X).reshape(outputs.shape), atol=1e-4)


class Normalized(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, n_outputs)
        )

    def forward(self, X):
        return self.layers(X)


def test_untrained_normalized_networks_are_written_with_their_own_statistics(tmp_path):
    path, shifted = tmp_path / "net.onnx", 5 + 3 * X
    net = classifier(module=Normalized)
    pruner = RandomPruner(net, sparsity=0.3, train_ticket=False, random_state=0)
    pruner.fit(shifted, CODES)
    to_onnx(pruner, path, outputs="probabilities")
    expected = pruner.predict_proba(shifted)
    assert_allclose(run(path, shifted)["probabilities"], expected, atol=1e-5)
    small = compact(pruner)(torch.from_numpy(shifted)).detach().numpy()
    assert_allclose(small, pruner.strong_output(shifted), atol=1e-5)


@pytest.mark.parametrize(
    "nonlinearity", [nn.Softmax(dim=-1), lambda outputs: (outputs / 2).softmax(dim=1)]
)
def test_a_nonlinearity_of_the_net_is_written(tmp_path, nonlinearity):
    pruner = fitted(classifier(predict_nonlinearity=nonlinearity))
    to_onnx(pruner, tmp_path / "net.onnx", outputs=ALL)
    assert_says_the_same(tmp_path / "net.onnx", pruner)


def test_searches_over_pipelines_with_feature_names(tmp_path):
    frame, y = pd.DataFrame(X, columns=["a", "b", "c"]), np.array(["x", "y", "z"])[CODES]
    pruner = RandomPruner(classifier(), random_state=0)
    scaler = StandardScaler().set_output(transform="pandas")
    grid = {"randompruner__sparsity": [0.2, 0.5]}
    search = GridSearchCV(make_pipeline(scaler, pruner), grid, cv=2).fit(frame, y)
    to_onnx(search, tmp_path / "net.onnx", outputs="labels")
    scaled = search.best_estimator_[0].transform(frame).to_numpy(np.float32)
    assert_array_equal(run(tmp_path / "net.onnx", scaled)["labels"], search.predict(frame))


def test_labels_are_checked_without_onnx_runtime(tmp_path, monkeypatch):
    pruner = fitted(classifier(), y=np.array(["a", "b", "c"])[CODES])
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        to_onnx(pruner, tmp_path / "net.onnx", outputs=ALL)
    assert_says_the_same(tmp_path / "net.onnx", pruner)


# Errors ----------------------------------------------------------------------------------


def assert_refused(tmp_path, network, outputs, message):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"an earlier file")
    with pytest.raises(ValueError, match=message):
        to_onnx(network, path, X, outputs=outputs)
    assert path.read_bytes() == b"an earlier file"
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("outputs", ["proba", None, [], ["raw", "raw"], ["labels", 3], "", {}])
def test_unknown_outputs_are_refused(tmp_path, outputs):
    message = r"outputs=.* must be one of 'raw', 'probabilities', 'labels', or a sequence"
    assert_refused(tmp_path, nn.Linear(3, 2), outputs, message)


@pytest.mark.parametrize("outputs", ["labels", ["raw", "probabilities"]])
def test_only_classifiers_have_labels_and_probabilities(tmp_path, outputs):
    message = r"outputs=.* but network \({}\) is not that of a fitted classifier; .*'raw'"
    assert_refused(tmp_path, nn.Linear(3, 2), outputs, message.format("Linear"))
    assert_refused(
        tmp_path, fitted(make_net("regressor"), y=X[:, 0]), outputs, message.format("MLP")
    )


def test_criteria_that_imply_no_probabilities_are_refused(tmp_path):
    pruner = fitted(classifier(criterion=nn.MultiMarginLoss))
    message = r"outputs=.* criterion MultiMarginLoss does not imply .* set predict_nonlinearity"
    assert_refused(tmp_path, pruner, "probabilities", message)
    to_onnx(pruner, tmp_path / "net.onnx", outputs="labels")
    assert_array_equal(run(tmp_path / "net.onnx")["labels"], pruner.predict(X))


def by_numpy(outputs):
    return torch.from_numpy(softmax(outputs.numpy(), axis=1))


def test_nonlinearities_that_cannot_be_written_are_named(tmp_path):
    pruner = fitted(classifier(predict_nonlinearity=by_numpy))
    message = r"cannot export network \(MLP\) with predict_nonlinearity=<function by_numpy"
    assert_refused(tmp_path, pruner, "probabilities", message)


class Contrary(MagnitudePruner):
    def predict(self, X):
        return self.classes_[::-1][super().predict(X)]


class Vanishing(MLP):
    def forward(self, X):
        return super().forward(X) * 1e-30 * 1e-30


def test_files_that_would_say_something_else_are_refused(tmp_path):
    pruner = Contrary(classifier(), sparsity=0.4, random_state=0).fit(X, CODES)
    message = r"outputs=\['labels'\] of the pruner would not compute .* network \(MLP\)"
    assert_refused(tmp_path, pruner, "labels", message)
    # float64 has outputs that are 0 in float32, and a scale that is infinite.
    pruner = fitted(classifier(module=Vanishing), train_ticket=False)
    assert_refused(tmp_path, pruner, "raw", r"network \(Vanishing\) in float32 are not finite")


@pytest.mark.parametrize("train_ticket", [True, False])
def test_files_of_several_labels_give_their_indicators(tmp_path, train_ticket):
    rows, y = multilabel_data()
    pruner = fitted(multilabel_net(), y, train_ticket, rows)
    to_onnx(pruner, tmp_path / "labels.onnx", rows, outputs=["labels", "probabilities"])
    found = run(tmp_path / "labels.onnx", rows)
    assert_array_equal(found["labels"], pruner.predict(rows))
    assert_allclose(found["probabilities"], pruner.predict_proba(rows), atol=1e-5)
