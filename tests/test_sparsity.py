"""Pruners with a given sparsity: the mask that they prune on from."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    ConcreteTicketPruner,
    EdgePopupPruner,
    GeneticPruner,
    HardConcretePruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RigLPruner,
    SNIPPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import SparsityPruner
from sklearn_tickets.training import Layout
from tests.instances import (
    SETTINGS,
    assert_refused,
    instances,
    linear_net,
    make_net,
    small_data,
    weights,
)

X_LINE = np.eye(4, dtype=np.float32)
Y_LINE = np.ones(4, dtype=np.float32)
# 6 * 32 + 32 * 2 weights.
N_WEIGHTS = 256


@pytest.fixture
def data():
    return small_data()


def network(seed=0):
    """The module that the nets of these tests make of small data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MLP(6, 2, hidden=(32,))


def random_mask(density, seed=0, **prunable):
    full = TicketMask.ones_like(network(), **prunable)
    return full.shrink(
        {name: torch.zeros(kept.shape) for name, kept in full.items()}, density, rng=seed
    )


def test_the_smallest_of_the_kept_weights_are_pruned():
    net = linear_net([1.0, 2.0, 3.0, 4.0], max_epochs=1)
    mask = TicketMask({"weight": [[True, True, False, True]]})
    pruner = MagnitudePruner(net, sparsity=0.5, initial_mask=mask, random_state=0)
    kept = pruner.fit(X_LINE, Y_LINE).mask_["weight"]
    # The third weight is larger than the second, but pruned already.
    assert kept.tolist() == [[False, True, False, True]]
    assert pruner.estimator_.module_.weight[~kept].tolist() == [0.0, 0.0]
    assert pruner.initial_state_["weight"].tolist() == [[1.0, 2.0, 3.0, 4.0]]


def test_zeros_of_a_sparse_module_stay_pruned_if_asked():
    net = linear_net([0.0, 2.0, 0.0, 4.0], max_epochs=1)
    dense = MagnitudePruner(net, sparsity=0.0, random_state=0).fit(X_LINE, Y_LINE)
    assert dense.mask_.n_kept == 4
    assert (weights(dense)["weight"] != 0).all()
    sparse = clone(dense).set_params(sparsity=0.5, initial_mask="nonzero").fit(X_LINE, Y_LINE)
    assert sparse.mask_["weight"].tolist() == [[False, True, False, True]]


def test_densities_fall_geometrically_from_that_of_the_mask(data):
    mask = random_mask(0.5)
    pruner = MagnitudePruner(
        make_net("classifier", max_epochs=1),
        sparsity=0.875,
        scope="erk",
        n_rounds=2,
        initial_mask=mask,
        random_state=0,
    ).fit(*data)
    # .5, .25, .125 of 256
    assert [record["n_kept"] for record in pruner.rounds_] == [64, 32]


def test_a_layer_that_is_sparse_already_loses_nothing_before_the_others(data):
    first, second = TicketMask.ones_like(network())
    few = torch.zeros(2, 32)
    few[:, :8] = 1
    mask = TicketMask({first: torch.ones(32, 6), second: few})
    pruner = MagnitudePruner(
        make_net("classifier", max_epochs=1),
        sparsity=0.75,
        scope="layer",
        n_rounds=2,
        initial_mask=mask,
        train_ticket=False,
        random_state=0,
    ).fit(*data)
    # The mask keeps .8125 of all. The second layer is at its final quarter from the start.
    density = (0.8125 * 0.25) ** 0.5
    counts = [[int(kept.sum()) for kept in r["mask"].values()] for r in pruner.rounds_]
    assert counts == [[round(density * 192), 16], [48, 16]]


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (IterativeMagnitudePruner, {"round_epochs": 3}),
        (IterativeMagnitudePruner, {"round_epochs": 3, "scope": "erk"}),
        (SynFlowPruner, {}),
        (SNIPPruner, {}),
    ],
)
def test_two_halves_by_hand_find_the_mask_of_one_run(cls, params, data):
    net = make_net("classifier", max_epochs=1, batch_size=-1, iterator_train__shuffle=False)
    # The density .75 is met exactly, so that those after it are the same, too.
    whole = cls(net, sparsity=1 - 0.75**2, n_rounds=4, random_state=0, **params).fit(*data)
    half = clone(whole).set_params(sparsity=0.25, n_rounds=2).fit(*data)
    rest = clone(whole).set_params(n_rounds=2, initial_mask=half.mask_).fit(*data)
    masks = [record["mask"] for record in half.rounds_ + rest.rounds_]
    assert masks == [record["mask"] for record in whole.rounds_]
    for name, value in weights(whole).items():
        assert torch.equal(weights(rest)[name], value)


