"""Nets that would predict anything but their module's outputs are refused before training."""

from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

from sklearn_tickets._network import infer
from sklearn_tickets._random import seeded
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, SNIPPruner, SynFlowPruner
from sklearn_tickets.pruners.base import _net
from tests.instances import assert_refused, make_net, small_data

X, Y = small_data()
CLASSES = np.array([0, 1])


class CountsEpochs(Callback):
    """Fails if anything is trained."""

    def on_train_begin(self, net, **kwargs):
        raise AssertionError("a training began")


def pruner_of(module=MLP, **params):
    net = make_net("classifier", module=module, max_epochs=1, callbacks=[CountsEpochs()], **params)
    return MagnitudePruner(net, sparsity=0.5, random_state=0)


def fitted(module, data=(X, Y), pruner=MagnitudePruner, **params):
    net = make_net("classifier", module=module, **{"max_epochs": 2, **params})
    return pruner(net, sparsity=0.5, random_state=0).fit(*data)


# Methods of nets -------------------------------------------------------------------------------

REFUSED = {
    "infer": "the module's forward",
    "evaluation_step": "the module's forward",
    "forward": "the module's forward",
    "forward_iter": "the module's forward",
    "predict": "predict_nonlinearity",
    "predict_proba": "predict_nonlinearity",
    "score": "a scorer",
    "fit": "TransformedTargetRegressor",
    "partial_fit": "TransformedTargetRegressor",
    "fit_loop": "train_step_single",
    "run_single_epoch": "train_step_single",
    "train_step": "train_step_single",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "base", [NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor]
)
def test_methods_that_a_pruner_replaces_are_refused(name, base):
    def method(self, *args, **kwargs):
        return getattr(base, name)(self, *args, **kwargs)

    Own = type("OwnNet", (base,), {name: method})
    net = Own(MLP, train_split=None, verbose=0)
    if base is NeuralNetClassifier:
        net.set_params(criterion=nn.CrossEntropyLoss)
    y = Y.astype("float32") if base is NeuralNetRegressor else Y
    complaint = rf"estimator=OwnNet has a {name} method of its own.* into .*{REFUSED[name]}"
    assert_refused(MagnitudePruner(net), (X, y), complaint)


def test_a_method_of_the_instance_is_refused():
    pruner = pruner_of()
    pruner.estimator.infer = lambda x: x
    assert_refused(pruner, (X, Y), "has a infer method of its own")


class TrainsItsWay(NeuralNetClassifier):
    """Halves the loss, and counts the calls of what is honored."""

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) / 2

    def train_step_single(self, batch, **fit_params):
        self.n_steps = getattr(self, "n_steps", 0) + 1
        return super().train_step_single(batch, **fit_params)

    def validation_step(self, batch, **fit_params):
        self.n_validations = getattr(self, "n_validations", 0) + 1
        return super().validation_step(batch, **fit_params)


def test_methods_that_training_calls_are_honored():
    own = TrainsItsWay(
        partial(MLP, hidden=(8,)),
        criterion=nn.CrossEntropyLoss,
        lr=0.1,
        batch_size=40,
        max_epochs=1,
        verbose=0,
    )
    plain = NeuralNetClassifier(**own.get_params()).set_params(lr=0.05)
    ours, theirs = (SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, Y) for net in (own, plain))
    assert ours.mask_ == theirs.mask_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)
    assert ours.estimator_.n_steps == 2
    assert ours.estimator_.n_validations == 1


class Doubled(Dataset):
    def transform(self, X, y):
        X, y = super().transform(X, y)
        return 2 * X, y


class OwnBatches(NeuralNetClassifier):
    def get_iterator(self, dataset, training=False):
        for x, y in super().get_iterator(dataset, training):
            yield x + 1, y


