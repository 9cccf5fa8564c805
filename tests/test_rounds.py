"""Rounds: densities, rewinding, schedules and records."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import (
    GeneticPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
)
from tests.instances import assert_refused, make_net, small_data, weights


@pytest.fixture
def data():
    return small_data()


def trained_densely(data, n_epochs, **net_params):
    net = make_net("classifier", max_epochs=n_epochs, **net_params)
    return GivenMaskPruner(net, random_state=0).fit(*data)


@pytest.mark.parametrize("rewind_epoch", [0, 2, None])
def test_kept_weights_return_to_where_they_were(data, rewind_epoch):
    pruner = IterativeMagnitudePruner(
        make_net("classifier"),
        sparsity=0.75,
        n_rounds=1,
        round_epochs=4,
        rewind_epoch=rewind_epoch,
        train_ticket=False,
        random_state=0,
    ).fit(*data)
    passed = 4 if rewind_epoch is None else rewind_epoch
    there = weights(trained_densely(data, passed)) if passed else pruner.initial_state_
    for name, kept in pruner.mask_.items():
        assert torch.equal(weights(pruner)[name][kept], there[name][kept])


def test_rewinding_to_an_epoch_continues_as_if_never_interrupted(data):
    """With nothing pruned, two rounds rewound to epoch 2 end where plain training ends."""
    schedule = [("lr", LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5))]
    params = {
        "callbacks": schedule,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "iterator_train__shuffle": False,
    }
    rewound = MagnitudePruner(
        make_net("classifier", max_epochs=5, **params),
        sparsity=0.0,
        n_rounds=2,
        round_epochs=3,
        rewind_epoch=2,
        random_state=0,
    ).fit(*data)
    plain = trained_densely(data, 5, **params)
    for name, value in weights(plain).items():
        assert torch.equal(weights(rewound)[name], value)
    assert rewound.estimator_.history[:, "event_lr"] == plain.estimator_.history[:, "event_lr"]
    assert len(rewound.estimator_.history) == 5


def test_every_restart_begins_the_schedule_again(data):
    schedule = [("lr", LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5))]
    pruner = IterativeMagnitudePruner(
        make_net("classifier", callbacks=schedule, max_epochs=3),
        sparsity=0.5,
        n_rounds=2,
        rewind_epoch=None,
        random_state=0,
    ).fit(*data)
    assert pruner.estimator_.history[:, "event_lr"] == [0.01, 0.005, 0.0025]


def test_densities_fall_geometrically_and_end_exactly_at_the_target(data):
    net = make_net("classifier", max_epochs=1)
    pruner = RandomPruner(net, sparsity=0.99, n_rounds=4, random_state=0)
    with pytest.warns(LayerCollapseWarning):
        pruner.fit(*data)
    n = pruner.mask_.n_parameters
    assert [r["n_kept"] for r in pruner.rounds_] == [
        round(0.01 ** (t / 4) * n) for t in (1, 2, 3, 4)
    ]
    assert list(pruner.rounds_[0]) == [
        *("round", "density", "mask", "n_kept", "n_effective", "collapsed", "train_loss"),
        *("history", "seconds"),
    ]


def test_a_collapsed_network_is_a_warning_and_a_record(data):
    pruner = MagnitudePruner(make_net("classifier", max_epochs=1), sparsity=0.995, random_state=0)
    with pytest.warns(LayerCollapseWarning, match="no path from inputs to outputs"):
        pruner.fit(*data)
    assert pruner.rounds_[-1]["collapsed"]
    assert pruner.rounds_[-1]["n_effective"] == 0
    assert len(np.unique(pruner.predict(data[0]))) == 1


class Residual(nn.Module):
    """The input next to what a mask covers."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.f = kind, nn.Linear(6, 6)
        self.head = nn.Parameter(torch.ones(2))

    def forward(self, x):
        past = {
            "add": lambda: x,
            "sort": lambda: x.sort(dim=1).values,
            "branch": lambda: x if x.sum() > -1e9 else -x,
            "index": lambda: torch.eye(6)[:, :6][(x > 0).long()[:, 0]].to(x.dtype),
        }[self.kind]
        return (self.f(x) + past())[:, :2] * self.head


@pytest.mark.parametrize("kind", ["add", "sort", "branch", "index"])
def test_networks_that_are_not_constant_have_not_collapsed(kind, data):
    """A warning would be an error here."""
    module = ModuleTemplate(Residual(kind))
    mask = TicketMask({"f.weight": np.eye(6) * [[0], [0], [0], [0], [0], [1]]})  # a dead end
    net = make_net("classifier", module=module, max_epochs=1)
    pruner = GivenMaskPruner(net, mask, random_state=0).fit(*data)
    assert not pruner.rounds_[-1]["collapsed"]
    assert pruner.input_support_.any()


NO_EYE = np.repeat([[0, 1]], [6, 26], axis=1).repeat(2, axis=0)


@pytest.mark.filterwarnings("ignore:The mask did not move")
@pytest.mark.parametrize(
    ("pruner", "remedies"),
    [
        (MagnitudePruner(None, sparsity=0.995), "a lower sparsity or more rounds or scope='layer'"),
        (RandomPruner(None, sparsity=0.995, scope="layer"), "a lower sparsity or more rounds"),
        (RigLPruner(None, sparsity=0.995, scope="layer"), "a lower sparsity"),
        (RigLPruner(None, sparsity=0.995, scope="global"), "a lower sparsity or scope='layer'"),
        (GivenMaskPruner(None), "a mask that connects them"),
    ],
    ids=repr,
)
def test_the_warning_of_a_collapse_names_what_can_be_done(pruner, remedies, data):
    net = make_net("classifier", max_epochs=1)
    pruner = clone(pruner).set_params(estimator=net, random_state=0)
    if "mask" in pruner.get_params():
        pruner.mask = TicketMask({"layers.0.weight": np.eye(32, 6), "layers.1.weight": NO_EYE})
    with pytest.warns(LayerCollapseWarning, match=rf"keeps .* parameters\. Try {remedies}\."):
        pruner.fit(*data)


