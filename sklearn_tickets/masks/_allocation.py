"""`Allocation`: which parameters compete with each other, and how many are kept."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

Scope: TypeAlias = Literal["global", "layer", "erk"]


class Allocation:
    r"""Distribution of a density over the layers of a network.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of parameters by name.
    scope : {"global", "layer", "erk"}, default="global"
        - ``"global"``: all parameters compete with each other.
        - ``"layer"``: each weight, with its bias, is a group of its own, and every group has
          the same density.
        - ``"erk"``: the same groups, with densities in proportion to the sum of the weight's
          dimensions over their product, up to 1 (Erdős-Rényi-kernel [1]_): small layers keep
          more. At densities of a few entries in total, a layer may keep none.

    Attributes
    ----------
    groups : list of list of str
        Names of the parameters that compete with each other.

    References
    ----------
    .. [1] Evci, Gale, Menick, Castro and Elsen, "Rigging the lottery: making all tickets
       winners", ICML 2020. arXiv:1911.11134.

    Examples
    --------
    >>> from sklearn_tickets.masks import Allocation
    >>> shapes = {"0.weight": (100, 10), "1.weight": (10, 100), "2.weight": (2, 10)}
    >>> for scope in ("global", "layer", "erk"):
    ...     print(Allocation(shapes, scope).counts(0.1))
    [202]
    [100, 100, 2]
    [96, 96, 10]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], scope: Scope = "global") -> None:
        if scope not in ("global", "layer", "erk"):
            raise ValueError(f"scope must be 'global', 'layer' or 'erk'; got {scope!r}.")
        if not shapes:
            raise ValueError("shapes is empty; give the shape of at least one parameter.")
        self.scope = scope
        self.groups = [list(shapes)] if scope == "global" else _layers(shapes)
        self._sizes = [sum(math.prod(shapes[name]) for name in names) for names in self.groups]
        self._weights = [shapes[names[0]] for names in self.groups]

    def counts(self, density: float, limits: Sequence[int] | None = None) -> list[int]:
        """Compute how many entries each group keeps.

        Parameters
        ----------
        density : float in (0, 1]
            The fraction of entries to keep.
        limits : sequence of int, default=None
            Number of entries of each group that can be kept; None for all of them.

        Returns
        -------
        counts : list of int
            ``max(1, round(density * n))`` of n entries, per group or, with ``scope="erk"``,
            in total; never more than the limits.

        Raises
        ------
        ValueError
            If `density` is out of range, or `limits` is not one number per group.
        """
        if not 0 < density <= 1:
            raise ValueError(f"density must be in (0, 1]; got {density!r}.")
        limits = self._sizes if limits is None else limits
        if len(limits) != len(self.groups):
            raise ValueError(
                f"limits must be one number for each of {len(self.groups)} groups; got {limits!r}."
            )
        if self.scope == "erk":
            total = max(1, round(density * sum(self._sizes)))
            return _erdos_renyi_kernel(self._weights, self._sizes, limits, total)
        counts = [max(1, round(density * size)) for size in self._sizes]
        return [min(pair) for pair in zip(counts, limits, strict=True)]


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> list[list[str]]:
    """Group every weight with its bias; a name without a weight forms its own group."""
    layers = {name: [name] for name, shape in shapes.items() if len(shape) > 1}
    first = {name.rpartition(".")[0]: name for name in reversed(layers)}
    for name in [name for name in shapes if name not in layers]:
        path, _, own = name.rpartition(".")
        twin = f"{path}.{own.replace('bias', 'weight')}".lstrip(".")
        owner = twin if twin in layers else first.setdefault(path, name)
        layers.setdefault(owner, []).append(name)
    return list(layers.values())


def _erdos_renyi_kernel(
    weights: Sequence[tuple[int, ...]], sizes: Sequence[int], limits: Sequence[int], total: int
) -> list[int]:
    """Split a total in proportion to sum over product of the dimensions, up to the limits."""
    # A layer without entries is full at once.
    fullest = np.divide(limits, np.maximum(sizes, 1))
    ratios = np.array([(sum(shape) or 1) / max(math.prod(shape), 1) for shape in weights])
    # The total is piecewise linear in the factor; at each knot, a layer becomes full.
    knots = np.sort(fullest / ratios)
    totals = np.minimum(np.outer(knots, ratios), fullest) @ sizes
    factor = np.interp(total, [0, *totals], [0, *knots])
    shares = np.minimum(factor * ratios, fullest) * sizes
    counts = np.floor(shares).astype(int)
    n_missing = min(total, sum(limits)) - counts.sum()
    counts[np.argsort(counts - shares)[:n_missing]] += 1
    return counts.tolist()