def collate(samples):
    x, y = torch.utils.data.default_collate(samples)
    return x.flip(1), y


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.set_params(dataset=Doubled),
        lambda net: net.set_params(iterator_valid__collate_fn=collate),
        lambda net: net.set_params(iterator_valid__sampler=range(7, -1, -1)),
        lambda net: net.set_params(iterator_valid__drop_last=True, batch_size=16),
        lambda net: OwnBatches(**net.get_params()),
    ],
)
def test_rows_that_are_changed_on_the_way_are_refused(change):
    torch.manual_seed(0)
    pruner = pruner_of()
    pruner.set_params(estimator=change(pruner.estimator))
    assert_refused(pruner, (X, Y), r"changes the rows of X, .* Put the change into a transformer")


def test_a_dataset_that_changes_nothing_is_taken():
    class Own(Dataset):
        pass

    fitted(MLP, dataset=Own)


def negative_softmax(outputs):
    return (-outputs).softmax(dim=1)


def toward_the_first(outputs):
    return (outputs + torch.tensor([1.0, 0.0])).softmax(dim=1)


def tempered(outputs):
    return (outputs / 2).softmax(dim=1)


def two_columns(outputs, shift=0.0):
    positive = (outputs + shift).sigmoid()
    return torch.stack([1 - positive, positive], dim=1)


@pytest.mark.parametrize(
    ("net_class", "nonlinearity"),
    [
        (NeuralNetClassifier, negative_softmax),
        (NeuralNetClassifier, toward_the_first),
        (NeuralNetBinaryClassifier, partial(two_columns, shift=1.0)),
        (NeuralNetRegressor, torch.exp),
        (NeuralNetRegressor, lambda outputs: outputs + 1),
    ],
)
def test_nonlinearities_that_change_predictions_are_refused(net_class, nonlinearity):
    net = net_class(MLP, train_split=None, verbose=0, predict_nonlinearity=nonlinearity)
    if net_class is NeuralNetClassifier:
        net.set_params(criterion=nn.CrossEntropyLoss)
    y = Y.astype("float32") if net_class is NeuralNetRegressor else Y
    assert_refused(MagnitudePruner(net), (X, y), "predict_nonlinearity=.* changes predictions")


def test_nonlinearities_of_probabilities_alone_are_used():
    half = fitted(MLP, predict_nonlinearity=tempered)
    np.testing.assert_allclose(
        half.predict_proba(X).argmax(axis=1), half.predict(X), rtol=0, atol=0
    )
    odds, expected = (np.diff(np.log(pruner.predict_proba(X))) for pruner in (half, fitted(MLP)))
    np.testing.assert_allclose(2 * odds, expected, rtol=1e-9)
    net = NeuralNetBinaryClassifier(
        MLP, train_split=None, verbose=0, max_epochs=1, predict_nonlinearity=two_columns
    )
    MagnitudePruner(net, random_state=0).fit(X, Y)


# Parameters ------------------------------------------------------------------------------------


class ComplexWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(6, 2, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(torch.complex64) @ self.W).abs()


class SparseWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(2, 6).to_sparse())

    def forward(self, x):
        return torch.sparse.mm(self.W, x.T).T


class IntegerTable(MLP):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.table = nn.Parameter(torch.arange(4).reshape(2, 2), requires_grad=False)


class OneDoubleLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 2).double()

    def forward(self, x):
        return self.b(self.a(x).relu().double())


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (lambda: MLP(6, 2).double(), r"'layers\.0\.weight' .* is torch\.float64"),
        (lambda: MLP(6, 2).half(), r"'layers\.0\.weight' .* is torch\.float16"),
        (lambda: MLP(6, 2).bfloat16(), r"'layers\.0\.weight' .* is torch\.bfloat16"),
        (OneDoubleLayer, r"'b\.weight' .* is torch\.float64"),
        (ComplexWeight, r"'W' .* is torch\.complex64"),
        (IntegerTable, r"'table' .* is torch\.int64"),
        (SparseWeight, r"'W' .* is torch\.float32 \(torch\.sparse_coo\)"),
    ],
)
def test_parameters_of_other_kinds_are_refused(module, named):
    assert_refused(pruner_of(module), (X, Y), named + r".* call \.float\(\) on the module")


