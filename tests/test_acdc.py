"""AC/DC: its phases by hand; cyclic training without pruning beside."""

import numpy as np
import pytest
import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import ACDCPruner
from tests.instances import linear_net

# A step of plain SGD at a rate of 1/2 halves the distance of a weight to its target.
IDENTITY, TARGETS = np.eye(2, dtype=np.float32), np.array([1, 3], np.float32)


@pytest.mark.parametrize(
    ("settings", "counts", "final"),
    [
        # Dense: 4, 1 -> 2.5, 2. Sparse: 1.75. Dense: 1.75, 0 -> 1.375, 1.5. Sparse: 2.25.
        ({"n_rounds": 3}, [1, 2, 1], [0, 2.25]),
        # The last round does not release the weights: 1.75, then 1.375.
        ({"n_rounds": 2}, [1, 1], [1.375, 0]),
        # All dense: 4, 1 -> 2.5, 2 -> 1.75, 2.5 -> 1.375, 2.75. Sparse: 2.875.
        ({"n_rounds": 3, "density_schedule": "one-shot"}, [2, 2, 1], [0, 2.875]),
        # What an initial mask prunes does not return.
        ({"n_rounds": 3, "initial_mask": TicketMask({"weight": [[1, 0]]})}, [1, 1, 1], [1.1875, 0]),
    ],
    ids=["odd", "even", "one-shot", "from a mask"],
)
def test_pruned_weights_return_at_zero(settings, counts, final):
    net = linear_net([4.0, 1.0], optimizer=torch.optim.SGD, lr=0.5)
    settings = {"round_epochs": 1, "final_epochs": 1, "l1": 0.0, "schedule": None} | settings
    pruner = ACDCPruner(net, sparsity=0.5, **settings).fit(IDENTITY, TARGETS)
    assert [record["n_kept"] for record in pruner.rounds_] == counts
    assert pruner.estimator_.module_.weight.tolist() == [final]
