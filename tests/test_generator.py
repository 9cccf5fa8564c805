"""`PlantedTicketGenerator`: what it returns, repeatability, and its errors."""

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch import NeuralNetClassifier, NeuralNetRegressor

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import TASKS, HelixTask
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP

FINGERPRINT = """
import hashlib
from sklearn_tickets.datasets import PlantedTicketGenerator
planted = PlantedTicketGenerator("helix", random_state=3).generate(50)
digest = hashlib.sha256(planted.X.tobytes() + planted.y.tobytes())
digest.update(planted.mask.to_vector().tobytes() + planted.output_scale.tobytes())
for parameter in planted.module().parameters():
    digest.update(parameter.detach().numpy().tobytes())
print(digest.hexdigest())
"""


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("task", "x_shape", "y_shape", "y_dtype", "net"),
    [
        ("circle", (500, 2), (500,), np.int64, NeuralNetClassifier),
        ("relu", (500, 1), (500,), np.float32, NeuralNetRegressor),
        ("helix", (500, 1), (500, 3), np.float32, NeuralNetRegressor),
    ],
)
@pytest.mark.parametrize("scaling", ["hidden", "trainable"])
def test_what_is_generated(task, x_shape, y_shape, y_dtype, net, scaling):
    planted = PlantedTicketGenerator(task, scaling=scaling, random_state=0).generate(500)
    assert (planted.X.shape, planted.X.dtype) == (x_shape, np.float32)
    assert (planted.y.shape, planted.y.dtype) == (y_shape, y_dtype)
    assert planted.mask == planted.module().ticket
    assert planted.mask.n_parameters == sum(p.numel() for p in planted.module().parameters())
    assert planted.output_scale.shape == (TASKS[task].n_outputs,)
    assert (planted.output_scale > 0).all()
    assert scaling == "hidden" or (planted.output_scale == 1).all()
    assert planted.feature_names == list(TASKS[task].feature_names)
    assert planted.target_names == list(TASKS[task].target_names)
    assert task in planted.DESCR
    assert f"{planted.mask.n_kept:,} are the ticket" in planted.DESCR
    assert type(planted.make_net()) is net
    if task == "circle":
        assert planted.ticket_score > 0.985
    else:
        assert planted.ticket_score == pytest.approx(0 if task == "relu" else 2.16e-4, rel=0.05)


@pytest.mark.parametrize("task", TASKS)
def test_shapes_of_the_host(task):
    module = PlantedTicketGenerator(task, depth=6, width=40, random_state=0).generate(1).module()
    assert isinstance(module, MLP)
    sizes = [layer.in_features for layer in module.layers]
    assert sizes == [TASKS[task].n_inputs, 40, 40, 40, 40]


def test_host_weights_follow_the_stated_law():
    module = PlantedTicketGenerator("relu", width=300, random_state=0).generate(1).module()
    expected = 1.0
    for layer in module.layers:
        deviation = (2 / layer.in_features) ** 0.5
        expected *= deviation
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if weight.shape[0] > 1:
            assert weight.std().item() == pytest.approx(deviation, rel=0.15)
            assert bias[bias != 0].std().item() == pytest.approx(expected, rel=0.15)


def test_same_seed_same_problem_whatever_the_number_of_samples():
    generator = PlantedTicketGenerator(random_state=0)
    few, many = generator.generate(10), generator.generate(1000)
    assert few.mask == many.mask
    assert few.ticket_score == many.ticket_score
    assert_array_equal(few.output_scale, many.output_scale)
    assert same_weights(few.module(), many.module())
    again = clone(generator).generate(1000)
    assert_array_equal(again.X, many.X)
    assert_array_equal(again.y, many.y)
    assert not same_weights(
        many.module(), PlantedTicketGenerator(random_state=1).generate(1).module()
    )


def test_same_problem_in_a_new_process(capsys):
    exec(FINGERPRINT, {})
    command = [sys.executable, "-c", FINGERPRINT]
    elsewhere = subprocess.run(command, capture_output=True, check=True, text=True)
    assert elsewhere.stdout == capsys.readouterr().out


@pytest.mark.parametrize("random_state", [0, None])
def test_global_streams_are_left_alone(random_state):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    planted = PlantedTicketGenerator(random_state=random_state).generate(10)
    planted.make_net()
    planted.module(output_scale=True)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state[1])
    assert np.random.get_state()[2] == numpy_state[2]


def test_random_state_instance_moves_on_and_none_differs():
    rng = np.random.RandomState(0)
    first, second = (PlantedTicketGenerator(random_state=rng).generate(5) for _ in range(2))
    assert not same_weights(first.module(), second.module())
    first, second = (PlantedTicketGenerator().generate(5) for _ in range(2))
    assert not same_weights(first.module(), second.module())