def test_modules_made_under_another_default_dtype_are_refused():
    torch.set_default_dtype(torch.float64)
    try:
        assert_refused(pruner_of(), (X, Y), r"float64 .* torch\.set_default_dtype\(torch\.float32")
    finally:
        torch.set_default_dtype(torch.float32)


def lazy():
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.LazyConv1d(4, 3),
        nn.LazyBatchNorm1d(),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(3),
        nn.Linear(3, 2),  # not all layers are lazy
    )


def test_lazy_layers_are_initialized_before_the_ticket_is_sought():
    pruner = fitted(lazy)
    assert {n: tuple(k.shape) for n, k in pruner.mask_.items()} == {
        "1.weight": (4, 1, 3),
        "5.weight": (3, 16),
        "6.weight": (2, 3),
    }
    assert pruner.initial_state_["2.num_batches_tracked"] == 0
    assert pruner.initial_state_["5.weight"].shape == (3, 16)
    np.testing.assert_array_equal(pruner.predict_proba(X), fitted(lazy).predict_proba(X))


# Reparametrized layers -------------------------------------------------------------------------


def wrapped(wrap):
    torch.manual_seed(0)
    return nn.Sequential(wrap(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))


class Positive(nn.Module):
    def forward(self, weight):
        return weight.abs()


def by_hand(layer):
    parametrize.register_parametrization(layer, "weight", Positive())
    return layer


def by_a_hook(layer):
    raw = layer.weight
    del layer.weight
    layer.register_parameter("raw", raw)
    layer.weight = layer.raw.detach()

    def compute(layer, args):
        layer.weight = layer.raw.abs()

    layer.register_forward_pre_hook(compute)
    return layer


def of_the_bias(layer):
    return prune.l1_unstructured(layer, "bias", 0.5)


REPARAMETRIZED = {
    "parametrizations.weight_norm": parametrizations.weight_norm,
    "parametrizations.spectral_norm": parametrizations.spectral_norm,
    "parametrizations.orthogonal": parametrizations.orthogonal,
    "parametrize": by_hand,
    "weight_norm": nn.utils.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "prune": partial(prune.random_unstructured, name="weight", amount=0.5),
    "prune.bias": of_the_bias,
    "hook": by_a_hook,
}


# weight_norm is deprecated.
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
@pytest.mark.parametrize("wrap", REPARAMETRIZED.values(), ids=REPARAMETRIZED)
def test_layers_that_compute_their_weight_are_refused(wrap):
    complaint = (
        r"The layer '0' of Sequential computes a weight.*remove_parametrizations.*prune\.remove"
    )
    assert_refused(pruner_of(partial(wrapped, wrap)), (X, Y), complaint)
    with pytest.raises(ValueError, match=complaint):
        TicketMask.ones_like(wrapped(wrap), exclude=["2.*"])
    given = GivenMaskPruner(
        make_net("classifier", module=partial(wrapped, wrap)),
        TicketMask({"2.weight": np.ones((2, 8))}),
    )
    assert_refused(given, (X, Y), complaint)


# weight_norm is deprecated.
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (
            parametrizations.weight_norm,
            partial(parametrize.remove_parametrizations, tensor_name="weight"),
        ),
        (nn.utils.weight_norm, nn.utils.remove_weight_norm),
        (nn.utils.spectral_norm, nn.utils.remove_spectral_norm),
        (REPARAMETRIZED["prune"], partial(prune.remove, name="weight")),
    ],
)
def test_the_remedy_for_computed_weights_works(wrap, unwrap):
    module = wrapped(wrap)
    unwrap(module[0])
    assert list(TicketMask.ones_like(module)) == ["0.weight", "2.weight"]


def test_hooks_that_compute_no_weight_are_no_reparametrization():
    module = wrapped(nn.Identity)
    module[1].register_forward_pre_hook(lambda layer, args: None)
    module[0] = nn.Linear(6, 8)
    module[0].register_forward_hook(lambda layer, args, output: None)
    TicketMask.ones_like(module)


# Forwards --------------------------------------------------------------------------------------