SEARCHING = [cls for cls in SETTINGS if issubclass(cls, SparsityPruner)]
FREE = [cls for cls in SEARCHING if None in cls._parameter_constraints["sparsity"]]


@pytest.mark.parametrize("cls", SEARCHING)
def test_a_mask_of_the_asked_sparsity_is_what_is_found(cls, data):
    mask = random_mask(0.5)
    pruner = cls(make_net("classifier", max_epochs=2), random_state=0, **SETTINGS[cls])
    pruner.set_params(scope="global", initial_mask=mask).fit(*data)
    assert pruner.mask_ == mask
    assert all(not weights(pruner)[name][~kept].any() for name, kept in mask.items())


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("cls", FREE)
def test_a_free_sparsity_keeps_a_part_of_the_mask(cls, data):
    mask = random_mask(0.5, prune_bias=True)
    pruner = cls(make_net("classifier", max_epochs=2), random_state=0, **SETTINGS[cls])
    pruner.set_params(sparsity=None, prune_bias=True, initial_mask=mask).fit(*data)
    assert pruner.mask_.n_kept > 0
    assert pruner.mask_ & mask == pruner.mask_


@pytest.mark.parametrize("grow", ["gradient", "random"])
def test_rigl_moves_within_the_mask(grow, data):
    mask = random_mask(0.5)
    pruner = RigLPruner(
        make_net("classifier", max_epochs=4),
        sparsity=0.8,
        grow=grow,
        update_every=1,
        drop_fraction=0.9,
        initial_mask=mask,
        random_state=0,
    ).fit(*data)
    start = clone(pruner).set_params(update_every=1000, drop_fraction=0.01)
    with pytest.warns(UserWarning, match="did not move"):
        start.fit(*data)
    assert start.mask_ != pruner.mask_
    assert pruner.mask_ & mask == pruner.mask_
    assert pruner.mask_.n_kept == round(0.2 * N_WEIGHTS)


@pytest.mark.parametrize("cls", [EdgePopupPruner, GeneticPruner, HardConcretePruner])
def test_a_layer_that_the_mask_empties_stays_empty(cls, data):
    first, second = TicketMask.ones_like(network())
    mask = TicketMask({first: torch.zeros(32, 6), second: torch.ones(2, 32)})
    pruner = cls(make_net("classifier", max_epochs=2), random_state=0, **SETTINGS[cls])
    pruner.set_params(sparsity=0.9, initial_mask=mask)
    # Only its biases feed the second layer.
    with pytest.warns(UserWarning, match="left no path"):
        pruner.fit(*data)
    assert not pruner.mask_[first].any()
    assert pruner.mask_.n_kept == round(0.1 * N_WEIGHTS)


def test_concrete_gates_start_at_the_target_density():
    mask = TicketMask({"weight": [[True, True, False, False]]})
    pruner = ConcreteTicketPruner(None, initial_mask=mask)
    gates = pruner.set_params(objective="labels")._gates(
        torch.ones(4), Layout(mask, "global"), 0.25
    )
    gates.close_(torch.tensor([False, False, True, True]))
    assert gates.expected().tolist() == pytest.approx([0.5, 0.5, 0, 0])


