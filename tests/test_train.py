"""Holding masks, random streams, batches, rewinding, and float64 inference."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from torch.utils.data import DataLoader, Subset, TensorDataset

from sklearn_tickets._network import hidden_features, infer
from sklearn_tickets._random import seeded
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner
from sklearn_tickets.training import (
    HoldMask,
    Training,
    TrainingState,
    batch_iterator,
    hold_mask,
    last_train_loss,
)

RNG = np.random.RandomState(0)
X = RNG.randn(60, 3).astype("float32")
Y = (X @ [[1], [-2], [0.5]]).astype("float32")
MASK = TicketMask(
    {
        name: RNG.rand(*shape) < 0.5
        for name, shape in {
            "layers.0.weight": (8, 3),
            "layers.0.bias": (8,),
            "layers.1.weight": (1, 8),
        }.items()
    }
)
MOMENTUM = {
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "optimizer__weight_decay": 0.01,
}
OPTIMIZERS = [
    MOMENTUM,
    {"optimizer": torch.optim.Adam},
    {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
    {"optimizer": torch.optim.LBFGS},
]


def make_net(net_class=NeuralNetRegressor, **params):
    """A silent net around a small MLP that trains on all rows."""
    defaults = {
        "module": MLP,
        "module__n_features": 3,
        "module__n_outputs": 1,
        "module__hidden": (8,),
        "batch_size": 16,
        "max_epochs": 3,
        "train_split": None,
        "verbose": 0,
    }
    return net_class(**defaults | params)


def initialized(seed=0, **params):
    with seeded(seed, "cpu"):
        return make_net(**params).initialize()


def weights(net):
    return {name: value.clone() for name, value in net.module_.named_parameters()}


def assert_holds(net, mask=MASK):
    """Pruned entries are exactly 0 and kept ones are not."""
    for name, kept in mask.items():
        value = net.module_.get_parameter(name).detach()
        assert (value[~kept] == 0).all()
        assert (value[kept] != 0).all()


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


# Holding the mask --------------------------------------------------------------------


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


# Random streams ----------------------------------------------------------------------


def draw():
    return torch.rand(3).tolist() + np.random.rand(3).tolist()


def test_seeded_block_repeats_and_leaves_the_global_streams():
    with seeded(7, "cpu"):
        first = draw()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    with seeded(7, "cpu"):
        assert draw() == first
    with seeded(8, torch.device("cpu")):
        assert draw() != first
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(), numpy_state)


def test_streams_are_put_back_after_an_error():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    with pytest.raises(KeyError), seeded(0, "cpu"):
        raise KeyError(*draw())
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(), numpy_state)
    with seeded(0, "cpu"):
        pass


def test_seeded_blocks_nest():
    with seeded(1, "cpu"):
        expected = [draw(), draw()]
    with seeded(1, "cpu"):
        first = draw()
        with seeded(2, "cpu"):
            draw()
        assert [first, draw()] == expected


def test_threads_take_turns_and_repeat():
    visits, drawn = [], {}

    def work(seed):
        with seeded(seed, "cpu"):
            visits.append(seed)
            drawn[seed] = draw()
            threading.Event().wait(0.02)
            drawn[seed] += draw()
            visits.append(seed)

    for seed in range(4):
        work(seed)
    alone = drawn.copy()
    drawn.clear()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == alone
    assert visits[::2] == visits[1::2]


def test_seeded_training_repeats():
    nets = []
    for _ in range(2):
        with seeded(3, "cpu"):
            nets.append(make_net(iterator_train__shuffle=True).fit(X, Y))
    assert_same_state(weights(nets[0]), weights(nets[1]))


# Batches -----------------------------------------------------------------------------


def rows(batches):
    return torch.cat([batch for batch, _ in batches])


@pytest.mark.parametrize("batch_size", [1, 16, 20, 60, 100])
def test_batches_are_those_of_a_data_loader(batch_size):
    dataset = Dataset(X, Y)
    batches, expected = (
        list(make(dataset, batch_size=batch_size)) for make in (batch_iterator, DataLoader)
    )
    assert len(batches) == len(batch_iterator(dataset, batch_size)) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            assert torch.equal(part, other_part)
            assert part.dtype == other_part.dtype


def test_every_pass_is_shuffled_anew_and_covers_every_row_once():
    numbers = np.arange(50)
    batches = batch_iterator(Dataset(numbers, numbers * 2), batch_size=8, shuffle=True)
    with seeded(0, "cpu"):
        passes = [list(batches) for _ in range(2)]
    orders = [rows(batches).tolist() for batches in passes]
    assert orders[0] != orders[1] != list(numbers)
    for order, one_pass in zip(orders, passes, strict=True):
        assert sorted(order) == list(numbers)
        assert all(torch.equal(2 * batch, target) for batch, target in one_pass)


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_of_a_split_are_those_of_the_split(shuffle):
    for part in ValidSplit(3)(Dataset(X, Y), Y):
        assert isinstance(part, Subset)
        batches = batch_iterator(part, batch_size=16, shuffle=shuffle)
        assert not isinstance(batches, DataLoader)
        got = rows(batches).numpy()
        assert {tuple(row) for row in got} == {tuple(row) for row in X[part.indices]}
        assert len(got) == len(part)


class OwnDataset(Dataset):
    def transform(self, X, y):
        return X + 1, y


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        (TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), {}),
        (Subset(Subset(Dataset(X, Y), range(50)), range(40)), {}),
        (OwnDataset(X, Y), {}),
        (Dataset({"X": X}, Y), {}),
        (Dataset(X), {}),
        (Dataset(X, Y), {"drop_last": True}),
    ],
)
def test_anything_else_goes_to_a_data_loader(dataset, options):
    batches = batch_iterator(dataset, batch_size=7, **options)
    assert isinstance(batches, DataLoader)
    assert len(list(batches)) == len(DataLoader(dataset, batch_size=7, **options))


def test_nets_train_alike_on_batches_and_on_a_data_loader():
    first, second = (initialized(iterator_train=kind) for kind in (batch_iterator, DataLoader))
    for net in (first, second):
        net.partial_fit(X, Y)
    assert_same_state(weights(first), weights(second))


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "view",
    [lambda a: a[::-1], lambda a: a[::2], np.asfortranarray, read_only, torch.from_numpy],
    ids=["reversed", "strided", "fortran", "read_only", "tensor"],
)
def test_any_memory_layout_will_do(view):
    expected = torch.from_numpy(np.asarray(view(X)).copy())
    assert torch.equal(rows(batch_iterator(Dataset(view(X), view(Y)), 16)), expected)
    net = initialized()
    np.testing.assert_allclose(infer(net.module_, view(X)), infer(net.module_, expected.numpy()))


class InPlace(nn.Module):
    """A network whose first layer works in place."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return self.layer(x.relu_())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_that_work_in_place_do_not_change_the_data(dtype):
    data = X.copy()
    net = NeuralNetRegressor(
        InPlace, train_split=None, iterator_train=batch_iterator, max_epochs=1, verbose=0
    ).fit(data, Y)
    np.testing.assert_array_equal(data, X)
    data = X.astype(dtype)
    infer(net.module_, data)
    np.testing.assert_array_equal(data, X)