class AlwaysDrops(MLP):
    def forward(self, x):
        return super().forward(functional.dropout(x, 0.2))


class AlphaDrops(MLP):
    def forward(self, x):
        return functional.alpha_dropout(super().forward(x), 0.5, training=True)


class AddsNoise(MLP):
    def forward(self, x):
        return super().forward(x + 0.1 * torch.randn_like(x))


class SamplesGates(MLP):
    def forward(self, x):
        return super().forward(x) * torch.bernoulli(torch.full((2,), 0.5))


class Remembers(MLP):
    past = 0.0

    def forward(self, x):
        output = super().forward(x) + self.past
        self.past = output.detach().mean()
        return output


@pytest.mark.parametrize("module", [AlwaysDrops, AlphaDrops, AddsNoise, SamplesGates, Remembers])
def test_modules_that_answer_differently_each_time_are_refused(module):
    assert_refused(pruner_of(module), (X, Y), rf"module {module.__name__} returns other outputs")


class StandardizesTheBatch(MLP):
    def forward(self, x):
        return super().forward((x - x.mean(0)) / (x.std(0, correction=0) + 1))


class AttendsToTheBatch(MLP):
    def forward(self, x):
        return super().forward((x @ x.T).softmax(dim=1) @ x)


class IsSmall(AttendsToTheBatch):
    def forward(self, x):
        return 1e-6 * super().forward(x)


class Transposed(nn.Module):
    """Returns classes by rows, with as many rows as classes."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 8)

    def forward(self, x):
        return self.a(x).T


def own_statistics():
    normalization = nn.BatchNorm1d(8, track_running_stats=False)
    return nn.Sequential(nn.Linear(6, 8), normalization, nn.Linear(8, 2))


def own_statistics_of_images():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.Conv2d(1, 3, 2),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.Flatten(),
        nn.Linear(6, 2),
    )


def without_statistics():
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    module[1].running_mean = module[1].running_var = None
    return module


@pytest.mark.parametrize(
    "module",
    [
        own_statistics,
        own_statistics_of_images,
        without_statistics,
        StandardizesTheBatch,
        AttendsToTheBatch,
        IsSmall,
    ],
)
def test_modules_that_mix_the_rows_of_a_batch_are_refused(module):
    assert_refused(pruner_of(module), (X, Y), r"when other rows are in .*track_running_stats=True")


def test_outputs_by_columns_are_refused():
    labels = np.arange(80) % 8
    assert_refused(pruner_of(Transposed), (X, labels), "The first axis must be that of the rows")


def test_normalization_of_single_rows_is_no_mixing():
    fitted(
        lambda: nn.Sequential(
            nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2), nn.Flatten(), nn.Linear(6, 2)
        )
    )


class TwoTensors(MLP):
    def forward(self, x):
        return super().forward(x), x


class InADict(MLP):
    def forward(self, x):
        return {"logits": super().forward(x)}


class InDouble(MLP):
    def forward(self, x):
        return super().forward(x.double())


class TooFewRows(MLP):
    def forward(self, x):
        return super().forward(x)[1:]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (TwoTensors, "it is a tuple"),
        (InADict, "it is a dict"),
        (InDouble, "dtype"),
        (TooFewRows, r"outputs of shape \(7, 2\) for 8 rows"),
        (lambda: nn.Sequential(nn.Embedding(3, 2), nn.Flatten()), "Long, Int"),
    ],
)
def test_modules_that_fail_are_refused_with_the_reason(module, reason):
    assert_refused(pruner_of(module), (X, Y), f"does not return a single tensor .*{reason}")


class Squeezes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 2)

    def forward(self, x):
        return self.a(x).squeeze()


class InitialState(nn.Module):
    """An LSTM with an initial state of torch's default dtype."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        start = torch.zeros(1, len(x), 5)
        return self.head(self.lstm(x.unflatten(1, (3, 2)), (start, start))[0][:, -1])


class CastsToFloat(MLP):
    def forward(self, x):
        return super().forward(x.float())


