"""Random pruning: what it keeps does not depend on the weights."""

import numpy as np
import pytest

from sklearn_tickets.pruners import RandomPruner
from tests.instances import X_SMALL, Y_SMALL, two_layer_net


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
def test_random_pruning_does_not_depend_on_the_weights():
    kept = [
        RandomPruner(two_layer_net(), sparsity=0.5, train_ticket=False, random_state=seed)
        .fit(X_SMALL, Y_SMALL)
        .mask_.to_vector()
        for seed in range(200)
    ]
    np.testing.assert_allclose(np.mean(kept, axis=0), 0.5, atol=0.11)
