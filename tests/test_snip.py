"""SNIP: its scores by hand, and over all of the data."""

import numpy as np
import pytest

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import FORCEPruner, SNIPPruner
from tests.instances import (
    X_SMALL,
    Y_SMALL,
    assert_refused,
    linear_net,
    make_net,
    score_of,
    small_data,
    two_layer_net,
)


@pytest.fixture
def data():
    return small_data()


def test_half_of_a_small_network_is_kept_as_by_hand():
    # |w dL/dw|, the residuals being 42 and 45: 450 0 2376 1008, 450 3384
    pruner = SNIPPruner(two_layer_net(), sparsity=0.5, n_rounds=1, train_ticket=False)
    pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_ == TicketMask({"0.weight": [[0, 0], [1, 1]], "2.weight": [[0, 1]]})


def test_snip_scores_are_weight_times_gradient():
    scores = score_of(SNIPPruner(two_layer_net()), X_SMALL, Y_SMALL[:, None])
    assert scores == {"0.weight": [450, 0, 2376, 1008], "2.weight": [450, 3384]}


def test_snip_sums_up_the_gradient_over_all_data(data):
    X, y = np.concatenate([data[0]] * 20), np.concatenate([data[1]] * 20)
    pruner = SNIPPruner(make_net("classifier", module=ModuleTemplate(MLP(6, 2))))
    once, twenty_times = score_of(pruner, *data), score_of(pruner, X, y)
    for name, score in once.items():
        np.testing.assert_allclose(score, twenty_times[name], rtol=1e-4, atol=1e-8)


def test_a_weight_that_lowers_the_loss_counts_as_much_as_one_that_raises_it():
    # y = 0: dL/df = 2 f. Of f = 3 x1 - 2 x2 = 1, the products w dL/dw are 6 and -4.
    X, y = np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32)
    assert score_of(SNIPPruner(linear_net([3.0, -2.0])), X, y) == {"weight": [6, 4]}


# Residuals of the weights 10, 20, 10, 12 are 1 and 5, so |w dL/dw| is 10, 20, 50, 60. Without
# the first weight, the residuals are -9 and 5, and |w dL/dw| is 90, 180, 50, 60.
PAIRS = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], np.float32), np.array([29, 17], np.float32)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"n_rounds": 1}, [0, 0, 1, 1]),
        ({"n_rounds": 2, "regrow": False}, [0, 1, 0, 1]),
        ({"n_rounds": 2}, [1, 1, 0, 0]),
        ({"n_rounds": 2, "connected": True}, [1, 1, 0, 0]),
        # With an initial mask of three weights, the residuals are -9 and 5 at once.
        ({"n_rounds": 2, "initial_mask": TicketMask({"weight": [[0, 1, 1, 1]]})}, [0, 1, 0, 1]),
    ],
    ids=["SNIP", "iterative SNIP", "FORCE", "FORCE, connected", "FORCE, from a mask"],
)
def test_a_weight_that_was_pruned_too_early_returns(settings, kept):
    net = linear_net([10.0, 20.0, 10.0, 12.0])
    pruner = FORCEPruner(net, sparsity=0.5, train_ticket=False, **settings).fit(*PAIRS)
    assert pruner.mask_ == TicketMask({"weight": [kept]})
    # Those that return are rewound as well.
    weight = pruner.estimator_.module_.weight.tolist()[0]
    assert weight == [w * keep for w, keep in zip([10, 20, 10, 12], kept, strict=True)]


def test_weights_that_are_not_rewound_cannot_return(data):
    pruner = FORCEPruner(make_net("classifier"), rewind_epoch=None)
    assert_refused(pruner, data, r"regrow=True of FORCEPruner .* rewind_epoch=None rewinds none")