class OwnConstant(MLP):
    rotation = torch.eye(6)

    def forward(self, x):
        return super().forward(x @ self.rotation)


class Codes(nn.Module):
    """Looks up rows of numbers that stand for categories."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(50, 3), nn.Linear(18, 2)

    def forward(self, x):
        return self.head(self.table(x.long().clamp(-20, 20) + 20).flatten(1))


class WorksInPlace(MLP):
    def forward(self, x):
        return super().forward(x.mul_(2).clamp_(-3, 3))


@pytest.mark.parametrize(
    "module", [InitialState, CastsToFloat, OwnConstant, Codes, WorksInPlace, Squeezes, lazy]
)
def test_modules_that_work_in_float32_are_taken_and_read_as_they_compute(module):
    before = X.copy()
    with seeded(0, "cpu"):
        net = _net.make_net(make_net("classifier", module=module), X, Y, CLASSES).initialize()
        _net.check_module(net, X, Y, CLASSES)
    with torch.no_grad():
        expected = net.module_.eval()(torch.from_numpy(X.copy()))
    np.testing.assert_allclose(infer(net.module_, X), expected, atol=1e-5)
    np.testing.assert_allclose(infer(net.module_, X[:1]), expected[:1], atol=1e-5)
    np.testing.assert_array_equal(X, before)


def one_layer_twice():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, 2))


@pytest.mark.parametrize("pruner_class", [MagnitudePruner, SNIPPruner, SynFlowPruner])
def test_a_layer_with_two_names_is_trained_and_read_as_one(pruner_class):
    pruner = fitted(one_layer_twice, pruner=pruner_class)
    module = pruner.estimator_.module_
    assert module[0].weight is module[2].weight
    assert list(pruner.mask_) == ["0.weight", "4.weight"]
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(X)).softmax(dim=1)
    np.testing.assert_allclose(pruner.predict_proba(X), expected, atol=1e-6)
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_frozen_parameters_are_pruned_unless_excluded():
    def frozen():
        module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        module[0].requires_grad_(False)
        return module

    pruner = fitted(frozen)
    weight = pruner.estimator_.module_[0].weight
    kept = pruner.mask_["0.weight"]
    assert torch.equal(weight, torch.where(kept, pruner.initial_state_["0.weight"], 0))
    assert not kept.all()
    net = make_net("classifier", module=frozen, max_epochs=1)
    without = MagnitudePruner(net, sparsity=0.5, exclude=["0.*"], random_state=0).fit(X, Y)
    assert list(without.mask_) == ["2.weight"]


@pytest.mark.parametrize(
    ("kind", "criterion"),
    [
        ("classifier", nn.CrossEntropyLoss),
        ("classifier", nn.MultiMarginLoss),
        ("regressor", nn.MSELoss),
        ("regressor", nn.L1Loss),
        ("regressor", nn.HuberLoss),
    ],
)
def test_losses_of_single_rows_are_refused(kind, criterion):
    net = make_net(kind, criterion=criterion, criterion__reduction="none")
    X, y = small_data()
    assert_refused(SNIPPruner(net), (X, y), "criterion__reduction='none' of estimator")


class Remembers(nn.Linear):
    """A layer with a state beside its parameters and buffers."""

    extra = None

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state


def remembering(n_features, n_outputs, extra):
    module = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), Remembers(8, n_outputs))
    module[2].extra = extra
    return module


@pytest.mark.parametrize("extra", [{"version": 1}, None, 3])
def test_a_state_that_is_no_tensor_is_refused(extra):
    pruner = pruner_of(partial(remembering, extra=extra))
    kind = type(extra).__name__
    assert_refused(
        pruner, (X, Y), rf"Sequential has the entry '2._extra_state', a {kind}, .*buffer"
    )


def test_a_state_of_tensors_is_returned_to():
    pruner = fitted(partial(remembering, extra=torch.ones(2)))
    assert pruner.initial_state_["2._extra_state"].tolist() == [1, 1]
    assert pruner.estimator_.module_[2].extra.tolist() == [1, 1]