# Training and rewinding --------------------------------------------------------------


def without_timings(history):
    """The rows less their durations, and less what skorch finds best since it resumed."""
    return [
        {k: v for k, v in row.items() if k not in ("dur", "train_loss_best")} for row in history
    ]


def train(net, X, Y, until, snapshot=None):
    training = Training(net, X, Y, until, snapshot)
    training.run()
    return training.passed


def trained(net, until, snapshot=None):
    state = train(net, X, Y, until, snapshot)
    return weights(net), state


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


def test_snapshot_is_of_the_end_of_its_epoch_and_is_a_copy():
    short, long = initialized(), initialized()
    expected, _ = trained(short, 2)
    _, state = trained(long, 5, snapshot=2)
    assert_same_state(state.module, expected)
    assert not any("snapshot" in name for name, _ in long.callbacks_)


def test_snapshot_of_an_epoch_that_is_not_reached_is_none():
    assert trained(initialized(), 2, snapshot=3)[1] is None
    assert trained(initialized(), 2)[1] is None
    assert trained(initialized(), 2, snapshot=0)[1] is None


def test_snapshot_of_the_epoch_at_which_a_callback_stops():
    stopper = EarlyStopping("train_loss", patience=2, threshold=1e6, threshold_mode="abs")
    net = initialized(callbacks=[("stop", stopper)])
    trained(net, 50)
    n_epochs = len(net.history)
    again = initialized(callbacks=[("stop", stopper)])
    _, state = trained(again, 50, snapshot=n_epochs)
    assert_same_state(state.module, weights(net))
    assert len(state.epochs) == n_epochs


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


def test_training_counts_the_epochs_in_the_history():
    net = initialized()
    trained(net, 2)
    trained(net, 5)
    assert len(net.history) == 5
    before = weights(net)
    assert_same_state(trained(net, 5)[0], before)


