"""`to_onnx`: ONNX Runtime computes the outputs of the network."""

import copy
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.export import SparseLinear, compact, to_onnx
from sklearn_tickets.models import VGG, LeNet5, ResNet
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner
from tests.odd_networks import COMPUTED, OWN, PATCHED, ROWS, UNSTEADY

reason = "writing and running ONNX files takes the extra onnx, and onnxruntime"
pytest.importorskip("onnx", reason=reason)
pytest.importorskip("onnxscript", reason=reason)
onnxruntime = pytest.importorskip("onnxruntime", reason=reason)

RNG = np.random.RandomState(0)
IMAGES = RNG.standard_normal((40, 1, 8, 8)).astype(np.float32)
LABELS = np.array(["a", "b", "c", "d"])[RNG.randint(4, size=40)]
PLANTED = PlantedTicketGenerator("circle", depth=5, random_state=0).generate(100)


def run(path, X):
    """The outputs of an ONNX file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {"X": X})
    return outputs


def assert_same(path, module, X, tolerance=1e-5):
    """A file has the outputs of a module, for any number of samples."""
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    scale = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 0.01 * scale, "hardly depends on inputs"
    for n in (len(X), 1, 2, 7):
        outputs = run(path, X[:n])
        assert outputs.dtype == X.dtype
        assert_allclose(outputs, expected[:n], rtol=0, atol=tolerance * scale)


def test_a_planted_ticket_is_written_as_small_as_it_is(tmp_path):
    net = PLANTED.make_net(output_scale=True)
    pruner = GivenMaskPruner(net, PLANTED.mask, train_ticket=False, random_state=0)
    pruner.fit(PLANTED.X, PLANTED.y)
    path = tmp_path / "ticket.onnx"
    to_onnx(pruner, path)
    X = PLANTED.X.astype(np.float32)
    # The untrained ticket is read through the pruner's factors.
    outputs = pruner.strong_output(X) * pruner.output_scale_ / pruner.temperature_
    assert_allclose(run(path, X), outputs, rtol=1e-4, atol=1e-4)
    assert_array_equal(pruner.classes_[run(path, X).argmax(axis=1)], pruner.predict(X))
    assert [file.name for file in tmp_path.iterdir()] == ["ticket.onnx"]
    # Of 20,000 weights and biases 130 are left; the rest of the file says what to do with them.
    assert path.stat().st_size < 5000
    assert b".py" not in path.read_bytes(), "tells where the code lies"


@pytest.mark.parametrize(
    "module",
    [LeNet5, partial(VGG, depth=11, width=0.1), partial(ResNet, depth=20, width=0.25)],
    ids=["LeNet5", "VGG", "ResNet-20"],
)
def test_trained_image_networks_compute_the_same(tmp_path, module):
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=20,
        max_epochs=2,
        train_split=None,
        verbose=0,
    )
    pruner = MagnitudePruner(net, sparsity=0.6, round_epochs=1, random_state=0)
    pruner.fit(IMAGES, LABELS)
    to_onnx(pruner, tmp_path / "net.onnx")
    assert_same(tmp_path / "net.onnx", pruner.estimator_.module_.eval(), IMAGES)


class Words(nn.Module):
    """An embedding of integers with dropout and normalization, in float64."""

    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(9, 4), nn.LayerNorm(4)
        self.dropout = nn.Dropout(0.5)
        self.double()

    def forward(self, words):
        return self.dropout(self.norm(self.table(words))).mean(dim=1)


def test_a_module_is_written_as_it_is_and_left_alone(tmp_path, caplog):
    words = RNG.randint(9, size=(10, 3))
    module = Words().train()
    before = copy.deepcopy(module)
    stream, numpy_stream = torch.get_rng_state(), np.random.get_state()[1].copy()
    caplog.set_level(logging.INFO, logger="torch.onnx")
    path = tmp_path / "words.onnx"
    path.write_bytes(b"an earlier file")
    to_onnx(module, path, words[:1])
    assert torch.equal(torch.get_rng_state(), stream)
    assert_array_equal(np.random.get_state()[1], numpy_stream)
    assert logging.getLogger("torch.onnx").level == logging.INFO
    assert all(layer.training for layer in module.modules())
    for name, value in before.state_dict().items():
        assert torch.equal(module.state_dict()[name], value)
    expected = module.eval()(torch.from_numpy(words)).detach().numpy()
    assert_allclose(run(path, words), expected, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["pruned by torch", "weight_norm", "old spectral_norm", "default arguments", "half"]
)
def test_odd_networks_compute_the_same(tmp_path, name):
    module = (COMPUTED | OWN)[name]()
    to_onnx(module, tmp_path / "net.onnx", ROWS)
    rows = ROWS.to(next(module.parameters()).dtype)
    expected = module.eval()(rows).detach().numpy()
    assert_allclose(run(tmp_path / "net.onnx", rows.numpy()), expected, atol=1e-2)


def test_squeezed_outputs_have_one_axis_for_any_number_of_samples(tmp_path):
    module = nn.Sequential(nn.Linear(6, 3), nn.Flatten(), nn.Linear(3, 1), nn.Flatten(0))
    with pytest.raises(ValueError, match="X=None"):
        to_onnx(module, tmp_path / "net.onnx")
    to_onnx(module, tmp_path / "net.onnx", ROWS)
    assert run(tmp_path / "net.onnx", ROWS[:1].numpy()).shape == (1,)


def test_threads_take_turns(tmp_path):
    modules = [nn.Sequential(nn.Linear(6, n), nn.ReLU(), nn.Linear(n, 2)) for n in (3, 4, 5)]
    with ThreadPoolExecutor(3) as pool:
        paths = [tmp_path / f"{i}.onnx" for i in range(3)]
        list(pool.map(to_onnx, modules, paths, [ROWS] * 3))
    for module, path in zip(modules, paths, strict=True):
        assert_same(path, module, ROWS.numpy())


def test_pipelines_are_seen_through(tmp_path):
    pruner = GivenMaskPruner(PLANTED.make_net(max_epochs=1), PLANTED.mask, random_state=0)
    pipeline = make_pipeline(StandardScaler(), pruner).fit(PLANTED.X, PLANTED.y)
    to_onnx(pipeline, tmp_path / "net.onnx", PLANTED.X)
    scaled = pipeline[0].transform(PLANTED.X).astype(np.float32)
    labels = run(tmp_path / "net.onnx", scaled).argmax(axis=1)
    assert_array_equal(labels, pipeline.predict(PLANTED.X))


def test_without_onnx_runtime_the_file_is_checked_by_the_reference(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    to_onnx(OWN["between layers"](), tmp_path / "net.onnx", ROWS)
    with pytest.raises(ValueError, match=r"The file (would not compute|fails on)"):
        to_onnx(ByRows(), tmp_path / "net.onnx", ROWS)


# Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["forward hook", "forward of a layer", "dropout in training"])
def test_odd_networks_are_refused(tmp_path, name):
    message = "has the forward hook|has a forward of its own|change from call to call"
    with pytest.raises(ValueError, match=message):
        to_onnx((PATCHED | UNSTEADY)[name](), tmp_path / "net.onnx", ROWS)
    assert not list(tmp_path.iterdir())


class Dynamic(nn.Module):
    def forward(self, X):
        return X if X.sum() > 0 else -X


class Two(nn.Module):
    def forward(self, X):
        return X, 2 * X


class Squeezed(nn.Module):
    def forward(self, X):
        return X.flatten(1).mean(dim=1, keepdim=True).squeeze()


class ByRows(nn.Module):
    def forward(self, X):
        return X if X.shape[0] > 1 else -X


class Distances(nn.Module):
    def forward(self, X):
        return -torch.cdist(X, torch.eye(4, 3))


@pytest.mark.parametrize(
    ("module", "X", "message"),
    [
        (nn.Linear(8, 3), None, "X=None, but the shape of .* is unknown; pass X"),
        (nn.Linear(7, 3), IMAGES, r"Linear, cannot read X, with rows of shape \(1, 8, 8\): .*"),
        (
            Dynamic(),
            IMAGES,
            r"cannot export network \(Dynamic\) .* data-dependent .* without control flow",
        ),
        (Two(), IMAGES, "one tensor with one row per sample; for 3 samples Two returns tuple"),
        (nn.Flatten(0), IMAGES, r"one row per sample; for 3 samples Flatten returns \(192,\)"),
        (Squeezed(), IMAGES, r"for 1 samples Squeezed returns \(\). .* write squeeze\(-1\)"),
        (ByRows(), IMAGES, "The file (would not compute|fails on)"),
        (
            nn.Sequential(SparseLinear(nn.Linear(8, 3))),
            IMAGES,
            r"Linear .* write compact\(network\)",
        ),
    ],
)
def test_what_cannot_be_written_leaves_an_earlier_file(tmp_path, module, X, message):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"an earlier file")
    with pytest.raises(ValueError, match=message):
        to_onnx(module, path, X)
    assert path.read_bytes() == b"an earlier file"
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_refusals_name_the_module_of_a_pruner(tmp_path):
    def distances():
        return nn.Sequential(nn.Linear(2, 3), Distances())

    net = NeuralNetClassifier(distances, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, round_epochs=1, random_state=0)
    pruner.fit(PLANTED.X, PLANTED.y)
    with pytest.raises(ValueError, match=r"cannot export network \(Sequential\) for inputs"):
        to_onnx(pruner, tmp_path / "net.onnx")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "net.onnx"
    folder.mkdir()
    with pytest.raises(OSError, match="onnx"):
        to_onnx(nn.Linear(8, 3), folder, IMAGES)
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_folders_and_networks_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path=.*a folder that does not exist; create"):
        to_onnx(nn.Linear(8, 3), tmp_path / "none" / "net.onnx", IMAGES)
    with pytest.raises(TypeError, match="network must be a fitted pruner"):
        to_onnx(PLANTED.make_net().initialize(), tmp_path / "net.onnx")


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_without_onnx_the_error_tells_how_to_get_it(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-tickets\[onnx\]'"):
        to_onnx(compact(nn.Linear(8, 3)), tmp_path / "net.onnx", IMAGES)
