"""Whole units as the grain of pruning: by hand, and through compact."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_tickets._network import prunable_parameters, unit_groups
from sklearn_tickets.export import compact
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import MLP, VGG, LeNet5, ModuleTemplate, ResNet
from sklearn_tickets.pruners import (
    ACDCPruner,
    AnnealingPruner,
    FORCEPruner,
    GivenMaskPruner,
    GraSPPruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    OptimalBrainSurgeonPruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import ScoringPruner
from sklearn_tickets.utils import all_pruners, check_pruner
from tests.instances import assert_refused, make_net, small_data, small_images

ROWS = np.array([[1, 1], [2, 0]], dtype=np.float32)


def small_net(*weights, module=None):
    """A regressor with these weights in its linear layers; ReLU between them if not given."""
    weights = [torch.tensor(weight) for weight in weights]
    layers = [nn.Linear(w.shape[1], w.shape[0]) for w in weights]
    module = module or nn.Sequential(layers[0], *(x for y in layers[1:] for x in (nn.ReLU(), y)))
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for layer, weight in zip(linear, weights, strict=True):
        layer.weight.data = weight
    return NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)


def fitted(net, cls=MagnitudePruner, **settings):
    pruner = cls(net, granularity="unit", train_ticket=False, random_state=0, **settings)
    *_, biases = net.module().parameters()
    return pruner.fit(ROWS, np.zeros((2, len(biases))))


# Three units with two weights in and two out: 3 + 1, 7 + 1 and 6.5 + 3.
FIRST = [[1.0, -2.0], [3.0, 4.0], [-6.0, 0.5]]
SECOND = [[0.5, 0.5, 1.5], [-0.5, 0.5, 1.5]]


@pytest.mark.parametrize(("sparsity", "units"), [(0, "111"), (0.3, "011"), (0.5, "001")])
def test_the_units_of_largest_weights_in_and_out_stay(sparsity, units):
    kept = [unit == "1" for unit in units]
    pruner = fitted(small_net(FIRST, SECOND), sparsity=sparsity)
    expected = {"0.weight": [[k, k] for k in kept], "2.weight": [kept, kept]}
    assert pruner.mask_ == TicketMask(expected)


def test_biases_are_a_part_of_their_unit():
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    module[0].bias.data = torch.tensor([5.0, -0.1, 0.1])
    # 9, 8.1 and 9.6; of 17 parameters, two units and two biases of outputs are 12.
    pruner = fitted(small_net(FIRST, SECOND, module=module), sparsity=0.3, prune_bias=True)
    assert pruner.mask_ == TicketMask(
        {
            "0.weight": [[1, 1], [0, 0], [1, 1]],
            "0.bias": [1, 0, 1],
            "2.weight": [[1, 0, 1], [1, 0, 1]],
            "2.bias": [1, 1],
        }
    )


def test_a_removed_unit_with_a_bias_is_gone():
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    module[0].bias.data = torch.tensor([5.0, -0.1, 0.1])
    pruner = fitted(small_net(FIRST, SECOND, module=module), sparsity=0.3)
    sparse = pruner.estimator_.module_
    assert sparse[0].bias[0] == 5  # a constant that nothing reads
    small = compact(pruner)
    assert small.get_submodule("0").weight.tolist() == [[3.0, 4.0], [-6.0, 0.5]]
    X = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(small(X), sparse(X))
    sparse[0].bias.data[0] = 77
    torch.testing.assert_close(small(X), sparse(X))


def test_what_does_not_fit_leaves_room_for_less():
    # Units of the first layer have 2 weights in, of the second 1 and a half as many out.
    first = [[4.0, 4.0], [1.0, 1.0]]
    second = [[2.0, 2.0], [1.0, 1.0]]
    pruner = fitted(small_net(first, second, [[1.0, 1.0]] * 4), sparsity=0.25)
    # All are 16, and 12 may be kept. Units are 11 and 5, 8 and 6, and relative to their layers
    # 1.38, 1.14, .86 and .63, from the best to the worst.
    # With the leaders 2 + 1 + 4 are kept. The other unit of the second adds 1 + 4, that of the
    # first 2 + 2.
    assert pruner.mask_["0.weight"].tolist() == [[True, True], [False, False]]
    assert pruner.mask_["2.weight"].tolist() == [[True, False], [True, False]]
    assert pruner.mask_.n_kept == 12
    smaller = fitted(small_net(first, second, [[1.0, 1.0]] * 4), sparsity=0.3)
    # Of 11, 5 do not fit, and 3 do.
    assert smaller.mask_["0.weight"].all()
    assert smaller.mask_["2.weight"].tolist() == [[True, True], [False, False]]
    assert smaller.mask_.n_kept == 10


def test_layers_are_compared_relative_to_their_means():
    # In sums, all units of the first layer (5.2, 5.6, 4.6) are below those of the second (13, 18,
    # 13), all of which would stay.
    first = [[0.1, 0.1], [0.3, 0.3], [0.29, 0.29]]
    second = [[1.0, 1.0, 1.0], [3.0, 3.0, 2.0], [1.0, 1.0, 1.0]]
    # Relative to their means they are 1.01, 1.09, .89 and .89, 1.23, .89.
    mask = fitted(small_net(first, second, [[10.0, 10.0, 10.0]]), sparsity=0.5).mask_
    assert mask["0.weight"].any(1).tolist() == [True, True, False]
    assert mask["2.weight"].any(1).tolist() == [False, True, False]


class Residual(nn.Module):
    """The outputs of the first two layers are added."""

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.block(x.relu()))


def test_units_that_are_added_go_together():
    # Rows of two layers and columns of two, without the diagonal twice: 1 + 9 + 1 + 1,
    # 4 + 2.5 + 4 + 1 and 3 + 3 + 3 + 3, so that the second goes; two units are 4 + 4 + 4 of 21.
    stem = [[1.0, 0.0], [2.0, 2.0], [3.0, 0.0]]
    block = [[3.0, 3.0, 3.0], [0.0, 2.5, 0.0], [1.0, 1.0, 1.0]]
    pruner = fitted(small_net(stem, block, SECOND, module=Residual()), sparsity=0.4)
    assert pruner.mask_ == TicketMask(
        {
            "stem.weight": [[1, 1], [0, 0], [1, 1]],
            "block.weight": [[1, 0, 1], [0, 0, 0], [1, 0, 1]],
            "head.weight": [[1, 0, 1], [1, 0, 1]],
        }
    )


def test_dead_ends_do_not_count_in_the_scores_of_units():
    # The first unit of the first layer reads nothing, so what the second layer reads of it is
    # a dead end: of its units, the one of larger other weights stays.
    weights = [[[0.0], [2.0], [1.0]], [[1.0, 2.0, 2.0], [1.0, 1.75, 1.75]], [[1.0, 1.0]]]
    first, second = torch.ones(3, 1), torch.ones(2, 3)
    first[0] = second[1, 0] = 0
    mask = TicketMask({"0.weight": first, "2.weight": second, "4.weight": torch.ones(1, 2)})
    net = small_net(*weights)
    pruner = MagnitudePruner(
        net, sparsity=0.7, granularity="unit", connected=True, initial_mask=mask, random_state=0
    )
    found = pruner.fit(np.ones((2, 1)), np.zeros(2)).mask_
    assert found["4.weight"].tolist() == [[True, False]]
    assert not found["2.weight"][:, 0].any()


def test_layers_keep_their_shares():
    net = make_net("classifier", module__hidden=(40, 20, 10), max_epochs=1)
    pruner = SNIPPruner(net, sparsity=0.7, scope="layer", granularity="unit", random_state=0)
    mask = pruner.fit(*small_data()).mask_
    kept = [int(mask[f"layers.{i}.weight"].any(1).sum()) for i in range(3)]
    # Half of the units would be 380 parameters, 2 too many; the last layer has room for a unit.
    assert kept == [19, 10, 6]
    assert mask.n_kept == 6 * 19 + 19 * 10 + 10 * 6 + 6 * 2


IMAGE_NETS = {
    "LeNet5": lambda: LeNet5(1, 8, 4),
    "VGG": lambda: VGG(1, 8, 4, depth=11, width=0.125),
    "ResNet": lambda: ResNet(1, 8, 4, width=0.5),
}


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("name", IMAGE_NETS)
def test_compact_takes_out_the_units_of_image_networks(name, scope):
    X, y = small_images()
    net = make_net("classifier", module=IMAGE_NETS[name], max_epochs=1)
    pruner = MagnitudePruner(
        net, sparsity=0.8, granularity="unit", scope=scope, rewind_epoch=None, random_state=0
    ).fit(X, y)
    mask = pruner.mask_
    assert 0.8 <= mask.sparsity < 0.82
    module = IMAGE_NETS[name]()
    groups = unit_groups(module, prunable_parameters(module), reads_rows=False)
    for group in groups:
        kept = mask[group.rows[0]].flatten(1).any(1)
        assert kept.any()
        for row in group.rows:
            assert torch.equal(mask[row].flatten(1).any(1), kept)
        for column in group.columns:
            own = mask[column]
            own = own.reshape(len(own), group.n_units, -1)
            assert torch.equal(own.any(2).any(0), kept)
    small = compact(pruner, X)
    shapes = {n: tuple(p.shape) for n, p in small.named_parameters() if p.ndim > 1}
    assert sum(map(np.prod, shapes.values())) == mask.n_kept
    np.testing.assert_array_equal(small(torch.tensor(X)).argmax(1), pruner.predict(X))


def test_units_that_stay_train_like_a_network_of_their_own():
    """With batch normalization and Adam: what is left of the others has no influence."""
    sizes, kept = (6, 8, 6, 2), (range(6), [0, 3, 4, 7], [1, 2, 5], range(2))
    large, small = (
        nn.Sequential(
            *(
                layer
                for n, m in pairwise(widths)
                for layer in (nn.Linear(n, m, bias=False), nn.BatchNorm1d(m), nn.ReLU())
            )
        )[:-1]
        for widths in (sizes, map(len, kept))
    )
    mask = TicketMask.ones_like(large)
    arrays = {name: np.zeros(part.shape, dtype=bool) for name, part in mask.items()}
    for i, (columns, rows) in enumerate(pairwise(kept)):
        arrays[f"{3 * i}.weight"][np.ix_(rows, columns)] = True
        small[3 * i].weight.data = large[3 * i].weight.data[np.ix_(rows, columns)]
    whole = TicketMask.ones_like(small)
    fits = [
        GivenMaskPruner(
            make_net("classifier", module=ModuleTemplate(module), max_epochs=5),
            mask,
            random_state=0,
        ).fit(*small_data())
        for module, mask in ((large, TicketMask(arrays)), (small, whole))
    ]
    outputs = [fit.decision_function(small_data()[0]) for fit in fits]
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)


def in_units(cls, **settings):
    net = make_net("classifier", max_epochs=2, module__hidden=(12, 12))
    return cls(net, granularity="unit", sparsity=0.6, random_state=0, **settings)


@pytest.mark.parametrize(
    "pruner",
    [
        in_units(IterativeMagnitudePruner, n_rounds=3),
        in_units(SynFlowPruner, n_rounds=4),
        in_units(FORCEPruner, n_rounds=3),
        in_units(GraSPPruner, prune_bias=True),
        in_units(RandomPruner),
        in_units(ACDCPruner, n_rounds=3, round_epochs=1, final_epochs=1),
        in_units(LearningRateRewindingPruner, n_rounds=3, round_epochs=1, final_epochs=1),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_pruners_that_score_keep_the_contract(pruner):
    check_pruner(pruner)


def test_rounds_take_units_from_units():
    X, y = small_data()
    pruner = in_units(IterativeMagnitudePruner, n_rounds=3, store_rounds=True).fit(X, y)
    alive = [record["mask"]["layers.1.weight"].any(1) for record in pruner.rounds_]
    assert [int(a.sum()) for a in alive] == sorted((int(a.sum()) for a in alive), reverse=True)
    for record in pruner.rounds_:
        mask = record["mask"]
        rows, columns = mask["layers.1.weight"].any(1), mask["layers.1.weight"].any(0)
        assert torch.equal(mask["layers.1.weight"], rows[:, None] & columns)
        assert record["n_effective"] == mask.n_kept


def test_stacked_fits_keep_the_same_units():
    X, y = small_data()
    net = make_net("classifier", max_epochs=2, module__hidden=(12, 12))
    pruner = SNIPPruner(net, granularity="unit", random_state=0)
    grid = {"sparsity": [0.4, 0.6], "scope": ["global", "layer"]}
    stacked = BatchedGridSearchCV(pruner, grid, cv=2).fit(X, y)
    single = GridSearchCV(pruner, grid, cv=2).fit(X, y)
    expected = single.cv_results_["mean_test_score"]
    np.testing.assert_allclose(stacked.cv_results_["mean_test_score"], expected)
    assert stacked.best_estimator_.mask_ == single.best_estimator_.mask_


def test_only_pruners_that_score_have_it():
    for _, cls in all_pruners():
        has_it = "granularity" in cls.__init__.__signature__.parameters
        assert has_it == issubclass(cls, ScoringPruner)
    for cls in (OptimalBrainSurgeonPruner, RigLPruner, AnnealingPruner):
        with pytest.raises(TypeError, match="granularity"):
            cls(make_net("classifier"), granularity="unit")


class Normalized(nn.Sequential):
    """Layer normalization between two layers."""

    def __init__(self):
        super().__init__(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {},
            "sparsity=0.99 .* keeps at most 3 of 256 parameters, but .* takes 8. "
            "Set sparsity to at most 0.9687, or granularity='weight'",
        ),
        ({"scope": "erk"}, "scope='erk' is a density .* set scope='layer'"),
        ({"granularity": "channel"}, "'granularity' parameter of MagnitudePruner must be"),
        (
            {"estimator__module": partial(MLP, hidden=(8, 8))},
            "sparsity=0.99 .* keeps at most 1 of 128 parameters, but .* takes 9.",
        ),
        ({"estimator__module": Normalized}, "between them is LayerNorm"),
    ],
)
def test_what_units_cannot_be_is_refused_before_training(settings, complaint):
    # Nothing can be trained without an iterator.
    net = make_net("classifier", iterator_train=None)
    given = {"sparsity": 0.99, "granularity": "unit", "random_state": 0} | settings
    assert_refused(MagnitudePruner(net).set_params(**given), small_data(), complaint)