def test_no_epochs_are_no_error():
    net = initialized()
    before = weights(net)
    assert_same_state(trained(net, 0)[0], before)


def test_callbacks_may_stop_the_training():
    stopper = EarlyStopping("train_loss", patience=2, threshold=1e6, threshold_mode="abs")
    net = initialized(callbacks=[("stop", stopper)])
    assert trained(net, 50, snapshot=10)[1] is None
    assert len(net.history) < 10


@pytest.mark.parametrize("params", [{"lr": 1e30}, {"lr": float("nan"), "callbacks": "disable"}])
def test_training_loss_that_is_not_finite_is_an_error(params):
    net = initialized(**params)
    with pytest.raises(
        ValueError, match=r"loss of estimator=NeuralNetRegressor is nan after 3 epochs.*lr=(1e|nan)"
    ):
        train(net, X, Y, 3)
    assert not any("snapshot" in name for name, _ in net.callbacks_)


class Listener(Callback):
    """Notes what it is told; counts the batches by an attribute of its own."""

    def __init__(self):
        self.told = []
        self.on_grad_computed = lambda net, **kwargs: self.told.append("grad")

    def on_batch_begin(self, net, training=False, **kwargs):
        self.told.append("begin")
        net.module_.layers[0].eval()

    def on_batch_end(self, net, training=False, **kwargs):
        self.told.append(net.module_.layers[0].training)


def test_callbacks_are_told_of_every_batch():
    listener = Listener()
    net = initialized(callbacks=[("listener", listener)], batch_size=len(X))
    train(net, X, Y, 2)
    # A layer that a callback switches is in training mode again when the batch is trained.
    assert dict(net.callbacks_)["listener"].told == ["begin", "grad", True] * 2


def test_modules_are_validated_in_evaluation_mode():
    modes = []

    class Watched(MLP):
        def forward(self, X):
            modes.append([layer.training for layer in self.modules()])
            return super().forward(X)

    net = initialized(module=Watched, train_split=ValidSplit(2), batch_size=len(X))
    train(net, X, Y, 2)
    assert [set(mode) for mode in modes] == [{True}, {False}] * 2


def test_nets_with_methods_of_their_own_keep_them():
    events = []

    class Talking(NeuralNetRegressor):
        def notify(self, method_name, **kwargs):
            events.append(method_name)
            super().notify(method_name, **kwargs)

    net = initialized(net_class=Talking, batch_size=len(X))
    train(net, X, Y, 1)
    assert events.count("on_batch_end") == 1


def test_a_net_is_as_before_when_it_has_been_trained():
    net = initialized()
    names = vars(net).keys()
    train(net, X, Y, 1)
    assert vars(net).keys() == names
    with pytest.raises(ValueError, match="loss of estimator"):
        train(initialized(lr=1e30), X, Y, 3)


def test_a_training_that_fails_puts_random_streams_back():
    pruner = GivenMaskPruner(make_net(lr=1e30, max_epochs=3), random_state=0)
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(3), np.random.uniform(size=3)
    torch.manual_seed(1)
    np.random.seed(1)
    with pytest.raises(ValueError, match="loss of estimator=NeuralNetRegressor is nan") as error:
        pruner.fit(X, Y)
    # Even while the error, and with it all that the fit has known, is kept.
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.uniform(size=3), expected[1])
    assert error.value


def test_last_train_loss_is_a_mean_over_rows_of_training_batches():
    assert np.isnan(last_train_loss(initialized()))
    net = initialized(lr=1e-30, train_split=ValidSplit(4))
    trained(net, 1)
    part = ValidSplit(4)(Dataset(X, Y), Y)[0].indices
    expected = np.mean((infer(net.module_, X[part]) - Y[part]) ** 2)
    assert last_train_loss(net) == pytest.approx(expected, rel=1e-5)


# Inference ---------------------------------------------------------------------------


def test_inference_is_the_forward_pass_in_float64():
    net = initialized()
    outputs = infer(net.module_, X)
    assert outputs.dtype == np.float64
    assert outputs.shape == (60, 1)
    np.testing.assert_array_equal(
        outputs, copy.deepcopy(net.module_).double()(torch.from_numpy(X).double()).detach()
    )


