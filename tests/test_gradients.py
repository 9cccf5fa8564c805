"""Gradients to score by: the rows they are taken on, and what they leave alone."""

import numpy as np
import pytest
import torch

from sklearn_tickets.pruners import GraSPPruner, SNIPPruner, SynFlowPruner
from sklearn_tickets.pruners.base import scoring_sample
from tests.instances import ConvNet, make_net, small_images


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.mark.parametrize("pruner_class", [SNIPPruner, GraSPPruner, SynFlowPruner])
def test_scoring_leaves_batch_norm_statistics_as_they_were(pruner_class, images):
    net = make_net("classifier", module=ConvNet)
    pruner = pruner_class(net, random_state=0, n_rounds=2, train_ticket=False).fit(*images)
    state = pruner.estimator_.module_.state_dict()
    for name in ("features.1.running_mean", "features.1.num_batches_tracked"):
        assert torch.equal(state[name], pruner.initial_state_[name])


def test_scoring_samples_are_drawn_from_all_classes_equally():
    y = np.repeat([0, 1, 2], [100, 10, 5])
    X = np.arange(115.0)
    net = make_net("classifier")
    _, drawn = scoring_sample(net, X, y, 12)
    assert np.bincount(drawn).tolist() == [4, 4, 4]
    assert len(scoring_sample(make_net("regressor"), X, y, 12)[0]) == 12
    assert scoring_sample(net, X, y, None)[0] is X
