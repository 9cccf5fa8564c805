"""Given masks: other weights, other signs, and masks that do not fit."""

import numpy as np
import pytest
import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import GivenMaskPruner
from tests.instances import assert_refused, make_net, small_data


@pytest.fixture
def data():
    return small_data()


def test_given_mask_is_the_mask(data):
    mask = TicketMask.ones_like(MLP(6, 2, hidden=(32,)), prune_bias=True).shuffled(0)
    mask = mask & TicketMask({name: torch.rand(kept.shape) < 0.5 for name, kept in mask.items()})
    pruner = GivenMaskPruner(make_net("classifier", max_epochs=2), mask, random_state=0).fit(*data)
    assert pruner.mask_ == mask


def test_given_mask_reinitialized_has_the_same_values_elsewhere(data):
    net = make_net("classifier", module=ModuleTemplate(MLP(6, 2, hidden=(20,))), max_epochs=1)
    kept = GivenMaskPruner(net, random_state=0, train_ticket=False).fit(*data)
    redrawn = GivenMaskPruner(net, reinitialize=True, random_state=0, train_ticket=False).fit(*data)
    for name, value in kept.initial_state_.items():
        other = redrawn.initial_state_[name]
        assert not torch.equal(value, other)
        assert torch.equal(value.flatten().sort().values, other.flatten().sort().values)


def test_sparsity_aware_weights_keep_signals_their_size():
    rng = np.random.RandomState(0)
    mask = TicketMask(
        {
            "layers.0.weight": rng.uniform(size=(400, 100)) < 0.05,
            "layers.1.weight": rng.uniform(size=(2, 400)) < 0.5,
        }
    )
    X, y = rng.standard_normal((20, 100)), np.arange(20) % 2
    net = make_net("classifier", module__hidden=(400,))
    pruner = GivenMaskPruner(net, mask, reinitialize="sparsity-aware", train_ticket=False)
    pruner.set_params(random_state=0).fit(X, y)
    weight, kept = pruner.initial_state_["layers.0.weight"], mask["layers.0.weight"]
    n_inputs = kept.sum(dim=1)
    sizes = (weight**2 * kept).sum(dim=1)[n_inputs > 0]
    assert n_inputs.min() < 3 < 8 < n_inputs.max()
    assert sizes.mean() == pytest.approx(2, rel=0.1)
    few = n_inputs[n_inputs > 0] < 4
    assert sizes[few].mean() == pytest.approx(2, rel=0.3)
    assert sizes[~few].mean() == pytest.approx(2, rel=0.15)


def test_signs_are_transferred_and_sizes_are_not(data):
    net = make_net("classifier")
    own = GivenMaskPruner(net, train_ticket=False, random_state=0).fit(*data).initial_state_
    signs = {name: torch.randn(value.shape) for name, value in own.items() if value.ndim > 1}
    signs["layers.0.weight"][0] = 0
    signs["not a parameter"] = torch.ones(3)
    pruner = GivenMaskPruner(net, signs=signs, train_ticket=False, random_state=0).fit(*data)
    for name, value in pruner.initial_state_.items():
        assert torch.equal(value.abs(), own[name].abs())
        expected = signs[name].sign() if name in signs else own[name].sign()
        zero = expected == 0
        assert torch.equal(value.sign()[~zero], expected[~zero])
        assert torch.equal(value[zero], own[name][zero])
    with pytest.raises(ValueError, match=r"signs\['layers.0.bias'\] has shape \(3,\)"):
        GivenMaskPruner(net, signs={"layers.0.bias": np.ones(3)}).fit(*data)


@pytest.mark.parametrize(
    ("make_pruner", "complaint"),
    [
        (
            lambda: GivenMaskPruner(make_net("classifier"), TicketMask({"weight": [[True]]})),
            "mask does not fit MLP",
        ),
        (
            lambda: GivenMaskPruner(
                make_net("classifier"), TicketMask({"layers.0.weight": np.zeros((32, 6))})
            ),
            "mask keeps nothing",
        ),
    ],
)
def test_masks_that_do_not_fit_are_refused(make_pruner, complaint, data):
    assert_refused(make_pruner(), data, complaint)
