"""Other trainings of rounds than one with an L1 penalty: hyperbolic steps, factorized weights.

``python tests/benchmarks/round_training.py`` prints a Markdown table, medians (lowest - highest)
over seeds 5 to 9, and with the argument ``sweep`` those of helix over seeds 0 to 4, on which
settings were chosen: `LearningRateRewindingPruner` at the planted ticket's own size and at half of
it, depth 5, width 100, Adam with a peak rate of 1e-2, batch size 64, 3000 training samples, noisy
test data.
"""

import math
import sys
from dataclasses import replace

import numpy as np
import torch
from _common import prepare_worker, print_header, print_row, quality, spread
from joblib import Parallel, delayed
from skorch.callbacks import Callback
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import LearningRateRewindingPruner
from sklearn_tickets.pruners.base import Count

N_SAMPLES = 3000


class HyperbolicUpdate(Callback):
    """Jacobs et al. (2025): w <- w exp(-eta (alpha sign(w) g + beta)) after a step along g."""

    def __init__(self, alpha, beta=1e-3):
        self.alpha, self.beta = alpha, beta

    def on_grad_computed(self, net, **kwargs):
        """Copy what schedules and optimizers may change before the end of the batch."""
        [group] = net.optimizer_.param_groups
        self.decay_ = self.beta * group["lr"]
        self.slopes_ = {
            weight: weight.grad * (-self.alpha * group["lr"])
            for weight in group["params"]
            if weight.ndim > 1
        }

    @torch.no_grad()
    def on_batch_end(self, net, **kwargs):
        """Multiply the weights."""
        for weight, slope in self.slopes_.items():
            weight.mul_((slope * weight.sign() - self.decay_).clamp(-5, 5).exp())


class FactorizedWeights(Callback):
    """Train weights as products of D factors of equal magnitude, which decay.

    The decay of the factors, (l1 / D) sum ||factor||^2, is at least l1 * sum |w|^(2 / D). The
    optimizer trains the factors; everything else sees the weights and their gradients.
    """

    def __init__(self, n_factors, l1, names):
        self.n_factors, self.l1, self.names = n_factors, l1, names

    def on_train_begin(self, net, **kwargs):
        """Replace the weights by factors in the net's optimizer."""
        [group] = net.optimizer_.param_groups
        parameters = dict(net.module_.named_parameters())
        weights = {parameters[name] for name in self.names}
        self.factors_ = {
            weight: self.split(weight) for weight in group["params"] if weight in weights
        }
        self.parameters_ = group["params"]
        group["params"] = [self.factors_.get(each, each) for each in group["params"]]
        self.hooks_ = [
            net.optimizer_.register_step_pre_hook(self.before_step),
            net.optimizer_.register_step_post_hook(self.after_step),
        ]
        self.multiply()

    @torch.no_grad()
    def split(self, weight):
        """Make factors of a weight; the first has its sign."""
        size = weight.abs().pow(1 / self.n_factors)
        size[weight == 0] = 1
        first = weight / size ** (self.n_factors - 1)
        return nn.Parameter(torch.stack([first, *[size] * (self.n_factors - 1)]))

    def multiply(self):
        """Compute the products, for the chain rule as well."""
        self.products_ = [math.prod(factors.unbind()) for factors in self.factors_.values()]

    def before_step(self, optimizer, args, kwargs):
        """Let the optimizer see the gradients of the factors."""
        _, evaluate = args

        def evaluate_factors():
            for weight in self.factors_:
                weight.grad = None
            loss = evaluate()
            torch.autograd.backward(self.products_, [weight.grad for weight in self.factors_])
            for factors in self.factors_.values():
                factors.grad.add_(factors.detach(), alpha=2 * self.l1 / self.n_factors)
            return loss

        return (optimizer, evaluate_factors), kwargs

    def after_step(self, *args):
        """Set the weights to the products."""
        self.multiply()
        with torch.no_grad():
            torch._foreach_copy_(list(self.factors_), self.products_)

    def on_train_end(self, net, **kwargs):
        """Give the weights back to the optimizer."""
        [group] = net.optimizer_.param_groups
        group["params"] = self.parameters_
        for factors in self.factors_.values():
            net.optimizer_.state.pop(factors, None)
        for hook in self.hooks_:
            hook.remove()


class FactorizingPruner(LearningRateRewindingPruner):
    """Learning-rate rewinding whose `l1` is that of `FactorizedWeights`.

    Parameters
    ----------
    <parameters>
    n_factors : int, default=2
        Number of factors D of each weight.
    """

    n_factors: Count = 2

    def _round_training(self, run, density):
        training = super()._round_training(run, density)
        factorized = FactorizedWeights(self.n_factors, training.penalty.l1, training.penalty.names)
        return replace(training, penalty=None, callbacks={"factorized": factorized})


# The penalty is `times` that of l1="auto".
CHOSEN = {
    "L1 penalty": {},
    "L1 penalty, three times": {"times": 3},
    "hyperbolic, alpha .1": {"alpha": 0.1},
    "2 factors": {"n_factors": 2},
    "2 factors, three times": {"n_factors": 2, "times": 3},
}
OTHERS = {
    "L1 penalty, twice": {"times": 2},
    "hyperbolic, alpha 1": {"alpha": 1.0},
    "hyperbolic, alpha 10": {"alpha": 10.0},
    "3 factors, twice": {"n_factors": 3, "times": 2},
}


def measure(task, fraction, seed, *, times=1, alpha=None, n_factors=None):
    """Measure the sparse network that keeps a fraction of the planted weights."""
    prepare_worker()
    planted = PlantedTicketGenerator(task, random_state=seed).generate(N_SAMPLES + 1000)
    X, X_test = planted.X[:N_SAMPLES], planted.X[N_SAMPLES:]
    y, y_test = planted.y[:N_SAMPLES], planted.y[N_SAMPLES:]
    sizes = planted.mask.summary()
    weights = sizes[sizes["shape"].map(len) > 1]
    callbacks = [] if alpha is None else [HyperbolicUpdate(alpha)]
    net = planted.make_net(lr=1e-2, batch_size=64, callbacks=callbacks)
    if n_factors is None:
        pruner = LearningRateRewindingPruner(net, random_state=seed)
    else:
        pruner = FactorizingPruner(net, n_factors=n_factors, random_state=seed)
    pruner.set_params(
        sparsity=1 - int(fraction * weights["n_kept"].sum()) / weights["n_parameters"].sum(),
        l1=times * {"circle": 2.7, "helix": 0.9}[task] / N_SAMPLES,
    )
    return quality(task, y_test, pruner.fit(X, y).predict(X_test))


if __name__ == "__main__":
    chosen = CHOSEN, ("helix", "circle"), range(5, 10)
    sweep = CHOSEN | OTHERS, ("helix",), range(5)
    settings, tasks, seeds = sweep if sys.argv[1:] == ["sweep"] else chosen
    cells = [(task, fraction) for task in tasks for fraction in (1, 0.5)]
    print_header("training of rounds", *(f"{task}, {fraction:g}" for task, fraction in cells))
    for name, setting in settings.items():
        jobs = [delayed(measure)(*cell, seed, **setting) for cell in cells for seed in seeds]
        values = Parallel(n_jobs=-1)(jobs)
        print_row(name, *map(spread, np.reshape(values, (len(cells), len(seeds)))))
