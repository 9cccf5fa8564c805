"""SynFlow: pruning by synaptic flow, without data."""

import torch
from skorch import NeuralNet

from sklearn_tickets._network import plain_module, positive_flow
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base import Array, Scores, ScoringPruner


class SynFlowPruner(ScoringPruner):
    r"""Prune parameters with little synaptic flow, without looking at the data (SynFlow).

    The score of a parameter is its share in the sum over all input-to-output paths,

    .. math:: R = \mathbf{1}^\top \prod_l |\theta_l| \; \mathbf{1}, \qquad
              s = \frac{\partial R}{\partial |\theta|} \, |\theta|,

    computed in float64, without activation functions and with normalization layers
    reduced to :math:`|\gamma| x`. Biases are included with ``prune_bias=True`` and are 0
    otherwise. Many rounds of scoring, the default, keep whole layers from being removed.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    MagnitudePruner : Score each weight on its own.

    References
    ----------
    .. [1] Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by
       iteratively conserving synaptic flow", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import SynFlowPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = SynFlowPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    n_rounds = 100

    def _score(self, net: NeuralNet, mask: TicketMask, X: Array, y: Array) -> Scores:
        module = plain_module(net.module_)
        state = mask.apply({name: p.detach() for name, p in module.named_parameters()})
        theta = {name: state[name].double().abs() for name in mask}
        R, gradient, _ = positive_flow(module, theta, torch.as_tensor(X[:1]))
        scores = {name: value * gradient[name] for name, value in theta.items()}
        # Each layer's scores sum to R, unless something in the module makes R constant.
        if max(score.sum().abs() for score in scores.values()) < 1e-6 * R.abs():
            raise ValueError(
                f"{type(self).__name__} finds no flow in estimator's module "
                f"{type(module).__name__}: its summed output does not depend on the weights. "
                "Remove any softmax inside; modules return logits."
            )
        return scores