MASK = random_mask(0.5)


@pytest.mark.parametrize(
    ("mask", "params", "complaint"),
    [
        (random_mask(0.5, prune_bias=True), {}, "'layers.0.bias' is .32,. in the mask and missing"),
        (MASK, {"prune_bias": True}, "'layers.0.bias' is missing in the mask .* prune_bias=True"),
        (MASK, {"exclude": ("*1.weight",)}, "'layers.1.weight' is .* exclude="),
        (TicketMask.ones_like(nn.Linear(6, 2)), {}, "'weight' is .2, 6. in the mask and missing"),
        (
            TicketMask({n: torch.ones(3, 3) for n in MASK}),
            {},
            r"'layers.0.weight' is \(3, 3\) in the mask and \(32, 6\) in the module",
        ),
        (MASK, {"sparsity": 0.4}, r"initial_mask=TicketMask\(128 .*sparsity=0.4 .* 128 of 154 "),
        (MASK, {"sparsity": 0.5, "scope": "layer"}, "of 128 .* in every layer, or use scope='glo"),
        (MASK & ~MASK, {}, "keeps none of 256"),
        ("zeros", {}, "initial_mask"),
        (torch.ones(3), {}, "initial_mask"),
    ],
)
def test_unfit_initial_masks_are_refused(mask, params, complaint, data):
    params = {"sparsity": 0.75} | params
    pruner = MagnitudePruner(make_net("classifier"), round_epochs=None, **params)
    assert_refused(pruner.set_params(initial_mask=mask), data, complaint)


def test_zeros_of_a_module_may_be_too_many(data):
    module = network()
    nn.init.zeros_(module.layers[0].weight)
    net = make_net("classifier", module=ModuleTemplate(module))
    pruner = MagnitudePruner(net, sparsity=0.5, initial_mask="nonzero")
    assert_refused(pruner, data, "initial_mask='nonzero' is too sparse .* 64 of 128 ")


def test_a_mask_whose_names_are_in_another_order_is_the_same_mask(data):
    mask = random_mask(0.5)
    pruner = MagnitudePruner(make_net("classifier", max_epochs=1), sparsity=0.75, random_state=0)
    found = clone(pruner).set_params(initial_mask=mask).fit(*data).mask_
    turned = TicketMask({name: mask[name] for name in reversed([*mask])})
    again = clone(pruner).set_params(initial_mask=turned).fit(*data).mask_
    assert again == found
    assert [*again] == [*found]


def test_initial_masks_are_parameters_like_others(data):
    mask = random_mask(0.5)
    pruner = MagnitudePruner(
        make_net("classifier", max_epochs=2), sparsity=0.75, initial_mask=mask, random_state=0
    )
    copied = pickle.loads(pickle.dumps(clone(pruner)))
    assert copied.initial_mask == mask
    assert copied.fit(*data).mask_ == pruner.fit(*data).mask_


@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_searches_compare_initial_masks(search, data):
    masks = [None, "nonzero", random_mask(0.5, 0), random_mask(0.5, 1)]
    pruner = SNIPPruner(make_net("classifier", max_epochs=2), random_state=0)
    pipeline = make_pipeline(StandardScaler(), pruner)
    grid = {"snippruner__initial_mask": masks, "snippruner__sparsity": [0.5, 0.75]}
    found = search(pipeline, grid, cv=2, error_score="raise").fit(*data)
    assert list(found.cv_results_["param_snippruner__initial_mask"][::2]) == masks
    best = clone(pipeline).set_params(**found.best_params_).fit(*data)
    assert found.best_estimator_[-1].mask_ == best[-1].mask_


def test_every_pruner_that_searches_takes_an_initial_mask():
    assert {type(p) for p in instances("classifier") if hasattr(p, "initial_mask")} == {*SEARCHING}
