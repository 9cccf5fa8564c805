"""A genetic algorithm: find a strong ticket without gradients."""

import math
from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real
from typing import Annotated, TypeAlias

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval
from skorch import NeuralNet

from sklearn_tickets._network import (
    Rows,
    SparseRows,
    as_tensor,
    evaluating,
    functional_call,
    normalization_statistics,
    plain_module,
)
from sklearn_tickets.masks import Scope, TicketMask
from sklearn_tickets.pruners.base import (
    Count,
    FreeSparsity,
    Run,
    SparsityPruner,
    regression_scale,
    scoring_sample,
)
from sklearn_tickets.training import Layout

Share: TypeAlias = Annotated[float, Interval(Real, 0, 1, closed="both")]
# Best fraction of the population, from which mates are drawn; rows in a batch.
_MATES, _ROWS = 0.3, 1024


class GeneticPruner(SparsityPruner):
    r"""Evolve the mask of a strong ticket with frozen weights (genetic algorithm).

    A genome has one bit per parameter, 1 = kept. Its fitness is the performance on the
    training data of the network with only these initial weights: accuracy (of single labels in
    multilabel classification), or minus the mean squared error of the rescaled outputs. Of
    equally good genomes, the one that keeps less is fitter. The first population is random. In
    each generation

    1. some genomes recombine with a mate drawn from the best 30 %: the child takes each bit
       from either parent (uniform crossover),
    2. some mutate: one bit is flipped,
    3. some random genomes migrate into the population,
    4. the fittest of all survive.

    With a given sparsity, every genome meets it exactly: a child keeps what both parents
    keep and draws the rest from what one of them keeps; a mutation swaps two bits. If the
    number allows it, every weight keeps an entry, so that no layer is emptied.

    Parameters
    ----------
    <parameters>
    sparsity : float in [0, 1) or None, default=0.9
        Fraction of the prunable parameters to remove, met exactly; None leaves the
        sparsity to the method.
    population_size : int, default=100
        Number of genomes that survive a generation.
    recombine : float in [0, 1], default=0.3
        Number of children per generation, as a fraction of the population.
    mutate : float in [0, 1], default=0.1
        Number of mutants per generation, as a fraction of the population.
    migrate : float in [0, 1], default=0.1
        Number of new random genomes per generation, as a fraction of the population.
    min_generations : int, default=100
        Minimum number of generations.
    patience : int, default=50
        Number of generations without a fitter genome after which the search stops.
    max_generations : int, default=200
        Maximum number of generations.
    n_score_samples : int or None, default=None
        Number of rows to measure fitness on, drawn equally often from all classes; None
        uses all rows.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    EdgePopupPruner : Search by gradients, which work better in larger networks.
    sklearn_tickets.metrics.strong_accuracy : Score the strong ticket.

    Notes
    -----
    A generation costs a forward pass of all rows for each new genome. The method is meant for
    small networks; in large ones, a few hundred generations make little progress: a child
    mixes thousands of entries at random, and a mutation changes one or two. With the default
    parameters, strong tickets that keep a fifth of some 17,000 weights were right on .17 to .38
    of digits (.1 by chance), and on .37 to .97 of breast_cancer (median .94), in six fits.

    References
    ----------
    .. [1] Altmann, Schönberger, Zorn and Gabor, "Finding strong lottery ticket networks with
       genetic algorithms", NCTA 2024, arXiv:2411.04658.
    .. [2] Schönberger, Zorn, Nüßlein, Gabor and Altmann, "Towards scalable lottery ticket
       networks using genetic algorithms", 2025, arXiv:2508.08877.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import GeneticPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = GeneticPruner(net, sparsity=0.5, prune_bias=True, population_size=10,
    ...                        min_generations=2, max_generations=2, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    sparsity: FreeSparsity = 0.9
    population_size: Annotated[int, Interval(Integral, 2, None, closed="left")] = 100
    recombine: Share = 0.3
    mutate: Share = 0.1
    migrate: Share = 0.1
    min_generations: Count = 100
    patience: Count = 50
    max_generations: Count = 200
    n_score_samples: Count | None = None
    train_ticket = False

    def _search(self, run: Run, density: float | None) -> TicketMask:
        self._check_numbers()
        net, rng = run.net, run.rng
        rows = scoring_sample(run, self.n_score_samples)
        genetics = _Genetics(run.mask, density, self.scope, rng)
        errors_of = partial(_errors, net, genetics.layout, *rows)

        founders = np.array([genetics.random() for _ in range(self.population_size)])
        population, errors = self._fittest(founders, errors_of(founders))
        n_stale = 0
        for generation in range(1, self.max_generations + 1):
            best = population[0]
            offspring = np.array([*self._offspring(population, genetics, rng)])
            population, errors = self._fittest(
                np.concatenate([population, offspring]),
                np.concatenate([errors, errors_of(offspring)]),
            )
            net.history.new_epoch()
            net.history.record("epoch", generation)
            net.history.record("train_loss", float(errors[0]))
            net.history.new_batch()
            net.history.record_batch("train_loss", float(errors[0]))
            net.history.record_batch("train_batch_size", len(rows[0]))
            n_stale = n_stale + 1 if np.array_equal(population[0], best) else 0
            if generation >= self.min_generations and n_stale >= self.patience:
                break
        return genetics.mask(population[0])

    def _offspring(
        self, population: np.ndarray, genetics: "_Genetics", rng: np.random.RandomState
    ) -> Iterator[np.ndarray]:
        """Recombine, mutate and migrate; `population` is sorted, best first."""
        mates = population[: round(_MATES * len(population))]
        for parent in _some(population, self.recombine, rng):
            yield genetics.child(parent, mates[rng.randint(len(mates))])
        for parent in _some(population, self.mutate, rng):
            yield genetics.mutant(parent)
        for _ in _some(population, self.migrate, rng):
            yield genetics.random()

    def _fittest(self, genomes: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Select the survivors, best first; of equally fit genomes, the oldest."""
        order = np.lexsort((genomes.sum(axis=1), errors))[: self.population_size]
        return genomes[order], errors[order]

    def _check_numbers(self) -> None:
        """Check that there are enough generations, each with new genomes."""
        if self.min_generations > self.max_generations:
            raise ValueError(
                f"min_generations={self.min_generations} is more than max_generations="
                f"{self.max_generations}; lower the former or raise the latter."
            )
        shares = {name: getattr(self, name) for name in ("recombine", "mutate", "migrate")}
        if not any(shares.values()):
            raise ValueError(
                "recombine=0, mutate=0 and migrate=0 leave every generation like the first; "
                "raise one of them."
            )
        for name, share in shares.items():
            if share and not round(share * self.population_size):
                raise ValueError(
                    f"population_size={self.population_size} is too small: {name}={share} of it "
                    f"rounds to no genome. Use at least {math.floor(0.5 / share) + 1}."
                )