def test_rows_do_not_depend_on_the_rows_beside_them():
    with seeded(0, "cpu"):
        module = nn.Sequential(
            nn.Linear(20, 300), nn.BatchNorm1d(300), nn.ReLU(), nn.Dropout(), nn.Linear(300, 5)
        )
    data = np.random.RandomState(0).randn(2500, 20).astype("float32")
    whole = infer(module, data)
    for chosen in (slice(1), slice(1000, 1100), slice(None, None, 7), [2499, 0]):
        np.testing.assert_allclose(
            infer(module, data[chosen]), whole[chosen], rtol=1e-12, atol=1e-12
        )


def test_inference_leaves_the_module_as_it_was():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))
    module[1].eval()
    before = copy.deepcopy(module.state_dict())
    infer(module, X, {name: value * 2 for name, value in before.items()})
    hidden_features(module, X, TicketMask.ones_like(module))
    assert_same_state(dict(module.state_dict()), dict(before))
    assert [layer.training for layer in module] == [True, False, True, True]
    assert all(not layer._forward_pre_hooks for layer in module)


def test_inference_with_other_weights():
    module = nn.Linear(3, 1)
    state = {"weight": torch.tensor([[1.0, 0, 0]]), "bias": torch.tensor([0.5])}
    np.testing.assert_allclose(infer(module, X, state)[:, 0], X[:, 0] + 0.5)


class Tied(nn.Module):
    """An autoencoder whose halves share a weight, with a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("rotation", torch.eye(3).flip(0), persistent=False)

    def forward(self, x):
        return self.decode(self.encode(x) @ self.rotation)


def test_inference_with_shared_weights_and_unsaved_buffers():
    module = Tied()
    expected = module(torch.from_numpy(X)).detach()
    np.testing.assert_allclose(infer(module, X), expected, atol=1e-5)
    mask = TicketMask({"encode.weight": np.eye(3)})
    masked = infer(module, X, mask.apply(module.state_dict()))
    mask.apply_(module)
    np.testing.assert_allclose(infer(module, X), masked)
    assert not np.allclose(masked, expected)


def test_outputs_of_one_axis_become_a_column():
    module = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    assert infer(module, X).shape == (60, 1)


def test_threads_may_share_a_module():
    with seeded(0, "cpu"):
        module = nn.Sequential(nn.Linear(3, 50), nn.Dropout(), nn.Linear(50, 2))
    mask = TicketMask.ones_like(module)
    expected, hidden = infer(module, X), hidden_features(module, X, mask)
    wrong = []

    def work():
        for _ in range(40):
            try:
                np.testing.assert_allclose(infer(module, X), expected)
                np.testing.assert_allclose(hidden_features(module, X, mask), hidden)
                assert mask.effective(module, X) == mask
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert all(layer.training for layer in module)


def test_hidden_features_are_the_inputs_of_the_last_layer():
    net = initialized()
    mask = TicketMask.ones_like(net.module_)
    hidden = hidden_features(net.module_, X, mask)
    assert hidden.dtype == np.float32
    expected = net.module_.layers[0](torch.from_numpy(X)).relu().detach()
    np.testing.assert_allclose(hidden, expected, rtol=1e-5, atol=1e-6)


class Backwards(nn.Module):
    """The layer that is declared first is executed last."""

    def __init__(self):
        super().__init__()
        self.last, self.conv = nn.Linear(18, 1), nn.Conv2d(1, 2, 2)

    def forward(self, x):
        return self.last(self.conv(x).flatten(1))


def test_hidden_features_are_of_the_layer_executed_last_and_flat():
    module, images = Backwards(), RNG.randn(1500, 1, 4, 4).astype("float32")
    hidden = hidden_features(module, images, TicketMask.ones_like(module))
    expected = module.conv(torch.from_numpy(images)).flatten(1).detach()
    np.testing.assert_allclose(hidden, expected, rtol=1e-4, atol=1e-5)
    without_last = TicketMask.ones_like(module, exclude=["last.weight"])
    np.testing.assert_array_equal(
        hidden_features(module, images, without_last), images.reshape(1500, 16)
    )


def test_hidden_features_of_a_mask_of_biases_alone():
    net = initialized()
    mask = TicketMask.ones_like(net.module_, prune_bias=True, exclude=["*.weight"])
    assert hidden_features(net.module_, X, mask).shape == (60, 8)


def test_classifier_nets_train_with_a_validation_split():
    net = make_net(
        NeuralNetClassifier,
        module__n_outputs=2,
        criterion=nn.CrossEntropyLoss,
        train_split=ValidSplit(5),
    ).initialize()
    assert train(net, X, (Y[:, 0] > 0).astype("int64"), 2) is None
    assert np.isfinite(last_train_loss(net))
