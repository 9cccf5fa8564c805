"""`grow_entries`: put back the entries by which the loss is expected to fall most."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sklearn_tickets._curvature._objective import DAMPING, Objective, Quadratic
from sklearn_tickets._curvature._sparse_chain import SparseChain

# Idle units of each hidden layer through which a new path may lead, and their numbers of inputs.
_N_IDLE, _MOST_INPUTS = 8, 2
_MOST_CANDIDATES = 1000
# Part of an entry's curvature that the others cannot explain away, for the sake of rounding.
_OWN = 1e-3


def grow_entries(
    objective: Objective, chain: SparseChain, n_new: int, rng: torch.Generator
) -> SparseChain:
    r"""Put back the entries of largest expected gain.

    If entry q comes back and all others S are trained with it, the loss falls further than with S
    alone, by

    .. math:: \frac{(g_q - H_{qS} H_{SS}^{-1} g_S)^2}
              {2 (H_{qq} - H_{qS} H_{SS}^{-1} H_{Sq})},

    with the gradient g and the Gauss-Newton matrix H. Gains are multiplied by random numbers,
    so that repeated calls try other entries. An entry may also lead from an idle unit, which is
    given one or two random inputs; these come back as well.

    Parameters
    ----------
    objective : Objective
        The loss.
    chain : SparseChain
        The whole network.
    n_new : int
        Number of entries to put back, without the inputs of idle units.
    rng : torch.Generator
        Source of all random numbers.

    Returns
    -------
    chain : SparseChain
        The network with them. Other entries on no path to an output are removed.
    """
    live = chain.units()
    idle = [
        _idle_units(len(table), units, rng)
        for table, units in zip(chain.tables[:-1], live[1:-1], strict=True)
    ]
    units = [live[0], *map(torch.cat, zip(live[1:-1], idle, strict=True)), live[-1]]
    part = _with_inputs(chain, live, idle, objective.X, rng).take(units)
    reached = part.units()
    candidates = [
        torch.zeros_like(kept).index_copy(0, rows, (~kept & removable)[rows])
        for kept, removable, rows in zip(part.kept, part.removable, reached[1:], strict=True)
    ]
    wide = part.keep([kept | new for kept, new in zip(part.kept, candidates, strict=True)])
    is_new = wide.pick(candidates)
    tried = torch.nonzero(is_new).flatten()
    tried = tried[torch.randperm(len(tried), generator=rng)[:_MOST_CANDIDATES]]
    gains = _gains(Quadratic.of(objective, wide, ~is_new), ~is_new, tried)
    luck = torch.empty_like(gains).exponential_(generator=rng)
    best = tried[(gains * luck).argsort(descending=True)[:n_new]]
    is_kept = (~is_new).index_fill(0, best, True)
    grown = wide.keep([table.bool() for table in wide.tables_of(is_kept.double())])
    reached = grown.units()
    return chain.put(
        grown.take(reached), [all_[some] for all_, some in zip(units, reached, strict=True)]
    )


def _gains(model: Quadratic, old: Tensor, new: Tensor) -> Tensor:
    """Compute the expected gains of new entries; the model's rows are those of the old ones."""
    square = replace(model, hessian=model.hessian[:, old], diagonal=model.diagonal[old])
    across = model.hessian[:, new]
    factor = square.factor(DAMPING)
    targets = torch.column_stack([across, model.gradient[old]])
    solved = torch.cholesky_solve(targets, factor)
    slope = model.gradient[new] - across.T @ solved[:, -1]
    explained = (across * solved[:, :-1]).sum(dim=0)
    own = model.diagonal[new]
    curvature = (own - explained).clamp_min(0) + _OWN * own
    return slope**2 / (2 * curvature + 1e-30)


def _idle_units(n_units: int, live: Tensor, rng: torch.Generator) -> Tensor:
    """Draw some of the units that are not live."""
    is_idle = torch.ones(n_units, dtype=torch.bool).index_fill(0, live, False)
    idle = torch.nonzero(is_idle).flatten()
    return idle[torch.randperm(len(idle), generator=rng)[:_N_IDLE]]


def _with_inputs(
    chain: SparseChain,
    live: Sequence[Tensor],
    idle: Sequence[Tensor],
    X: Tensor,
    rng: torch.Generator,
) -> SparseChain:
    """Give idle units random inputs, and biases that put their kinks among the data."""
    activations = chain.activations(X)
    tables = [table.clone() for table in chain.tables]
    all_kept = [kept.clone() for kept in chain.kept]
    for table, kept, removable, before, sources, units in zip(
        tables, all_kept, chain.removable, activations, live, idle, strict=False
    ):
        size = table[kept].abs().mean().nan_to_num(1.0)
        for unit in units.tolist():
            n_inputs = int(torch.randint(1, _MOST_INPUTS + 1, (), generator=rng))
            inputs = sources[torch.randperm(len(sources), generator=rng)[:n_inputs]]
            inputs = inputs[removable[unit, inputs]]
            kept[unit] &= ~removable[unit]
            kept[unit, inputs] = True
            table[unit] *= kept[unit]
            table[unit, inputs] = size * torch.randn(len(inputs), dtype=size.dtype, generator=rng)
            if kept[unit, -1]:
                row = before[:, int(torch.randint(len(X), (), generator=rng))]
                table[unit, -1] = -table[unit, :-1] @ row[:-1]
    return replace(chain, tables=tuple(tables), kept=tuple(all_kept))
