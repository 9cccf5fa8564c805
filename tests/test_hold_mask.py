"""`HoldMask`: pruned weights are exactly 0 in every forward, and have no gradients."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback, Checkpoint, GradientNormClipping, LRScheduler
from torch import nn, optim

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, IterativeMagnitudePruner
from sklearn_tickets.training import HoldMask, Training, _hold_mask, hold_mask, last_train_loss
from tests.small_nets import MASK, MOMENTUM, X, Y, assert_same_state, initialized, make_net, weights

OPTIMIZERS = [
    MOMENTUM,
    {"optimizer": optim.Adam},
    {"optimizer": optim.AdamW, "optimizer__weight_decay": 0.1},
    {"optimizer": optim.LBFGS},
]


def assert_holds(net, mask=MASK):
    """Pruned entries are exactly 0 and kept ones are not."""
    for name, kept in mask.items():
        value = net.module_.get_parameter(name).detach()
        assert (value[~kept] == 0).all()
        assert (value[kept] != 0).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda p: p["optimizer"].__name__)
def test_pruned_weights_stay_exactly_zero(optimizer):
    net = make_net(**optimizer, callbacks=[HoldMask(MASK)])
    assert_holds(net.fit(X, Y))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda p: p["optimizer"].__name__)
def test_pruned_weights_do_not_revive_from_momentum(optimizer):
    net = initialized(**optimizer)
    net.partial_fit(X, Y)
    assert all((value != 0).any() for value in weights(net).values())
    hold_mask(net, MASK)
    assert_holds(net)
    before = weights(net)
    net.partial_fit(X, Y)
    assert_holds(net)
    assert not torch.equal(before["layers.0.weight"], net.module_.layers[0].weight)


class AtEveryBatch(Callback):
    def __init__(self, action):
        self.action = action

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.action(net)


def test_mask_holds_after_every_step_before_other_callbacks_look():
    seen = []
    net = initialized(callbacks=[AtEveryBatch(lambda net: seen.append(assert_holds(net)))])
    hold_mask(net, MASK)
    net.partial_fit(X, Y)
    assert len(seen) == 3 * 4


def test_mask_holds_in_a_training_that_is_interrupted_within_a_step():
    def stop(net):
        raise KeyboardInterrupt

    assert_holds(make_net(callbacks=[AtEveryBatch(stop), HoldMask(MASK)]).fit(X, Y))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_of_a_fitted_net_keep_holding(copied):
    net = make_net(**MOMENTUM, callbacks=[HoldMask(MASK)]).fit(X, Y)
    other = copied(net)
    before = weights(net)
    other.partial_fit(X, Y)
    assert_holds(other)
    assert_same_state(before, weights(net))
    assert not torch.equal(before["layers.1.weight"], other.module_.layers[1].weight)


def test_clones_hold_the_same_mask():
    net = clone(make_net(callbacks=[HoldMask(MASK)]))
    assert net.callbacks[0].mask == MASK
    assert_holds(net.fit(X, Y))


def test_callback_keeps_no_tensors_after_training():
    net = make_net(callbacks=[HoldMask(MASK)]).fit(X, Y)
    callback = dict(net.callbacks_)["HoldMask"]
    assert vars(callback).keys() == {"mask"}


def test_mask_holds_where_callbacks_are_disabled():
    net = initialized(callbacks="disable")
    hold_mask(net, MASK)
    net.partial_fit(X, Y)
    assert_holds(net)
    assert np.isfinite(last_train_loss(net))


def test_newer_mask_replaces_the_older():
    net = initialized()
    hold_mask(net, MASK)
    smaller = MASK & MASK.shuffled(rng=0)
    hold_mask(net, smaller)
    net.partial_fit(X, Y)
    assert_holds(net, smaller)
    assert [name for name, _ in net.callbacks_].count("sklearn_tickets.hold_mask") == 1


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_mask_holds_in_a_compiled_module():
    net = initialized(compile=True, compile__backend="eager", **MOMENTUM)
    hold_mask(net, MASK)
    net.partial_fit(X, Y)
    for name, kept in MASK.items():
        value = net.module_._orig_mod.get_parameter(name).detach()
        assert (value[~kept] == 0).all()
        assert (value[kept] != 0).all()


def test_mask_that_does_not_fit_is_refused_before_training():
    net = make_net(callbacks=[HoldMask(TicketMask({"layers.0.weight": [[1]]}))])
    with pytest.raises(ValueError, match="mask does not fit MLP"):
        net.fit(X, Y)
    net = initialized()
    with pytest.raises(ValueError, match="mask does not fit MLP"):
        hold_mask(net, TicketMask({"layers.0.weight": [[1]]}))


# In every forward ---------------------------------------------------------------------------


WEIGHTS_OF_MASK = TicketMask({name: MASK[name] for name in MASK if "weight" in name})


class Recorded(MLP):
    """Notes which weights are not 0, whenever it computes a training loss."""

    trainings: list = []

    def forward(self, X):
        if self.training:
            nonzero = {name: p != 0 for name, p in self.named_parameters() if p.ndim > 1}
            self.trainings[-1].append(TicketMask(nonzero))
        return super().forward(X)


class Trainings(Callback):
    def on_train_begin(self, net, **kwargs):
        Recorded.trainings.append([])


def recorded(**params):
    """A net that records its forwards, in a list for each training."""
    Recorded.trainings.clear()
    callbacks = [Trainings(), *params.pop("callbacks", [])]
    return make_net(module=Recorded, callbacks=callbacks, **{"batch_size": 20} | params)


def assert_each_is_within(forwards, mask):
    assert forwards
    for nonzero in forwards:
        assert nonzero & ~mask == mask & ~mask


LBFGS = {"optimizer": optim.LBFGS, "optimizer__max_iter": 5, "batch_size": -1, "lr": 0.1}
ALL_OPTIMIZERS = {
    "momentum": MOMENTUM,
    "nesterov": MOMENTUM | {"optimizer__nesterov": True},
    "Adam": {"optimizer": optim.Adam, "optimizer__weight_decay": 0.1},
    "fused": {"optimizer": optim.Adam, "optimizer__fused": True},
    "AdamW": {"optimizer": optim.AdamW, "optimizer__weight_decay": 0.1},
    "Adagrad": {"optimizer": optim.Adagrad},
    "Adadelta": {"optimizer": optim.Adadelta},
    "RMSprop": {"optimizer": optim.RMSprop, "optimizer__momentum": 0.9},
    "Rprop": {"optimizer": optim.Rprop},
    "ASGD": {"optimizer": optim.ASGD, "optimizer__t0": 1},
    "Adamax": {"optimizer": optim.Adamax},
    "NAdam": {"optimizer": optim.NAdam},
    "RAdam": {"optimizer": optim.RAdam},
    "LBFGS": LBFGS,
    "LBFGS-in-batches": LBFGS | {"batch_size": 20},
    "LBFGS-line-search": LBFGS | {"optimizer__line_search_fn": "strong_wolfe"},
    "LBFGS-schedule": LBFGS
    | {"callbacks": [LRScheduler("StepLR", step_size=1)], "optimizer__max_iter": 3},
}


@pytest.mark.parametrize("rewind_epoch", [0, 1, None])
@pytest.mark.parametrize("name", ALL_OPTIMIZERS)
def test_pruned_weights_are_zero_in_every_forward(name, rewind_epoch):
    net = recorded(**{"lr": 0.01} | ALL_OPTIMIZERS[name])
    pruner = IterativeMagnitudePruner(
        net, sparsity=0.6, n_rounds=2, rewind_epoch=rewind_epoch, random_state=0
    ).fit(X, Y[:, 0])
    dense, *sparse = Recorded.trainings
    assert len(sparse) == len(pruner.rounds_) == 2
    assert all(nonzero.sparsity == 0 for nonzero in dense)
    for forwards, record in zip(sparse, pruner.rounds_, strict=True):
        assert_each_is_within(forwards, record["mask"])
    n_steps = 3 if rewind_epoch != 1 else 2
    assert len(sparse[-1]) >= n_steps * (3 if "LBFGS" in name else 1)
    assert last_train_loss(pruner.estimator_) < pruner.estimator_.history[0, "train_loss"] + 0.1


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("on_epoch_begin", "data"),
        ("on_batch_begin", "data"),
        ("on_grad_computed", "data"),
        ("on_grad_computed", "grad"),
        ("on_batch_end", "data"),
        ("on_epoch_end", "data"),
    ],
)
@pytest.mark.parametrize("optimizer", [MOMENTUM, {"optimizer": optim.Adam}])
def test_callbacks_that_change_weights_leave_pruned_ones_at_zero(event, kind, optimizer):
    calls = []

    def add_noise(callback, net, **kwargs):
        calls.append(event)
        # What comes before the first step is refused.
        for p in net.module_.parameters() if len(calls) > 1 else ():
            getattr(p, kind).add_(0.01)

    noise = type("Noise", (Callback,), {event: add_noise})()
    pruner = GivenMaskPruner(recorded(callbacks=[noise], **optimizer), MASK, random_state=0)
    pruner.fit(X, Y[:, 0])
    assert_each_is_within(Recorded.trainings[0], WEIGHTS_OF_MASK)
    assert len(Recorded.trainings[0]) == 9
    assert len(calls) >= 3


def test_a_callback_in_the_place_of_a_default_may_change_weights():
    class Nudges(Callback):
        def on_batch_begin(self, net, **kwargs):
            for p in net.module_.parameters() if net.history[-1]["epoch"] > 1 else ():
                p.data.add_(0.01)

    Recorded.trainings[:] = [[]]
    net = make_net(module=Recorded, callbacks__epoch_timer=Nudges())
    GivenMaskPruner(net, MASK, random_state=0).fit(X, Y[:, 0])
    assert_each_is_within(Recorded.trainings[0], WEIGHTS_OF_MASK)


class TwoSteps(optim.SGD):
    """Evaluates the loss twice in a step, away from 0 the second time."""

    def step(self, closure):
        closure()
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                p.add_(0.01)
        loss = closure()
        super().step()
        return loss


def test_optimizers_that_move_pruned_weights_between_evaluations_are_refused():
    message = "optimizer=TwoSteps .* moves pruned entries of 'layers"
    with pytest.raises(ValueError, match=message):
        make_net(optimizer=TwoSteps, callbacks=[HoldMask(MASK)]).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        GivenMaskPruner(make_net(optimizer=TwoSteps), MASK).fit(X, Y[:, 0])


# Gradients ----------------------------------------------------------------------------------


class Norms(Callback):
    """Notes the gradients that an optimizer is given."""

    def on_train_begin(self, net, **kwargs):
        self.gradients_ = []

    def on_grad_computed(self, net, **kwargs):
        self.gradients_.append({n: p.grad.clone() for n, p in net.module_.named_parameters()})


@pytest.mark.parametrize("limit", [1e-3, 0.1])
def test_clipped_norms_do_not_count_pruned_weights(limit):
    callbacks = [("before", Norms()), GradientNormClipping(limit), ("after", Norms())]
    net = initialized(callbacks=callbacks)
    hold_mask(net, MASK)
    Training(net, X, Y, 2).run()
    before, after = (dict(net.callbacks_)[name].gradients_ for name in ("before", "after"))
    for given, clipped in zip(before, after, strict=True):
        assert all(not given[name][~kept].any() for name, kept in MASK.items())
        norm = torch.cat([g.flatten() for g in given.values()]).norm()
        clipped_norm = torch.cat([g.flatten() for g in clipped.values()]).norm()
        assert norm > limit
        assert clipped_norm.item() == pytest.approx(limit, rel=1e-3)


def test_sparse_gradients_are_masked():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(5, 3, sparse=True)

        def forward(self, X):
            return self.table(X[:, 0].long()).sum(1, keepdim=True)

    kept = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    mask = TicketMask({"table.weight": kept})
    net = NeuralNetRegressor(
        Embedded,
        optimizer=optim.SparseAdam,
        callbacks=[HoldMask(mask)],
        train_split=None,
        max_epochs=3,
        verbose=0,
    )
    rows = np.arange(20).reshape(-1, 1) % 5
    table = net.fit(rows.astype("float32"), np.ones((20, 1), "float32")).module_.table.weight
    assert torch.equal(table != 0, kept)


# At the end ---------------------------------------------------------------------------------


class Loads(Callback):
    """Loads other weights at the end of a training."""

    def __init__(self, load):
        self.load = load

    def on_train_end(self, net, **kwargs):
        self.load(net.module_)


@pytest.mark.parametrize(
    "load",
    [
        lambda module: nn.init.ones_(module.layers[0].weight),
        lambda module: module.layers[1].weight.data.fill_(1e-30),
        lambda module: module.load_state_dict(MLP(3, 1, hidden=(8,)).state_dict()),
    ],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_weights_of_a_denser_network_are_refused(load, is_last):
    pruner = IterativeMagnitudePruner(
        make_net(callbacks=[Loads(load)]), sparsity=0.5, n_rounds=2, random_state=0
    ).set_params(final_epochs=1 if is_last else 0)
    with pytest.raises(ValueError, match=r"changed pruned entries of 'layers.* load_best=False"):
        pruner.fit(X, Y[:, 0])


def test_weights_of_the_same_mask_may_be_loaded(tmp_path):
    best = Checkpoint(monitor="train_loss_best", load_best=True, dirname=str(tmp_path))
    pruner = GivenMaskPruner(make_net(callbacks=[best]), MASK, random_state=0).fit(X, Y[:, 0])
    assert_holds(pruner.estimator_)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda p: p["optimizer"].__name__)
def test_training_that_diverges_is_called_that(optimizer):
    pruner = GivenMaskPruner(make_net(**optimizer | {"lr": 1e30}), MASK, random_state=0)
    with pytest.raises(ValueError, match="training loss of estimator=NeuralNetRegressor is"):
        pruner.fit(X, Y[:, 0])


@pytest.mark.parametrize(
    ("memory_format", "optimizer"),
    [
        (torch.contiguous_format, MOMENTUM),
        (torch.contiguous_format, {"optimizer": optim.LBFGS}),
        (torch.channels_last, MOMENTUM),
    ],
)
def test_large_weights_are_multiplied_part_by_part(memory_format, optimizer, monkeypatch):
    def convolution():
        torch.manual_seed(0)
        layers = nn.Conv2d(2, 5, 2), nn.Flatten(), nn.Linear(5, 1)
        return nn.Sequential(*layers).to(memory_format=memory_format)

    images = np.random.RandomState(0).randn(20, 2, 2, 2).astype("float32")
    mask = TicketMask.ones_like(convolution()).shrink(
        {"0.weight": torch.rand(5, 2, 2, 2), "2.weight": torch.rand(1, 5)}, 0.5
    )
    trained = []
    for part in (10**9, 7):
        monkeypatch.setattr(_hold_mask, "_PART", part)
        net = NeuralNetRegressor(
            convolution, train_split=None, verbose=0, **optimizer, callbacks=[HoldMask(mask)]
        )
        trained.append(net.fit(images, Y[:20]).module_.state_dict())
    assert_same_state(*trained)
    assert_holds(net, mask)
