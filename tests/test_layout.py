"""Layout: all parameters as one vector."""

import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training import Layout
from tests.instances import layout_of


def test_layout_joins_what_it_splits():
    tensors = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.tensor([6.0, 7.0])}
    tensors["1.weight"] = torch.arange(8.0, 12.0).view(1, 4)
    order = ["0.weight", "1.weight", "0.bias"]
    layout = Layout(TicketMask({name: tensors[name] >= 0 for name in order}), "layer")
    vector = layout.join(tensors)
    # A bias competes with its own weight, so it lies beside it.
    assert vector.tolist() == list(range(12))
    assert layout.groups == [slice(0, 8), slice(8, 12)]
    assert layout.weights == [slice(0, 6), slice(8, 12)]
    for name, part in layout.split(vector).items():
        assert torch.equal(part, tensors[name])


def test_the_best_of_each_weight_comes_first():
    layout = layout_of((1, 3), (1, 2))
    raised = layout.with_footholds(torch.tensor([0.1, 0.3, 0.2, 0.9, 0.8]))
    assert layout.best(raised, layout.counts(0.4)).tolist() == [False, True, False, True, False]
    assert layout.best(raised, layout.counts(0.6)).tolist() == [False, True, False, True, True]


def test_a_layout_knows_what_its_mask_prunes():
    mask = TicketMask({"0.weight": [[0, 1, 1]], "1.weight": [[0, 0]], "2.weight": [[1, 1, 1]]})
    layout = Layout(mask, "layer")
    assert layout.pruned.tolist() == [True, False, False, True, True, False, False, False]
    assert layout.density == 5 / 8
    assert layout.counts(0.9) == [2, 0, 3]
    # The second weight has no entry that could be raised.
    assert layout.weights == [slice(0, 3), slice(5, 8)]


def test_nothing_of_a_group_may_be_best():
    layout = layout_of((1, 3), (1, 2), scope="layer")
    scores = torch.tensor([0.1, 0.3, 0.2, 0.9, 0.8])
    assert layout.best(scores, [1, 0]).tolist() == [False, True, False, False, False]
