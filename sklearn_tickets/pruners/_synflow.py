"""SynFlow: pruning by synaptic flow, without data."""

from sklearn_tickets._network import plain_module, positive_flow
from sklearn_tickets.pruners.base import Run, Scores, ScoringPruner


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

    def _check_network(self, run: Run) -> None:
        super()._check_network(run)
        module = plain_module(run.net.module_)
        unknown = positive_flow(module, {}, run.X).unknown
        if unknown:
            raise ValueError(
                f"{type(self).__name__} cannot follow the flow through {unknown[0]} inside "
                f"estimator's module {type(module).__name__}. Use a pruner that scores by the "
                "loss, such as SNIPPruner. If it is a final softmax, remove it: modules return "
                "logits."
            )

    def _score(self, run: Run) -> Scores:
        module = plain_module(run.net.module_)
        state = run.mask.apply({name: p.detach() for name, p in module.named_parameters()})
        theta = {name: state[name].double().abs() for name in run.mask}
        gradient = positive_flow(module, theta, run.X).parameters
        return {name: value * gradient[name] for name, value in theta.items()}
