"""Optimal Brain Surgeon: values that can be worked out by hand, and what exactness needs."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from torch import nn
from torch.nn.functional import mse_loss

from sklearn_tickets._curvature import (
    Objective,
    SparseChain,
    inverse_fisher,
    operate,
    saliencies,
    without_in_blocks,
)
from sklearn_tickets._curvature._objective import Quadratic
from sklearn_tickets._curvature._regrowth import grow_entries
from sklearn_tickets._curvature._solve import minimize
from sklearn_tickets._curvature._surgery import remove_entries, without
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    AnnealingPruner,
    GivenMaskPruner,
    MagnitudePruner,
    OptimalBrainSurgeonPruner,
)
from tests.instances import make_net


def squares(output, X, y, sample_weight):
    return mse_loss(output, y)


def chain_of(*tables, removable=None, kept=None):
    tables = tuple(torch.tensor(table, dtype=torch.float64) for table in tables)
    kept = kept or tuple(table != 0 for table in tables)
    free = tuple(torch.ones(table.shape, dtype=torch.bool) for table in tables)
    return SparseChain(tables, kept, removable or free)


def random_chain(rng):
    tables = [rng.normal(size=shape) for shape in ((4, 3), (5, 5), (2, 6))]
    return chain_of(*(table * (rng.uniform(size=table.shape) < 0.7) for table in tables))


def test_removal_by_hand():
    # H = [[2, 1], [1, 1]] has the inverse [[1, -1], [-1, 2]].
    inverse = torch.tensor([[1.0, -1.0], [-1.0, 2.0]])
    w = torch.tensor([3.0, 2.0])
    assert saliencies(w, inverse.diagonal()).tolist() == [4.5, 1.0]
    # w - 2 / 2 (-1, 2)
    assert without(w, inverse, torch.tensor([1])).tolist() == [4.0, 0.0]
    # The loss is (d_0^2 + (d_0 + d_1)^2) / 2, with d = (1, -2): exactly the saliency.
    assert without(w, inverse, torch.tensor([0, 1])).tolist() == [0.0, 0.0]


def test_removal_in_blocks_equals_removal():
    rng = np.random.default_rng(0)
    root = torch.tensor(rng.normal(size=(5, 3, 3)))
    inverse = (root @ root.mT + torch.eye(3)).float()
    w, gone = torch.tensor(rng.normal(size=14)).float(), torch.tensor([1, 4, 5, 13])
    is_gone = torch.zeros(14, dtype=torch.bool).index_fill(0, gone, True)
    # The last entry of the last block is not there.
    inverse[-1, 2], inverse[-1, :, 2] = 0, 0
    inverse[-1, 2, 2] = 1
    whole = torch.block_diag(*inverse)[:14, :14]
    expected = without(w, whole, gone)
    assert torch.allclose(without_in_blocks(w, inverse, is_gone), expected, atol=1e-5)


def test_fisher_by_hand():
    gradients = [torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 2, 4])]
    inverse = inverse_fisher(gradients, 3, block_size=2)
    # The means of squares are 1, 2 and 8; a tenth of their mean is added.
    damping = 11 / 3 * 0.1
    first = torch.tensor([[1.0, 1.0], [1.0, 2.0]]) + damping * torch.eye(2)
    assert torch.allclose(inverse[0], torch.linalg.inv(first), rtol=1e-4)
    assert torch.isclose(inverse[1, 0, 0], torch.tensor(1 / (8 + damping)))
    assert inverse[1, 0, 1] == 0


def test_jacobian():
    rng = np.random.default_rng(0)
    chain, X = random_chain(rng), torch.tensor(rng.normal(size=(7, 2)))
    expected = torch.func.jacrev(lambda w: chain.with_vector(w).outputs(X))(chain.vector)
    assert torch.allclose(chain.jacobian(X), expected.permute(1, 2, 0))
    hidden = (torch.cat([X, torch.ones(7, 1)], 1) @ chain.tables[0].T).relu()
    assert torch.allclose(chain.activations(X)[1][:-1], hidden.T)


def cross_entropy(output, X, y, sample_weight):
    return nn.functional.cross_entropy(output, (y[:, 0] > 0).long())


@pytest.mark.parametrize("loss", [squares, cross_entropy])
def test_quadratic_model(loss):
    rng = np.random.default_rng(0)
    X, y = torch.tensor(rng.normal(size=(50, 2))), torch.tensor(rng.normal(size=(50, 2)))
    chain, objective = random_chain(rng), Objective(loss, X, y, None, 0.0)
    model = Quadratic.of(objective, chain)
    whole = torch.func.grad(lambda w: loss(chain.with_vector(w).outputs(X), X, y, None))
    assert torch.allclose(model.gradient, whole(chain.vector), atol=1e-6)
    # In the last layer, which is linear, the Gauss-Newton matrix is the Hessian.
    n = int(chain.kept[-1].sum())
    hessian = torch.func.jacrev(whole)(chain.vector)[-n:, -n:]
    assert torch.allclose(model.hessian[-n:, -n:], hessian, atol=1e-6)
    assert torch.allclose(model.diagonal, model.hessian.diagonal())


def test_training_of_a_linear_model_is_least_squares():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    objective = Objective(squares, torch.tensor(X), torch.tensor(y), None, 0.0)
    chain = minimize(objective, chain_of([[1.0, 1.0, 1.0, 1.0]]), 30, tolerance=0)
    expected, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y[:, 0])
    assert np.allclose(chain.vector, expected, atol=1e-4)


def test_what_is_removed_first():
    rng = np.random.default_rng(0)
    x, noise, other = rng.normal(size=(3, 4000))
    # Two inputs that are almost the same, and a third with less influence.
    X = torch.tensor(np.column_stack([x, x + 0.01 * noise, other]))
    objective = Objective(squares, X, X @ torch.tensor([[1.0], [1.0], [0.3]]).double(), None, 0.0)
    chain = chain_of([[1.0, 1.0, 0.3, 1e-9]], removable=(torch.tensor([[1, 1, 1, 0]]).bool(),))
    left = remove_entries(objective, chain, 1, n_candidates=3)
    weights = left.tables[0][0, :3]
    # By size, the third would go; the first two stand in for each other.
    assert left.n_removable == 2
    assert weights[2].item() == pytest.approx(0.3, abs=0.01)
    assert sorted(weights[:2].tolist()) == pytest.approx([0, 2], abs=0.01)


def test_what_comes_back_first():
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(2000, 3)))
    objective = Objective(squares, X, X @ torch.tensor([[1.0], [2.0], [0.01]]).double(), None, 0.0)
    chain = chain_of([[1.0, 0.0, 0.0, 0.0]])
    grown = grow_entries(objective, chain, 1, torch.Generator().manual_seed(0))
    assert grown.kept[0].tolist() == [[True, True, False, False]]


def test_growth_leads_paths_through_idle_units():
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(500, 1)))
    objective = Objective(squares, X, X.abs(), None, 0.0)
    removable = tuple(torch.ones(s).bool() for s in ((3, 2), (1, 4)))
    # Only max(0, x) so far.
    chain = chain_of([[1.0, 0], [0, 0], [0, 0]], [[1.0, 0, 0, 0]], removable=removable)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(8):
        grown = grow_entries(objective, chain, 2, generator)
        losses.append(objective.value(minimize(objective, grown.live(), 30)))
    assert objective.value(chain) > 0.2
    assert min(losses) < 1e-6


def test_operate_finds_the_absolute_value():
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(500, 1)))
    tables = [rng.normal(size=(8, 2)), rng.normal(size=(1, 9))]
    biases_stay = [
        torch.ones(s).bool().index_fill(1, torch.tensor(s[1] - 1), 0) for s in ((8, 2), (1, 9))
    ]
    chain = chain_of(*tables, removable=tuple(biases_stay))
    found = operate(
        Objective(squares, X, X.abs(), None, 0.0),
        chain,
        4,
        n_settled=8,
        n_rows=200,
        n_candidates=4,
        n_regrowths=5,
        rng=torch.Generator().manual_seed(0),
    )
    assert found.n_removable == 4
    assert mse_loss(found.outputs(X), X.abs()) < 1e-6


TWO_LAYERS = partial(MLP, hidden=(12, 12))

# The pruner ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)).astype(np.float32)
    return X, np.maximum(X[:, 0], 0) - X[:, 1]


def surgeon(kind="regressor", sparsity=0.9, module=TWO_LAYERS, **params):
    net = make_net(kind, module=module, max_epochs=5)
    params = {"n_rounds": 3, "n_regrowths": 1, "random_state": 0} | params
    return OptimalBrainSurgeonPruner(net, sparsity=sparsity, **params)


def test_sparse_network(data):
    fitted = surgeon(sparsity=0.96, curvature="exact").fit(*data)
    assert fitted.mask_.n_kept == 8
    assert fitted.score(*data) > 0.99
    again = surgeon(sparsity=0.96, curvature="exact").fit(*data)
    assert again.mask_ == fitted.mask_
    assert np.array_equal(again.predict(data[0]), fitted.predict(data[0]))


@pytest.mark.parametrize("curvature", ["exact", "blocks"])
@pytest.mark.parametrize("prune_bias", [False, True])
def test_from_a_mask(data, curvature, prune_bias):
    module = MLP(n_features=3, n_outputs=1, hidden=(12, 12))
    allowed = TicketMask.ones_like(module, prune_bias=prune_bias)
    allowed = allowed.shrink(dict(allowed), 0.5, rng=0)
    pruner = surgeon(curvature=curvature, prune_bias=prune_bias, initial_mask=allowed)
    mask = pruner.fit(*data).mask_
    assert mask & allowed == mask
    assert mask.n_kept == round(0.1 * mask.n_parameters)


def test_blocks_correct_the_weights(data):
    X, y = data
    dense = GivenMaskPruner(make_net("regressor", module=TWO_LAYERS, max_epochs=20), random_state=0)
    trained = dense.fit(X, y).estimator_.module_
    settings = {"sparsity": 0.5, "n_rounds": 1, "round_epochs": 0}
    net = make_net("regressor", module=ModuleTemplate(trained))
    by_size = MagnitudePruner(net, **settings, train_ticket=False, random_state=0).fit(X, y)
    corrected = surgeon(module=net.module, curvature="blocks", **settings).fit(X, y)

    def error(fitted):
        return np.square(fitted.predict(X) - y).mean()

    # The same weights before, the same number of parameters, and no training after.
    assert corrected.mask_.n_kept == by_size.mask_.n_kept
    assert error(corrected) < 0.2 * error(by_size)


@pytest.mark.parametrize(
    ("params", "n_epochs"),
    [
        ({"curvature": "blocks"}, 5),
        ({"curvature": "blocks", "final_epochs": 1}, 1),
        ({"curvature": "exact"}, 0),
    ],
)
def test_what_no_second_order_step_has_trained_is_trained(data, params, n_epochs):
    fitted = surgeon(sparsity=0.9, round_epochs=5, **params).fit(*data)
    assert len(fitted.estimator_.history) == n_epochs


class Conv(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 2)
        self.head = nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(self.conv(X[:, None]).relu().flatten(1))


class Frozen(MLP):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs, hidden=(12,))
        self.layers[0].bias.requires_grad = False


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_exact": 10}, "19 parameters are to be kept, which is more than max_exact=10"),
        ({"module": Conv}, "must be a chain of layers"),
        ({"module": Frozen}, "'layers.0.bias'"),
        ({"exclude": ("layers.1.weight",)}, "'layers.1.weight' is excluded"),
    ],
)
def test_exact_does_not_apply(data, params, message):
    with pytest.raises(ValueError, match=message) as caught:
        surgeon(curvature="exact", **params).fit(*data)
    assert "curvature='auto'" in str(caught.value)
    mask = surgeon(**params).fit(*data).mask_
    assert mask.n_kept == round(0.1 * mask.n_parameters)


def test_exact_is_exact_in_one_round(data):
    # The dense network is too large, the pruned one is not.
    settings = {"n_rounds": 1, "round_epochs": 5, "max_exact": 30}
    losses = [
        surgeon(curvature=curvature, **settings).fit(*data).score(*data)
        for curvature in ("exact", "blocks")
    ]
    assert losses[0] > 0.99
    assert losses[0] > losses[1]


def test_dense_and_sparse_rounds_alternate(data):
    settings = {"n_rounds": 3, "round_epochs": 1, "density_schedule": "alternating"}
    for curvature in ("exact", "blocks"):
        counts = [
            record["n_kept"]
            for record in surgeon(curvature=curvature, **settings).fit(*data).rounds_
        ]
        assert counts == [19, 192, 19]


def test_negative_losses(data):
    class Shifted(nn.MSELoss):
        def forward(self, output, y):
            return super().forward(output, y) - 10

    fitted = surgeon(sparsity=0.96, curvature="exact").set_params(estimator__criterion=Shifted)
    assert fitted.fit(*data).score(*data) > 0.99


class LeadingReLU(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        layers = nn.ReLU(), nn.Linear(n_features, 9), nn.ReLU(), nn.Linear(9, n_outputs)
        super().__init__(*layers)


class Tied(nn.Sequential):
    def __init__(self, n_features, n_outputs, part):
        layers = [nn.Linear(n, m) for n, m in ((n_features, 9), (9, 9), (9, 9), (9, n_outputs))]
        setattr(layers[2], part, getattr(layers[1], part))
        super().__init__(*(part for layer in layers for part in (layer, nn.ReLU())))
        del self[-1]


class Pooled(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        first, last = nn.Linear(n_features, 9), nn.Linear(9, n_outputs)
        super().__init__(first, nn.ReLU(), nn.MaxPool1d(3, 1, 1), last)


class Ridge(NeuralNetRegressor):
    def get_loss(self, y_pred, y_true, *args, **kwargs):
        penalty = sum(w.square().sum() for w in self.module_.parameters())
        return super().get_loss(y_pred, y_true, *args, **kwargs) + 1e-3 * penalty


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (LeadingReLU, "it is ReLU, Linear, ReLU, Linear"),
        (Pooled, "MaxPool1d"),
        (partial(Tied, part="weight"), "'4.weight' under another name"),
        (partial(Tied, part="bias"), "'4.bias' under another name"),
    ],
)
@pytest.mark.parametrize("cls", [OptimalBrainSurgeonPruner, AnnealingPruner])
def test_what_is_no_plain_chain(data, cls, module, message):
    pruner = cls(make_net("regressor", module=module, max_epochs=2), random_state=0)
    if cls is OptimalBrainSurgeonPruner:
        pruner.set_params(curvature="exact")
    with pytest.raises(ValueError, match=message):
        pruner.fit(*data)


def test_what_has_no_exact_loss(data):
    X, y = data
    net = make_net("regressor", module=TWO_LAYERS, max_epochs=2)
    settings = {"curvature": "exact", "n_rounds": 1, "random_state": 0}
    own = Ridge(**net.get_params(deep=False) | {"criterion": nn.MSELoss})
    with pytest.raises(ValueError, match="Ridge has a loss of its own"):
        OptimalBrainSurgeonPruner(own, **settings).fit(X, y)
    classes = make_net("classifier", module=TWO_LAYERS, criterion=nn.MultiMarginLoss, max_epochs=2)
    with pytest.raises(ValueError, match="MultiMarginLoss cannot be differentiated twice"):
        OptimalBrainSurgeonPruner(classes, **settings).fit(X, y > 0)


def test_separable_classes(data):
    X, y = data
    far = np.abs(y) > 0.3
    pruner = surgeon("classifier", curvature="exact", n_score_samples=20)
    assert pruner.fit(X[far], y[far] > 0).score(X[far], y[far] > 0) > 0.99


def test_losses_that_are_not_convex(data):
    class Cauchy(nn.Module):
        def forward(self, output, y):
            return torch.log1p((output - y).square()).mean()

    pruner = surgeon(curvature="exact").set_params(estimator__criterion=Cauchy)
    assert pruner.fit(*data).score(*data) > 0.9


def test_nothing_left(data):
    net = make_net("regressor", module=partial(MLP, hidden=(6, 6, 6)), max_epochs=2)
    settings = {"prune_bias": True, "n_rounds": 2, "round_epochs": 2, "n_regrowths": 1}
    pruner = OptimalBrainSurgeonPruner(net, sparsity=0.99, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LayerCollapseWarning)
        assert pruner.fit(*data).mask_.n_kept == 1


def test_class_weights_count_in_blocks(data):
    X, y = data
    settings = {"curvature": "blocks", "n_rounds": 1, "round_epochs": 0, "final_epochs": 0}
    masks = [
        surgeon("classifier", sparsity=0.5, **settings)
        .set_params(estimator__criterion__weight=torch.tensor(weight))
        .fit(X, y > 0)
        .mask_
        for weight in ([1.0, 1.0], [1.0, 1000.0])
    ]
    assert masks[0] != masks[1]


def test_exact_needs_rows_and_curvature(data):
    X, y = data
    with pytest.raises(ValueError, match=r"19 parameters are to be kept.* 12 rows"):
        surgeon(curvature="exact").fit(X[:12], y[:12])
    pruner = surgeon(curvature="exact").set_params(estimator__criterion=nn.L1Loss)
    with pytest.raises(ValueError, match="second derivatives of L1Loss are all 0"):
        pruner.fit(X, y)


def test_frozen_weights_are_refused(data):
    class FrozenWeight(MLP):
        def __init__(self, n_features, n_outputs):
            super().__init__(n_features, n_outputs, hidden=(12,))
            self.layers[0].weight.requires_grad = False

    with pytest.raises(ValueError, match=r"'layers.0.weight'.*frozen.*exclude=\(\)"):
        surgeon(module=FrozenWeight).fit(*data)
    fitted = surgeon(module=FrozenWeight, exclude=("layers.0.weight",)).fit(*data)
    name = "layers.0.weight"
    assert torch.equal(fitted.estimator_.module_.state_dict()[name], fitted.initial_state_[name])


def test_sample_weight(data):
    X, y = data
    twice = np.r_[0 : len(X), 0:100]
    weights = np.bincount(twice).astype(float)
    repeated = surgeon(sparsity=0.96).fit(X[twice], y[twice])
    weighted = surgeon(sparsity=0.96).fit(X, y, sample_weight=weights)
    for fitted in (repeated, weighted):
        assert fitted.score(X, y) > 0.99