def test_return_x_y_mask():
    generator = PlantedTicketGenerator(random_state=0)
    X, y, mask = generator.generate(20, return_X_y_mask=True)
    planted = generator.generate(20)
    assert_array_equal(X, planted.X)
    assert_array_equal(y, planted.y)
    assert isinstance(mask, TicketMask)
    assert mask == planted.mask


def test_noise_is_what_distinguishes_y_from_the_target():
    clean = PlantedTicketGenerator("helix", noise=0, random_state=0).generate(2000)
    noisy = PlantedTicketGenerator("helix", noise=0.1, random_state=0).generate(2000)
    assert_array_equal(clean.X, noisy.X)
    assert_allclose(clean.y, HelixTask().target(clean.X.astype(float)), atol=1e-6)
    assert (noisy.y - clean.y).std() == pytest.approx(0.1, rel=0.05)


def test_everything_survives_pickle_and_deepcopy():
    planted = PlantedTicketGenerator(random_state=0).generate(10)
    for twin in (pickle.loads(pickle.dumps(planted)), copy.deepcopy(planted)):
        assert twin.keys() == planted.keys()
        assert twin.mask == planted.mask
        assert same_weights(twin.module(), planted.module())
        assert isinstance(twin.make_net(), NeuralNetClassifier)


def test_net_trains_and_leaves_the_planted_weights_alone():
    planted = PlantedTicketGenerator("circle", width=50, random_state=0).generate(200)
    net = clone(planted.make_net(max_epochs=2, lr=0.01, train_split=None))
    assert (net.lr, net.batch_size, net.optimizer__fused) == (0.01, 32, True)
    assert len(net.fit(planted.X, planted.y).history) == 2
    assert not same_weights(net.module_, planted.module())
    assert net.module_.ticket == planted.mask


def test_net_settings_can_be_replaced():
    planted = PlantedTicketGenerator("helix", random_state=0).generate(40)
    net = planted.make_net(
        output_scale=True, optimizer=torch.optim.LBFGS, criterion=torch.nn.L1Loss
    ).initialize()
    assert net.criterion is torch.nn.L1Loss
    scale = net.module_.layers[-1].output_scale
    assert_array_equal(scale, planted.output_scale.astype(np.float32))


@dataclass(frozen=True)
class TwoOutputs(HelixTask):
    """A task of one's own: two coordinates of the helix."""

    name = "spiral"
    n_outputs = 2
    target_names = ("u", "v")

    def target(self, X):
        return super().target(X)[:, :2]

    def construct(self, depth):
        *layers, (weight, bias) = super().construct(depth)
        return (*layers, (weight[:2], bias[:2]))


def test_task_of_ones_own():
    planted = PlantedTicketGenerator(TwoOutputs(), random_state=0).generate(30)
    assert planted.y.shape == (30, 2)
    assert planted.ticket_score < 4e-4
    assert "spiral" in planted.DESCR


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"task": "moons"},
            "'task' parameter of PlantedTicketGenerator must .* Got 'moons' instead",
        ),
        ({"depth": 2}, r"'depth' parameter .* range \[3, inf\). Got 2 instead"),
        ({"depth": 4.0}, r"'depth' parameter .* Got 4.0 instead"),
        ({"width": 19}, "width=19 is less than the 20 units .* Set width to 20 or more"),
        ({"width": 0}, "'width' parameter .* Got 0 instead"),
        ({"task": "helix", "width": 29}, "width=29 .* Set width to 30 or more"),
        ({"noise": -0.1}, r"'noise' parameter .* range \[0.0, inf\). Got -0.1 instead"),
        ({"noise": 1.5}, "noise=1.5 .* a number from 0 to 1"),
        ({"noise": float("nan")}, "'noise' parameter .* Got nan instead"),
        ({"scaling": "big"}, "'scaling' parameter .* Got 'big' instead"),
        ({"random_state": "x"}, "'random_state' parameter .* Got 'x' instead"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        PlantedTicketGenerator(**parameters).generate(10)


@pytest.mark.parametrize("n_samples", [0, -5, 2.5])
def test_bad_number_of_samples(n_samples):
    with pytest.raises(ValueError, match=f"'n_samples' parameter .* Got {n_samples} instead"):
        PlantedTicketGenerator().generate(n_samples)


@pytest.mark.parametrize("task", TASKS)
def test_narrowest_host(task):
    needed = max(len(bias) for _, bias in TASKS[task].construct(5)[:-1])
    planted = PlantedTicketGenerator(task, width=needed, random_state=0).generate(10)
    wide = PlantedTicketGenerator(task, random_state=0).generate(10)
    assert planted.mask.n_kept == wide.mask.n_kept
