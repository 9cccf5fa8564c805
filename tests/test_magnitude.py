"""Magnitude pruning: by hand, and the iterative kind."""

import pytest
import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, IterativeMagnitudePruner, MagnitudePruner
from tests.instances import X_SMALL, Y_SMALL, make_net, small_data, two_layer_net, weights


@pytest.fixture
def data():
    return small_data()


def test_half_of_a_small_network_is_kept_as_by_hand():
    # |w|: 1 2 3 4, 5 6
    pruner = MagnitudePruner(two_layer_net(), sparsity=0.5, n_rounds=1, train_ticket=False)
    pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_ == TicketMask({"0.weight": [[0, 0], [0, 1]], "2.weight": [[1, 1]]})


def test_imp_prunes_by_trained_magnitude_and_rewinds(data):
    dense = GivenMaskPruner(make_net("classifier", max_epochs=3), random_state=0).fit(*data)
    imp = IterativeMagnitudePruner(
        make_net("classifier", max_epochs=3),
        sparsity=0.5,
        n_rounds=1,
        train_ticket=False,
        random_state=0,
    ).fit(*data)
    trained = {n: w.abs() for n, w in weights(dense).items() if n in imp.mask_}
    assert imp.mask_ == TicketMask.ones_like(MLP(6, 2, hidden=(32,))).shrink(trained, 0.5)
    for name, kept in imp.mask_.items():
        torch.testing.assert_close(weights(imp)[name][kept], imp.initial_state_[name][kept])
