"""Overlap of masks up to a permutation of the hidden units.

The order of the hidden units in a layer is arbitrary: swapping two units, with all their
weights, changes no output. Finding the permutations that maximize the overlap of two masks
is a quadratic assignment problem. It is solved approximately, layer by layer: given the
order of all other layers, the best permutation of one is a linear assignment problem,
which is solved exactly.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from sklearn_tickets.masks import TicketMask, common_parameters
from sklearn_tickets.metrics._overlap import overlap

_SIGNATURE_SIZE = 8


class _LinearMask(NamedTuple):
    """The mask of a Linear layer. Without a masked bias, `bias` is 0."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


def _chain(mask: TicketMask, names: Iterable[str]) -> list[_LinearMask]:
    """Arrange the named parameters as consecutive Linear layers."""
    modules: dict[str, list[NDArray[np.float64]]] = {}
    for name in names:
        modules.setdefault(name.rpartition(".")[0], []).append(mask[name].numpy().astype(float))
    chain: list[_LinearMask] = []
    for module, arrays in modules.items():
        match sorted(arrays, key=np.ndim, reverse=True):
            case [weight] if weight.ndim == 2:
                layer = _LinearMask(weight, np.zeros(len(weight)))
            case [weight, bias] if weight.ndim == 2 and bias.shape == weight.shape[:1]:
                layer = _LinearMask(weight, bias)
            case _:
                raise ValueError(
                    "Hidden units can only be matched in chains of Linear layers, which have a "
                    "weight of shape (n_out, n_in) and optionally a bias of shape (n_out,). "
                    f"{module!r} has masks of shapes {', '.join(str(a.shape) for a in arrays)}. "
                    "Use ticket_overlap_score."
                )
        if chain and weight.shape[1] != len(chain[-1].weight):
            raise ValueError(
                "Hidden units can only be matched in chains of Linear layers, but "
                f"{module!r} has {weight.shape[1]} inputs and the layer before it "
                f"{len(chain[-1].weight)} units. Use ticket_overlap_score."
            )
        chain.append(layer)
    return chain


def _true_positives(
    true: Sequence[_LinearMask], pred: Sequence[_LinearMask], places: Sequence[NDArray[np.float64]]
) -> float:
    """Count the entries that both masks keep after permuting the predicted units.

    ``places[l]`` is a permutation matrix: entry (i, j) is 1 if predicted unit j of layer l
    is matched with true unit i. The first and the last, of inputs and outputs, are fixed.
    """
    return sum(
        float(np.sum(t.weight * (above @ p.weight @ below.T)) + t.bias @ above @ p.bias)
        for t, p, below, above in zip(true, pred, places[:-1], places[1:], strict=True)
    )


def _gain(
    true: Sequence[_LinearMask],
    pred: Sequence[_LinearMask],
    places: Sequence[NDArray[np.float64]],
    u: int,
) -> NDArray[np.float64]:
    """Entry (i, j): true positives if unit i of layer u is matched with predicted unit j."""
    return (
        true[u - 1].weight @ places[u - 1] @ pred[u - 1].weight.T
        + np.outer(true[u - 1].bias, pred[u - 1].bias)
        + true[u].weight.T @ places[u + 1] @ pred[u].weight
    )


def _assign(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the permutation matrix of the largest gain."""
    return np.eye(len(gain))[linear_sum_assignment(gain, maximize=True)[1]]


def _ascend(
    true: Sequence[_LinearMask], pred: Sequence[_LinearMask], places: list[NDArray[np.float64]]
) -> float:
    """Reassign the hidden layers in turn, in place, until the true positives stop growing."""
    tp = -1.0
    while (reached := _true_positives(true, pred, places)) > tp:
        tp = reached
        for u in range(1, len(true)):
            places[u] = _assign(_gain(true, pred, places, u))
    return tp


def _signatures(chain: Sequence[_LinearMask], reach: int) -> list[NDArray[np.float64]]:
    """Describe every unit by its neighborhood, independently of its position in the layer.

    Inputs, outputs and biases have fixed random labels. In every round, each unit adds up
    the labels of its neighbors from the round before. In the end, units differ if anything
    within `reach` connections differs (color refinement, with vectors as colors).
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
    true: Sequence[_LinearMask], pred: Sequence[_LinearMask], reach: int, *, forward: bool
) -> list[NDArray[np.float64]]:
    """Assign the layers in order, by overlap with those already assigned and by signature."""
    signatures = zip(_signatures(true, reach), _signatures(pred, reach), strict=True)
    distances = [cdist(t, p, "cityblock") for t, p in signatures]
    places = [np.zeros_like(d) for d in distances]
    places[0], places[-1] = np.eye(len(places[0])), np.eye(len(places[-1]))
    hidden = range(1, len(true))
    for u in hidden if forward else reversed(hidden):
        # Scaled to one connection, signatures only decide between equal overlaps.
        distance = distances[u] / max(distances[u].max(), 1e-12)
        places[u] = _assign(_gain(true, pred, places, u) - distance)
    return places


def ticket_matched_overlap_score(mask_true: TicketMask, mask_pred: TicketMask) -> float:
    """Intersection over union of two masks after matching their hidden units.

    The hidden units of a feed-forward network can be permuted, with their incoming and
    outgoing weights and biases, without any effect on its outputs. Here the units of
    `mask_pred` are permuted, layer by layer, so that the masks overlap as much as
    possible. The same ticket on other units scores 1.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket.
    mask_pred : TicketMask
        The mask found. Only parameters that both masks cover count. They must form a
        chain of Linear layers in the order of `mask_true`, each with the units of the
        layer before as inputs. Convolutions and skip connections are not supported, and
        the latter cannot be recognized from a mask.

    Returns
    -------
    score : float
        Between 0 and 1, the best value. It is never below `ticket_overlap_score`.

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
    exactly, until the overlap stops growing, from several deterministic starts: the units
    as they are, and units paired by the structure of their neighborhoods. A sparse ticket
    that was moved to other units is recognized. For masks that share little, the score is
    a rough bound and not quite symmetric. Matching raises the scores of random masks, too:
    compare with the score of ``mask_pred.shuffled()``, not with `ticket_chance_level`.
    Layers of 100 units take a tenth of a second, layers of 800 half a minute.

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
    # Signatures of long reach distinguish more units, short ones are more robust.
    reaches = [2**k for k in range((2 * len(true)).bit_length())]
    for reach, forward in product(reaches, (True, False)):
        if best == min(n_true, n_pred):
            break
        best = max(best, _ascend(true, pred, _start(true, pred, reach, forward=forward)))
    return overlap(best, n_true, n_pred)
