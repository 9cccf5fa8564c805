"""`plant_ticket`: the ticket is exact, hidden, trainable, and nothing else is touched."""

import copy
import pickle
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator, plant_ticket
from sklearn_tickets.datasets.tasks import TASKS, CircleTask, HelixTask, ReluTask, feed_forward
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import SNIPPruner

# The functions that measure the full-sized figures measure smaller ones here.
measure = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "benchmarks/planting.py")))


def random_host(task, depth=5, width=50, seed=0):
    """The generator's host, before planting."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        host = MLP(task.n_inputs, task.n_outputs, hidden=(width,) * (depth - 2))
        for layer in host.layers:
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
    return host


@pytest.mark.parametrize("scaling", ["hidden", "trainable"])
@pytest.mark.parametrize(("depth", "width"), [(3, 50), (5, 100), (6, 50), (10, 100)])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_masked_host_is_the_construction(task, depth, width, scaling):
    X = task.sample(2000, RandomState(0))
    target = task.construct(depth)
    expected = feed_forward(target, X)
    for seed in range(3):
        host = random_host(task, depth, width, seed)
        factory = plant_ticket(target, host, scaling=scaling, random_state=seed)
        for mask_bias in (True, False):
            outputs = measure.masked_outputs(factory, X, mask_bias=mask_bias)
            assert measure.disagreement(outputs, expected, "regression") < 1e-9
            assert task.kind == "regression" or (
                measure.disagreement(outputs, expected, "classification") <= 5e-4
            )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_mask_counts_what_the_ticket_needs(task):
    target = task.construct(5)
    factory = plant_ticket(target, random_host(task), random_state=0)
    counts = factory.ticket.summary()["n_kept"].tolist()
    assert counts == [np.count_nonzero(array) for layer in target for array in layer]
    assert list(factory.ticket) == [name for name, _ in factory().named_parameters()]


def test_trainable_scaling_plants_the_weights_themselves():
    target = HelixTask().construct(5)
    factory = plant_ticket(target, random_host(HelixTask()), scaling="trainable", random_state=0)
    assert_array_equal(factory.output_scale, np.ones(3))
    parameters = dict(factory().named_parameters())
    for i, (weight, bias) in enumerate(target):
        for name, planted in ((f"layers.{i}.weight", weight), (f"layers.{i}.bias", bias)):
            found = parameters[name].detach()[factory.ticket[name]]
            wanted = planted[planted != 0].astype(np.float32)
            assert_array_equal(np.sort(found), np.sort(wanted))


def test_weights_beside_the_ticket_and_biases_of_biased_layers_stay():
    host = random_host(HelixTask())
    factory = plant_ticket(HelixTask().construct(5), host, random_state=0)
    planted = dict(factory().named_parameters())
    for name, parameter in host.named_parameters():
        beside = ~factory.ticket[name]
        if parameter.ndim == 2:
            assert torch.equal(planted[name][beside], parameter[beside])
        else:
            changed = planted[name][beside] != parameter[beside]
            assert changed.sum() <= 0.3 * len(beside)


def test_missing_biases_do_not_give_planted_units_away():
    host = random_host(CircleTask(), width=104)
    planted = plant_ticket(CircleTask().construct(5), host)()
    biases = [layer.bias.detach().numpy() for layer in planted.layers]
    # Layers of 4 and 2 planted units without bias, and one of 20 of which two have none.
    assert [np.count_nonzero(bias == 0) for bias in biases] == [4 + 25, 2 + 25, 2 + 21, 0]


@pytest.mark.parametrize("task", [CircleTask(), HelixTask()], ids=lambda task: task.name)
def test_size_does_not_give_planted_weights_away(task):
    for seed in range(10):
        factory = plant_ticket(
            task.construct(5), random_host(task, width=100, seed=seed), random_state=seed
        )
        sizes, planted = measure.relative_sizes(factory)
        assert measure.detection_auc(sizes, planted) <= 0.65
        assert sizes[planted].max() < 4
        assert len(np.unique(sizes[planted])) >= 0.9 * planted.sum()


def test_all_units_are_equally_likely():
    host, target = random_host(HelixTask(), depth=3, width=40), HelixTask().construct(3)
    uses = sum(
        plant_ticket(target, host, random_state=seed).ticket["layers.0.bias"].numpy().astype(int)
        for seed in range(400)
    )
    assert uses.sum() == 400 * 30
    # Drawing 30 of 40 without replacement makes the counts vary less than independent draws.
    assert chisquare(uses).statistic * 40 / 10 < 39 * 2
    assert uses.min() > 0.6 * uses.mean()


def test_circle_ticket_stays_good_in_training():
    assert measure.trained_score("circle", 5, 100, "trainable", seed=0) >= 0.96
    assert measure.trained_score("circle", 5, 100, "hidden", seed=0) >= 0.90


def test_helix_ticket_stays_good_in_training():
    assert measure.trained_score("helix", 5, 100, "trainable", seed=0) <= 3e-4
    assert measure.trained_score("helix", 5, 100, "hidden", seed=0) <= 4e-3


def test_host_and_global_streams_are_left_alone():
    host = random_host(CircleTask())
    before = copy.deepcopy(host.state_dict())
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    factory = plant_ticket(CircleTask().construct(5), host)
    module = factory()
    module.layers[0].weight.data.zero_()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)
    assert all(torch.equal(value, before[name]) for name, value in host.state_dict().items())
    assert factory().layers[0].weight.abs().sum() > 0, "calls must not share weights"


def test_factory_survives_pickle_deepcopy_and_clone():
    factory = plant_ticket(ReluTask().construct(4), random_host(ReluTask(), 4), random_state=0)
    assert repr(factory) == "PlantedModule(MLP, TicketMask(3 of 2,701 parameters))"
    expected = factory(output_scale=True).state_dict()
    assert expected["layers.2.output_scale"].shape == (1,)
    for twin in (
        pickle.loads(pickle.dumps(factory)),
        copy.deepcopy(factory),
        clone(factory, safe=False),
    ):
        assert twin.ticket == factory.ticket
        state = twin(output_scale=True).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in state.items())


def test_output_scale_changes_the_forward_and_no_parameter():
    factory = plant_ticket(CircleTask().construct(5), random_host(CircleTask()), random_state=0)
    plain, scaled = factory(), factory(output_scale=True)
    assert list(dict(plain.named_parameters())) == list(dict(scaled.named_parameters()))
    assert "output_scale" not in plain.state_dict()
    X = torch.tensor([[0.1, 0.2], [-0.3, 0.4]])
    scale = torch.tensor(factory.output_scale, dtype=torch.float32)
    assert torch.equal(scaled(X), plain(X) * scale)
    assert copy.deepcopy(scaled).ticket == pickle.loads(pickle.dumps(plain)).ticket


def test_same_seed_same_planting():
    host, target = random_host(CircleTask()), CircleTask().construct(5)
    one, same, other = (plant_ticket(target, host, random_state=seed) for seed in (0, 0, 1))
    assert one.ticket == same.ticket != other.ticket
    pairs = zip(one().parameters(), same().parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_pruned_mlp_can_be_planted_into_a_narrower_host():
    wide = plant_ticket(CircleTask().construct(5), random_host(CircleTask()), random_state=0)
    pruned = wide()
    wide.ticket.apply_(pruned)
    narrow = plant_ticket(pruned, random_host(CircleTask(), width=30), random_state=0)
    assert narrow.ticket.n_kept == wide.ticket.n_kept
    X = CircleTask().sample(100, RandomState(0))
    outputs = measure.masked_outputs(narrow, X) * wide.output_scale
    assert_allclose(outputs, feed_forward(CircleTask().construct(5), X), rtol=1e-3, atol=1e-3)


def test_what_a_pruner_found_can_be_planted():
    planted = PlantedTicketGenerator("relu", depth=4, width=20, random_state=0).generate(200)
    net = planted.make_net(max_epochs=2)
    pruner = SNIPPruner(net, sparsity=0.9, prune_bias=True, random_state=0)
    pruner.fit(planted.X, planted.y)
    factory = plant_ticket(pruner, MLP(1, 1, hidden=(50, 50)), random_state=0)
    module = factory(output_scale=True)
    module.ticket.apply_(module)
    outputs = module(torch.from_numpy(planted.X)).detach().numpy().ravel()
    assert_allclose(outputs, pruner.predict(planted.X), rtol=1e-3, atol=1e-5)


def test_what_a_pipeline_or_search_found_can_be_planted():
    planted = PlantedTicketGenerator("relu", depth=4, width=20, random_state=0).generate(200)
    pruner = SNIPPruner(planted.make_net(max_epochs=1), sparsity=0.5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), pruner).fit(planted.X, planted.y)
    search = GridSearchCV(pipeline, {"snippruner__sparsity": [0.5]}, cv=2)
    for estimator in (pipeline, search.fit(planted.X, planted.y)):
        module = plant_ticket(estimator, MLP(1, 1, (50, 50)), random_state=0)(output_scale=True)
        module.ticket.apply_(module)
        scaled = getattr(estimator, "best_estimator_", estimator)[0].transform(planted.X)
        outputs = module(torch.from_numpy(scaled).float()).detach().numpy().ravel()
        assert_allclose(outputs, estimator.predict(planted.X), rtol=1e-3, atol=1e-5)
    with pytest.raises(NotFittedError):
        plant_ticket(clone(pipeline), MLP(1, 1, (50, 50)))
    net = planted.make_net().initialize()
    with pytest.raises(TypeError, match="target must be a fitted pruner, a Pipeline that"):
        plant_ticket(net, MLP(1, 1, (50, 50)))


def test_other_hosts_are_refused():
    with pytest.raises(TypeError, match=r"host must be a torch.nn.Module; got list"):
        plant_ticket(ReluTask().construct(3), [np.ones((9, 1)), np.ones((1, 9))])


def test_a_unit_of_constant_output_can_be_planted():
    target = ((np.zeros((1, 1)), np.array([2.0])), (np.array([[3.0]]), np.zeros(1)))
    host = random_host(ReluTask(), depth=3)
    outputs = measure.masked_outputs(plant_ticket(target, host, random_state=0), np.zeros((1, 1)))
    assert_allclose(outputs, 6, rtol=1e-6)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (MLP(2, 4, (20, 20)), "host has 3 layers of weights and target has 4"),
        (nn.Sequential(nn.Flatten(), nn.Linear(2, 4)), "host has 1 layers of weights and target"),
        (MLP(2, 4, (20, 20, 19)), "host has 19 units in hidden layer 3 and target needs 20"),
        (MLP(1, 4, (20, 20, 20)), "host has 1 inputs and 4 outputs, target has 2 and 4"),
    ],
)
def test_hosts_without_room_are_refused(host, message):
    with pytest.raises(ValueError, match=message):
        plant_ticket(CircleTask().construct(5), host)


def test_a_host_of_zeros_has_nowhere_to_hide():
    host, target = MLP(1, 1, (5,)), ReluTask().construct(3)
    for parameter in host.parameters():
        parameter.data.zero_()
    with pytest.raises(ValueError, match="All weights of layer 0 of host are 0"):
        plant_ticket(target, host)
    assert plant_ticket(target, host, scaling="trainable").ticket.n_kept == 2


def test_unknown_scaling_is_refused():
    with pytest.raises(ValueError, match="scaling must be 'hidden' or 'trainable'; got 'big'"):
        plant_ticket(ReluTask().construct(3), MLP(1, 1, (5,)), scaling="big")


def test_no_planted_weight_stands_out():
    """A unit of unequal weights is scaled by its largest, which stays within 3 * 1.2 deviations."""
    target = [
        (np.array([[1.0, *[0.01] * 19], *[[1.0] * 20] * 3]), np.zeros(4)),
        (np.ones((1, 4)), np.zeros(1)),
    ]
    for seed in range(5):
        torch.manual_seed(seed)
        host = MLP(20, 1, hidden=(50,))
        deviation = host.layers[0].weight.detach().square().mean().sqrt()
        module = plant_ticket(target, host, random_state=seed)()
        planted = module.layers[0].weight.detach()[module.ticket["layers.0.weight"]].abs()
        # The largest weight of the unequal unit is 4.4 times the unit's root mean square.
        assert planted.max() <= 3.6 * deviation
        assert planted.max() >= 2.4 * deviation
