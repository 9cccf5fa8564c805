"""`TrainingState`: training continues from it as if it had not been interrupted."""

import pickle

import pytest
import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from sklearn_tickets._random import seeded
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training import TrainingState
from tests.small_nets import MOMENTUM, assert_same_state, initialized, trained, weights


def without_timings(history):
    """The rows less their durations, and less what skorch finds best since it resumed."""
    return [
        {k: v for k, v in row.items() if k not in ("dur", "train_loss_best")} for row in history
    ]


@pytest.mark.parametrize(
    "optimizer", [MOMENTUM, {"optimizer": torch.optim.Adam}], ids=["momentum", "Adam"]
)
@pytest.mark.parametrize(
    "schedule",
    [
        None,
        LRScheduler(StepLR, step_size=2, gamma=0.1),
        LRScheduler(StepLR, step_size=3, gamma=0.1),
        LRScheduler(CosineAnnealingLR, T_max=7),
        LRScheduler(ExponentialLR, gamma=0.5),
        LRScheduler(OneCycleLR, max_lr=0.05, total_steps=28, step_every="batch"),
        LRScheduler(ReduceLROnPlateau, patience=0, threshold=10, threshold_mode="abs"),
    ],
    ids=["constant", "step2", "step3", "cosine", "exponential", "one_cycle", "plateau"],
)
@pytest.mark.parametrize("epoch", [1, 3])
def test_training_continues_from_an_epoch_as_if_uninterrupted(optimizer, schedule, epoch):
    callbacks = [] if schedule is None else [("schedule", schedule)]
    net = initialized(**optimizer, lr=0.02, callbacks=callbacks)
    expected, state = trained(net, 7, snapshot=epoch)
    history = without_timings(net.history)
    for _ in range(2):
        state.restore(net)
        assert len(net.history) == epoch
        assert_same_state(trained(net, 7)[0], expected)
        assert without_timings(net.history) == history
    assert not {"snapshot", "resume"} & dict(net.callbacks_).keys()


def test_schedule_begins_again_from_the_start():
    net = initialized(lr=0.1, callbacks=[("schedule", LRScheduler(StepLR, step_size=1))])
    start = TrainingState.of(net)
    for _ in range(2):
        trained(net, 2)
        assert net.history[:, "event_lr"] == pytest.approx([0.1, 0.01])
        start.restore(net)


def test_restored_history_has_the_columns_of_its_epochs():
    net = initialized(train_split=ValidSplit(5))
    _, state = trained(net, 4, snapshot=2)
    rows_before = list(net.history)[:2]
    state.restore(net)
    assert list(net.history) == rows_before
    assert len(net.history[:, ("train_loss", "valid_loss", "dur")]) == 2


def test_restoring_the_start_repeats_the_training():
    net = initialized(optimizer=torch.optim.Adam)
    start = TrainingState.of(net)
    before = weights(net)
    expected, _ = trained(net, 3)
    start.restore(net)
    assert_same_state(weights(net), before)
    assert len(net.history) == 0
    assert len(net.optimizer_.state) == 0
    assert_same_state(trained(net, 3)[0], expected)


def test_weights_may_stay_when_the_schedule_begins_again():
    net = initialized(**MOMENTUM)
    start = TrainingState.of(net)
    expected, _ = trained(net, 3)
    start.restore(net, keep_weights=True)
    assert_same_state(weights(net), expected)
    assert len(net.history) == 0
    assert len(net.optimizer_.state) == 0


def test_buffers_are_restored():
    def module():
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    with seeded(0, "cpu"):
        net = NeuralNetRegressor(module, train_split=None, verbose=0).initialize()
    start = TrainingState.of(net)
    trained(net, 2)
    assert net.module_[1].num_batches_tracked > 0
    start.restore(net)
    assert net.module_[1].num_batches_tracked == 0
    assert (net.module_[1].running_mean == 0).all()


def test_state_of_a_compiled_module_has_the_plain_names():
    net = initialized(compile=True, compile__backend="eager")
    assert TrainingState.of(net).module.keys() == initialized().module_.state_dict().keys()


class TiedNet(nn.Module):
    """Two layers of one weight."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
        self.decode.weight = self.encode.weight

    def forward(self, X):
        return self.decode(self.encode(X).relu())


def test_tied_parameters_stay_tied_even_in_pickles():
    net = NeuralNetRegressor(TiedNet, train_split=None, verbose=0).initialize()
    state = pickle.loads(pickle.dumps(TrainingState.of(net))).module
    mask = TicketMask({"encode.weight": torch.eye(4)})
    net.module_.load_state_dict(mask.apply(state))
    assert not net.module_.decode.weight[~mask["encode.weight"]].any()