def _some(population: np.ndarray, share: float, rng: np.random.RandomState) -> np.ndarray:
    """Draw a fraction of the population."""
    size = len(population)
    return population[rng.choice(size, round(share * size), replace=False)]


class _Genetics:
    """Makes genomes: boolean vectors with an entry for each parameter that a mask covers.

    Entries that the mask prunes are False.

    All operators score the entries. Scores of at least 1/2 or, if a density is given, the
    best scores are kept, and the best of each weight, so that no layer is emptied.
    """

    def __init__(
        self,
        mask: TicketMask,
        density: float | None,
        scope: Scope,
        rng: np.random.RandomState,
    ) -> None:
        self.full, self.density, self.scope, self.rng = mask, density, scope, rng
        self.layout = Layout(mask, scope)
        self.pruned = self.layout.pruned.numpy()
        self.free = np.flatnonzero(~self.pruned)

    def random(self) -> np.ndarray:
        """Keep random entries."""
        return self._express(self._noise())

    def child(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Keep what both parents keep and, at random, what one of them keeps."""
        return self._express((self._noise() + one + other) / 3)

    def mutant(self, one: np.ndarray) -> np.ndarray:
        """Flip one entry and, if the density is given, another one in return."""
        scores = (self._noise() + one) / 2
        flipped = self.free[self.rng.randint(len(self.free))]
        scores[flipped] = -1 if one[flipped] else 1
        return self._express(scores)

    def mask(self, genome: np.ndarray) -> TicketMask:
        """Return the mask of a genome."""
        # In the order of the network's parameters.
        return self.full & TicketMask(self.layout.split(torch.from_numpy(genome)))

    def _noise(self) -> np.ndarray:
        return self.rng.random_sample(self.full.n_parameters)

    def _express(self, scores: np.ndarray) -> np.ndarray:
        """Return the genome of these scores, which are modified."""
        scores[self.pruned] = -1
        for weight in self.layout.weights:
            scores[weight.start + scores[weight].argmax()] += 1
        if self.density is None:
            return scores >= 0.5
        by_name = self.layout.split(torch.from_numpy(scores))
        kept = self.full.shrink(by_name, self.density, self.scope, self.rng)
        return self.layout.join(kept).numpy()


@torch.no_grad()
def _errors(
    net: NeuralNet,
    layout: Layout,
    X: Rows,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    genomes: np.ndarray,
) -> np.ndarray:
    """Compute the error of the network of each genome."""
    module = plain_module(net.module_)
    w = {name: p.detach() for name, p in module.named_parameters()}
    X = X if isinstance(X, SparseRows) else as_tensor(X).to(net.device)
    error = _misclassified if is_classifier(net) else _rescaled_mse
    errors = []
    with evaluating(module):
        for genome in torch.from_numpy(genomes).to(net.device):
            theta = {name: w[name] * kept for name, kept in layout.split(genome).items()}
            for name, value in normalization_statistics(module, X, theta).items():
                dtype = torch.float32 if value.is_floating_point() else None
                theta[name] = value.to(net.device, dtype)
            # Copies: a module may work in place.
            outputs = [
                functional_call(module, theta, X[rows].to(net.device, copy=True))
                for rows in gen_batches(len(X), _ROWS)
            ]
            stacked = torch.cat(outputs).reshape(len(X), -1)
            errors.append(error(stacked.double().cpu().numpy(), y, sample_weight))
    return np.array(errors)


def _misclassified(outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Share of classes or labels that raw logits miss; the sign decides those of one logit."""
    has_own_logit = outputs.size == y.size
    predicted = outputs.reshape(y.shape) > 0 if has_own_logit else outputs.argmax(axis=1)
    # Sums of weights that are equal but for rounding are a tie.
    return float(np.average(predicted != y, axis=0, weights=sample_weight).mean().round(12))


def _rescaled_mse(outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Mean squared error of the rescaled outputs."""
    y = y.reshape(outputs.shape)
    scale = regression_scale(outputs, y, sample_weight)
    return float(np.average((y - outputs * scale) ** 2, axis=0, weights=sample_weight).mean())
