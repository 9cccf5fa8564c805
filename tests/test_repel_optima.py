"""`RepelOptima`: trainings end apart from, or near, earlier ones."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification

from sklearn_tickets.pruners import IterativeMagnitudePruner
from sklearn_tickets.training import RepelOptima
from tests.instances import make_net


def penalty(weights, optima, strength):
    """The formula, by automatic differentiation."""
    theta = torch.cat([w.flatten() for w in weights])
    others = [optimum * (theta != 0) for optimum in optima]
    cosines = [(theta @ other / theta.norm() / other.norm()) ** 2 for other in others]
    return strength * torch.stack(cosines).mean()


@pytest.mark.parametrize("strength", [2.0, -1.0])
def test_the_gradient_is_that_of_the_formula(strength):
    net = make_net("classifier", module__n_features=3, module__n_outputs=2).initialize()
    weights = [layer.weight for layer in net.module_.layers]
    weights[0].data[0, 0] = 0  # pruned
    rng = torch.Generator().manual_seed(0)
    repel = RepelOptima(strength)
    repel.on_train_begin(net)
    assert len(repel.optima_) == 0
    repel.optima_ = torch.randn(2, sum(weight.numel() for weight in weights), generator=rng)
    expected = torch.autograd.grad(penalty(weights, repel.optima_, strength), weights)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    repel.on_grad_computed(net)
    for weight, gradient in zip(weights, expected, strict=True):
        kept = weight != 0  # a pruned weight's gradient does not matter
        torch.testing.assert_close(weight.grad[kept], gradient[kept] + 1)


def angles(strength):
    """Cosines between the kept weights of the last round and those of each earlier round."""
    X, y = make_classification(n_samples=100, n_features=6, n_informative=4, random_state=0)
    callbacks = [] if strength is None else [RepelOptima(strength)]
    net = make_net("classifier", max_epochs=20, callbacks=callbacks)
    pruner = IterativeMagnitudePruner(net, sparsity=0.5, n_rounds=3, store_rounds=True)
    pruner.set_params(random_state=0, train_ticket=False).fit(X, y)
    assert all(len(vars(callback)) == 1 for callback in callbacks), "the user's own was changed"
    vectors = [
        np.concatenate([record["state"][name].numpy().ravel() for name in pruner.mask_])
        for record in pruner.rounds_
    ]
    last = vectors[-1]
    others = [v * (last != 0) for v in vectors[:-1]]
    return [abs(last @ v) / np.linalg.norm(last) / np.linalg.norm(v) for v in others]


def test_rounds_end_apart_if_repelled_and_together_if_attracted():
    plain = angles(None)
    assert max(angles(2.0)) < 0.1 < min(plain)
    assert min(angles(-1.0)) > max(plain)