def test_rounds_keep_their_trained_weights_if_asked():
    X, y = make_classification(n_samples=80, n_features=6, n_informative=4, random_state=0)
    net = make_net("classifier", max_epochs=3)
    pruner = IterativeMagnitudePruner(net, sparsity=0.5, n_rounds=3, random_state=0)
    pruner.set_params(store_rounds=True, train_ticket=False).fit(X, y)
    mask = TicketMask.ones_like(pruner.estimator_.module_)
    for record in pruner.rounds_:
        state = record["state"]
        assert list(state) == list(pruner.initial_state_)
        weight = state["layers.0.weight"]
        assert not torch.equal(weight, pruner.initial_state_["layers.0.weight"])
        # Trained under the mask before the round, from which the smallest were then taken.
        assert torch.equal(weight != 0, mask["layers.0.weight"])
        trained = torch.cat([state[name].abs().flatten() for name in mask])
        kept = torch.from_numpy(record["mask"].to_vector())
        assert trained[~kept].max() <= trained[kept].min()
        mask = record["mask"]
    pruner.set_params(store_rounds=False).fit(X, y)
    assert "state" not in pruner.rounds_[0]


def test_one_cycle_spans_each_training(data):
    net = make_net("classifier", lr=0.1, max_epochs=4)
    pruner = MagnitudePruner(
        net, sparsity=0.5, round_epochs=2, schedule="one-cycle", random_state=0
    ).fit(*data)
    rates = np.concatenate(pruner.estimator_.history[:, "batches", :, "event_lr"])
    assert len(rates) == 4 * 5
    assert rates.max() == pytest.approx(0.1, rel=0.05)
    assert rates[-1] < 1e-4 < rates[0] < 0.02
    assert not any("one_cycle" in name for name, _ in pruner.estimator_.callbacks_)


def test_one_cycle_leaves_momentum_alone(data):
    net = make_net("classifier", optimizer=torch.optim.SGD, lr=0.1, max_epochs=2)
    pruner = MagnitudePruner(net, sparsity=0.5, schedule="one-cycle", random_state=0).fit(*data)
    assert pruner.estimator_.optimizer_.param_groups[0]["momentum"] == 0


@pytest.mark.parametrize("rewind_epoch", [0, 1])
def test_the_best_weights_of_a_denser_round_do_not_come_back(data, tmp_path, rewind_epoch):
    net = make_net(
        "classifier",
        callbacks=[Checkpoint(dirname=tmp_path, load_best=True)],
        train_split=ValidSplit(0.25),
        max_epochs=4,
    )
    pruner = IterativeMagnitudePruner(
        net, sparsity=0.5, n_rounds=3, rewind_epoch=rewind_epoch, random_state=0
    ).fit(*data)
    for name, kept in pruner.mask_.items():
        assert not weights(pruner)[name][~kept].any()
    assert any(pruner.estimator_.history[:, "valid_loss_best"])


@pytest.mark.parametrize(
    ("make_pruner", "complaint"),
    [
        (
            lambda: MagnitudePruner(make_net("classifier"), round_epochs=3, rewind_epoch=4),
            "rewind_epoch=4 is beyond the 3 epochs trained in a round",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier"), round_epochs=5, rewind_epoch=4, final_epochs=2
            ),
            "rewind_epoch=4 is beyond the 2 epochs of the ticket's training",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier", callbacks=[EarlyStopping("train_loss", threshold=10.0)]),
                round_epochs=9,
                rewind_epoch=8,
                final_epochs=9,
            ),
            "rewind_epoch=8 is beyond the . epochs after which a callback",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier"), round_epochs=3, rewind_epoch=2, schedule="one-cycle"
            ),
            "schedule='one-cycle' restarts",
        ),
    ],
)
def test_states_that_are_not_passed_are_refused(make_pruner, complaint, data):
    assert_refused(make_pruner(), data, complaint)


def test_rounds_keep_the_history_of_their_training(data):
    net = make_net("classifier", max_epochs=3, train_split=ValidSplit(4))
    pruner = IterativeMagnitudePruner(
        net, sparsity=0.5, n_rounds=2, rewind_epoch=1, final_epochs=5, random_state=0
    ).fit(*data)
    first, second = (record["history"] for record in pruner.rounds_)
    for history, record in zip((first, second), pruner.rounds_, strict=True):
        assert [row["epoch"] for row in history] == [1, 2, 3]
        assert {"train_loss", "valid_loss", "valid_acc", "dur"} <= history[0].keys()
        assert "batches" not in history[0]
        assert history[-1]["train_loss"] == pytest.approx(record["train_loss"])
    # The second round goes on from the first epoch.
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert len(pruner.estimator_.history) == 5
    assert SNIPPruner(net, random_state=0).fit(*data).rounds_[0]["history"] == []


def test_the_history_of_a_search_without_gradients_is_that_of_its_generations(data):
    pruner = GeneticPruner(
        make_net("classifier"),
        population_size=6,
        min_generations=3,
        max_generations=3,
        random_state=0,
    ).fit(*data)
    [record] = pruner.rounds_
    assert [row["epoch"] for row in record["history"]] == [1, 2, 3]
    assert record["history"][-1]["train_loss"] == record["train_loss"]
