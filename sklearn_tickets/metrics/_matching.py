"""Overlap of masks up to a permutation of the hidden units.

The place of a hidden unit in its layer means nothing: exchanging two units, with all
their weights, changes no output. Finding the permutations that make two masks fit best
is a quadratic assignment problem, climbed here layer by layer: with all other layers in
place, the best permutation of one is a linear assignment problem, solved exactly.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from sklearn_tickets.masks import TicketMask, common_parameters
from sklearn_tickets.metrics._overlap import overlap

_SIGNATURE_SIZE = 8


class _Layer(NamedTuple):
    """The mask of a Linear layer, as float arrays; without a masked bias, `bias` is 0."""

    weight: np.ndarray
    bias: np.ndarray


def _chain(mask: TicketMask, names: Iterable[str]) -> list[_Layer]:
    """Arrange the named parameters as consecutive Linear layers."""
    modules: dict[str, list[np.ndarray]] = {}
    for name in names:
        modules.setdefault(name.rpartition(".")[0], []).append(mask[name].numpy().astype(float))
    chain: list[_Layer] = []
    for module, arrays in modules.items():
        match sorted(arrays, key=np.ndim, reverse=True):
            case [weight] if weight.ndim == 2:
                layer = _Layer(weight, np.zeros(len(weight)))
            case [weight, bias] if weight.ndim == 2 and bias.shape == weight.shape[:1]:
                layer = _Layer(weight, bias)
            case _:
                raise ValueError(
                    "Hidden units can be matched in chains of Linear layers only: a module owns "
                    "a weight of shape (n_out, n_in) and at most a bias of shape (n_out,). "
                    f"{module!r} has masks of shapes {', '.join(str(a.shape) for a in arrays)}."
                )
        if chain and weight.shape[1] != len(chain[-1].weight):
            raise ValueError(
                "Hidden units can be matched in chains of Linear layers only: "
                f"{module!r} reads {weight.shape[1]} units, but the layer before it has "
                f"{len(chain[-1].weight)}."
            )
        chain.append(layer)
    return chain


def _true_positives(
    true: Sequence[_Layer], pred: Sequence[_Layer], places: Sequence[np.ndarray]
) -> float:
    """Entries kept by both masks once the predicted units are in their places.

    ``places[l]`` is a permutation matrix: entry (i, j) is 1 if predicted unit j of layer l
    takes the place of true unit i. The first and last, of inputs and outputs, are fixed.
    """
    return sum(
        np.sum(t.weight * (above @ p.weight @ below.T)) + t.bias @ above @ p.bias
        for t, p, below, above in zip(true, pred, places[:-1], places[1:], strict=True)
    )


def _gain(
    true: Sequence[_Layer], pred: Sequence[_Layer], places: Sequence[np.ndarray], u: int
) -> np.ndarray:
    """Entry (i, j): true positives from giving place i of hidden layer u to predicted unit j."""
    return (
        true[u - 1].weight @ places[u - 1] @ pred[u - 1].weight.T
        + np.outer(true[u - 1].bias, pred[u - 1].bias)
        + true[u].weight.T @ places[u + 1] @ pred[u].weight
    )


def _assign(gain: np.ndarray) -> np.ndarray:
    """The permutation matrix of greatest gain."""
    return np.eye(len(gain))[linear_sum_assignment(gain, maximize=True)[1]]


def _ascend(true: Sequence[_Layer], pred: Sequence[_Layer], places: list[np.ndarray]) -> float:
    """Reassign one hidden layer after another until the true positives stop growing."""
    tp = -1.0
    while (reached := _true_positives(true, pred, places)) > tp:
        tp = reached
        for u in range(1, len(true)):
            places[u] = _assign(_gain(true, pred, places, u))
    return tp


def _signatures(chain: Sequence[_Layer], reach: int) -> list[np.ndarray]:
    """Describe every unit by its surroundings, whatever its place in the layer.

    Inputs, outputs and biases carry fixed random labels. In every round each unit takes
    in what its neighbors knew in the round before, so that in the end units differ if
    anything within `reach` connections does (color refinement, with vectors for colors).
    """
    rng = np.random.RandomState(0)
    sizes = [chain[0].weight.shape[1], *(len(layer.weight) for layer in chain)]
    from_below, from_above = rng.uniform(size=(2, _SIGNATURE_SIZE, _SIGNATURE_SIZE))
    bias_label = rng.uniform(size=_SIGNATURE_SIZE)
    labels = [np.zeros((n, _SIGNATURE_SIZE)) for n in sizes]
    for fixed in (labels[0], labels[-1]):
        fixed += rng.uniform(size=fixed.shape)
    for layer, label in zip(chain, labels[1:], strict=True):
        label += np.outer(layer.bias, bias_label)

    history = [labels]
    for _ in range(reach):
        units = [label.copy() for label in labels]
        for layer, below, above, unit_below, unit_above in zip(
            chain, history[-1][:-1], history[-1][1:], units[:-1], units[1:], strict=True
        ):
            unit_above += layer.weight @ below @ from_below
            unit_below += layer.weight.T @ above @ from_above
        history.append([np.log1p(unit) for unit in units])
    return [np.hstack(rounds) for rounds in zip(*history, strict=True)]


def _start(
    true: Sequence[_Layer], pred: Sequence[_Layer], reach: int, *, forward: bool
) -> list[np.ndarray]:
    """Assign layer after layer by what is in place already and by similar signatures."""
    signatures = zip(_signatures(true, reach), _signatures(pred, reach), strict=True)
    distances = [cdist(t, p, "cityblock") for t, p in signatures]
    places = [np.zeros_like(d) for d in distances]
    places[0], places[-1] = np.eye(len(places[0])), np.eye(len(places[-1]))
    hidden = range(1, len(true))
    for u in hidden if forward else reversed(hidden):
        # Scaled to one connection: enough to tell apart what the placed layers leave open.
        distance = distances[u] / max(distances[u].max(), 1e-12)
        places[u] = _assign(_gain(true, pred, places, u) - distance)
    return places


def ticket_matched_overlap_score(mask_true: TicketMask, mask_pred: TicketMask) -> float:
    """Intersection over union of two masks after matching their hidden units.

    The hidden units of a feed-forward network can be exchanged, with their incoming and
    outgoing weights and biases, without any effect on its outputs. Here the units of
    `mask_pred` are permuted, layer by layer, so that the masks overlap as much as
    possible: the same ticket found on other units scores 1.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket.
    mask_pred : TicketMask
        The mask found. Only parameters that both masks cover count. They must form a
        chain of Linear layers in the order of `mask_true`: each reads the units of the
        layer before it. Convolutions and layers that skip others are not supported, and
        the latter cannot be recognized from a mask.

    Returns
    -------
    score : float
        Between 0 and 1, the best value; never below `ticket_overlap_score`.

    Raises
    ------
    TypeError
        If one of the arguments is not a TicketMask.
    ValueError
        If the masks share no parameter, a shared one has two shapes, or the shared ones
        are not a chain of Linear layers.

    See Also
    --------
    ticket_overlap_score : The same without matching.

    Notes
    -----
    The best matching is a quadratic assignment problem; the score is a lower bound of
    its solution. Hidden layers are assigned in turn by the Hungarian algorithm, each
    exactly, until nothing is gained, from several deterministic starts: the units as
    they are, and units paired by the structure of their surroundings. A sparse ticket
    moved to other units is recognized; of masks that share little, the score is a rough
    bound, and not quite symmetric. Matching helps random masks, too: compare with the
    score of ``mask_pred.shuffled()``, not with `ticket_chance_level`. Layers of 100 units
    take a tenth of a second, layers of 800 half a minute.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import ticket_matched_overlap_score, ticket_overlap_score
    >>> truth = TicketMask({"0.weight": [[1, 0], [0, 0]], "1.weight": [[1, 0]]})
    >>> found = TicketMask({"0.weight": [[0, 0], [1, 0]], "1.weight": [[0, 1]]})
    >>> ticket_overlap_score(truth, found)
    0.0
    >>> ticket_matched_overlap_score(truth, found)
    1.0
    """
    names = common_parameters(mask_true, mask_pred)
    true, pred = _chain(mask_true, names), _chain(mask_pred, names)
    n_true, n_pred = (sum(w.sum() + b.sum() for w, b in chain) for chain in (true, pred))
    as_they_are = [np.eye(layer.weight.shape[1]) for layer in true]
    as_they_are.append(np.eye(len(true[-1].weight)))
    best = _ascend(true, pred, as_they_are)
    # Far-reaching signatures tell more units apart, short ones suffer less from differences.
    reaches = [2**k for k in range((2 * len(true)).bit_length())]
    for reach, forward in product(reaches, (True, False)):
        if best == min(n_true, n_pred):
            break
        best = max(best, _ascend(true, pred, _start(true, pred, reach, forward=forward)))
    return overlap(best, n_true, n_pred)
