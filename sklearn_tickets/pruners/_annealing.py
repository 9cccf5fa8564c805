"""Simulated annealing: find a strong ticket as small as a planted one."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from numbers import Real
from signal import SIG_DFL, SIGINT, signal
from threading import Event, current_thread, main_thread
from typing import Annotated, Literal

import numpy as np
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from torch import Tensor

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners._edge_popup import BestScored, initial_scores
from sklearn_tickets.pruners._host import Host
from sklearn_tickets.pruners.base import (
    Count,
    FrozenGatesPruner,
    Positive,
    Run,
    is_multilabel,
)
from sklearn_tickets.training import Gates, Layout, Training

# A large ticket of a regressor that grows from a small one has about the error of the best ones in
# little time; what is added to one of a classifier when it is cold hardly helps.
SMALL_OF_REGRESSORS = 400


class AnnealingPruner(FrozenGatesPruner):
    r"""Anneal the bits of a mask on frozen weights, to the size of a planted ticket.

    Edge-popup finds a first mask, of `n_start` parameters. Simulated annealing changes it bit by
    bit, while the number of kept parameters falls to the ticket's and the temperature T to about
    0. A move flips a few bits: it exchanges an input of a unit, adds or removes one, leads a path
    through an idle unit, or hands a unit's connections over to an idle one; what is on no path any
    more is removed with it. A move that changes the energy E by dE is accepted with probability
    :math:`\min(1, e^{-dE / T})`. For classes,

    .. math:: E = -\mathrm{mean} \log\Big((1 - \epsilon)\,
              \mathrm{softmax}(e^{s} \odot f(x))_y + \frac{\epsilon}{C}\Big),

    where f is the network with only the kept parameters, and the log-scale s of each of the C
    outputs is annealed, too. For regression, E is the mean squared error after the best positive
    factor per output, relative to the variance of the targets, averaged over outputs, and dE is a
    fifth of the change of its logarithm. A parameter above the number to keep costs as much as .02
    of E for classes, and as much as the factor :math:`e^2` of E for regression.

    If more than `n_small` parameters are to be kept, annealing goes down to these first. When it is
    cold, the ticket grows again within the units that it uses.

    Chains of moves that differ only in their random numbers are run by successive halving [2]_: the
    moves are cut into as many equal stages as it takes to be left with one chain, and after each
    stage the better half goes on, by the energy on the training data. Chains above the number of
    parameters to keep come last. The edge-popup mask is kept instead if it has the number of
    parameters and a lower energy, so that annealing does no harm to it.

    If the result has more parameters than are to be kept, the smallest weights are removed; if it
    has fewer, parameters that lead nowhere are added, and if there are too few, the smallest.

    Parameters
    ----------
    <parameters>
    scope : {"global"}, default="global"
        All parameters compete with each other.
    mask_lr : float > 0, default=0.1
        Learning rate of the scores of edge-popup.
    learn_scale : bool, default=True
        Whether edge-popup learns a positive factor per output, too. Annealing always does.
    n_start : int, default=1000
        Number of parameters that edge-popup keeps; if that is more, the smaller of the ticket's
        number and `n_small`.
    n_moves : int, default=2_000_000
        Number of moves of a chain that runs to the end. Where more than a few hundred parameters
        are kept, a move takes longer, and fewer are enough.
    heat : float > 0, default=1.0
        Factor of all temperatures, which fall with the number of parameters to keep. If it is too
        high, the energy stays at that of constant outputs; ``rounds_[-1]["history"]`` has its
        course.
    smoothing : float in (0, 1), default=0.02
        The :math:`\epsilon` of the energy; the larger, the less a row that is wrong can cost.
        Without effect on regressors.
    n_small : int or None, default=None
        Number of parameters of the small ticket that grows to the number to keep, if that is more.
        None is 400 for regressors; the tickets of classifiers do not grow.
    n_chains : int, default=12
        Number of chains that begin. With 12, all of them together make 4.8 times `n_moves`; with 1
        there is no halving. The results of chains differ much, so that more of them are better than
        longer ones.
    n_jobs : int or None, default=None
        Number of threads that run chains, as in scikit-learn. The result is the same for all.
    keep_on_interrupt : bool, default=False
        Whether an interrupt (Ctrl-C) ends only the annealing, with the mask of the best chain so
        far, whatever was above the number to keep cut off. Works for fits in the main thread.

    Attributes
    ----------
    <attributes>

    Raises
    ------
    ImportError
        By ``fit``, if Numba is not installed: ``pip install 'sklearn-tickets[fast]'``.

    See Also
    --------
    EdgePopupPruner : Much faster, and as good where many parameters are kept.
    sklearn_tickets.metrics.strong_accuracy : Score the strong ticket.

    Notes
    -----
    The network must be a chain of ``Linear`` layers with ReLU between them; ``Flatten`` and
    ``Dropout`` are allowed. All weights must be prunable; biases that are not pruned stay as they
    are. The first fit on a machine compiles the moves, which takes about 20 seconds.

    A move costs the evaluation of the units downstream of what it flips, on 128 to 9,000 rows of
    the training data, so that time hardly depends on the width of the network, but on the
    number of kept parameters. More than 9,000 rows are used in turn.

    On the planted circle (20,904 parameters), tickets of the planted size, 130 parameters, were
    right on .960 to .971 of test data after two minutes of one core (median .964; edge-popup .792,
    the planted ticket .985). With few moves, or in small networks of which much is kept, the result
    can be worse than that of an edge-popup mask of the same size.

    Annealing decides on most moves by a part of the rows, so that it does not sample exactly from
    the distribution of its temperature.

    References
    ----------
    .. [1] Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", Science 220,
       1983.
    .. [2] Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013.
    .. [3] Ramanujan, Wortsman, Kembhavi, Farhadi and Rastegari, "What's hidden in a randomly
       weighted neural network?", CVPR 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import AnnealingPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = AnnealingPruner(net, sparsity=0.95, prune_bias=True, n_moves=20_000,
    ...                          random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(104 of 2,074 parameters)
    """

    scope: Literal["global"] = "global"
    mask_lr = 0.1
    n_start: Count = 1000
    n_moves: Count = 2_000_000
    heat: Positive = 1.0
    smoothing: Annotated[float, Interval(Real, 0, 1, closed="neither")] = 0.02
    n_small: Count | None = None
    n_chains: Count = 12
    n_jobs: int | None = None
    keep_on_interrupt: bool = False

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        return tags

    def _check_network(self, run: Run) -> None:
        if find_spec("numba") is None:
            raise ImportError("AnnealingPruner needs numba; pip install 'sklearn-tickets[fast]'")
        if is_multilabel(run.net):
            raise ValueError(
                "AnnealingPruner takes one class per row, but estimator's criterion "
                "BCEWithLogitsLoss is for several labels. Use EdgePopupPruner."
            )
        for layer in Host.of(run).layers:
            if (name := f"{layer}.weight") not in run.mask:
                raise ValueError(
                    f"exclude={self.exclude!r} leaves {name!r} dense, but AnnealingPruner needs "
                    "all weights to be prunable. Exclude biases only."
                )

    def _gates(self, weights: Tensor, layout: Layout, density: float) -> Gates:
        scores = {name: initial_scores(w) for name, w in layout.split(weights).items()}
        return BestScored(layout.join(scores), layout=layout, density=density, anneal=True)

    def _search(self, run: Run, density: float) -> Generator[Training, None, TicketMask]:
        from sklearn_tickets._annealing import rank, run_chains, steps  # needs Numba

        (n_kept,) = run.mask.counts(density, self.scope)
        auto = n_kept if run.classes is not None else SMALL_OF_REGRESSORS
        n_small = auto if self.n_small is None else self.n_small
        n_start = min(max(self.n_start, min(n_kept, n_small)), run.mask.n_kept)
        mask = yield from super()._search(run, n_start / run.mask.n_parameters)
        host = Host.of(run)
        problem = host.problem(run, self.smoothing)
        start = problem.start(np.flatnonzero(host.join(mask)), host.log_scale(run, mask))
        plan = steps(self.n_moves, len(start.bits), n_kept, n_small, len(run.X), self.heat)
        with _interruption(self.keep_on_interrupt) as stop:
            annealed = run_chains(
                problem,
                start,
                [*plan],
                n_chains=self.n_chains,
                n_jobs=self.n_jobs,
                rng=run.rng,
                is_stopped=stop.is_set,
            )
        history = run.net.history
        for row in annealed.trace:
            history.new_epoch()
            for name, value in row.items():
                history.record(name, value)
        best = min(annealed, start, key=lambda found: rank(found, n_kept))
        run.scale = np.exp(best.log_scale - best.log_scale.mean())[host.n_constant :]
        size = np.abs(host.join(host.state))
        preference = np.where(best.idle, size.max(), -size)
        preference[best.bits] = size.max() + 1 + size[best.bits]
        return run.mask.shrink(host.split(preference), density, self.scope, run.rng)


@contextmanager
def _interruption(is_kept: bool) -> Iterator[Event]:
    """Stop chains when the block is left early; if `is_kept`, Ctrl-C stops only them."""
    stop = Event()
    # Only the main thread may handle signals.
    handles = is_kept and current_thread() is main_thread()
    previous = signal(SIGINT, lambda *_: stop.set()) if handles else None
    try:
        yield stop
    finally:
        stop.set()
        if handles:
            # None is a handler that Python did not install.
            signal(SIGINT, SIG_DFL if previous is None else previous)
