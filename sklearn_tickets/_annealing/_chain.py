"""`Problem`: what a network is to learn; `run_chain`: anneal a mask of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets._annealing._evaluation import FIRST_ROWS, energy, refresh
from sklearn_tickets._annealing._metropolis import anneal
from sklearn_tickets._annealing._schedule import MAX_ROWS, steps
from sklearn_tickets._annealing._state import State, keep_only, make_state


@dataclass(frozen=True, eq=False)
class Problem:
    """Frozen weights, which of them may be kept, and data.

    Parameters
    ----------
    weights, biases : sequence of ndarray of shapes (n_units, n_inputs) and (n_units,)
        The layers.
    free : bool ndarray of shape (n_bits,)
        Which bits may be kept: per unit its inputs and its bias.
    always : bool ndarray of shape (n_units,)
        Units of all layers, inputs included, with a bias that is there whatever is kept.
    X : float32 ndarray of shape (n_samples, n_inputs)
        The inputs.
    targets : float32 ndarray of shape (n_samples, n_outputs)
        Indicators of classes, or regression targets.
    row_weight : float32 ndarray of shape (n_samples,)
        Weights of the rows.
    is_classifier : bool
        Whether the targets are classes.
    eps : float
        Smoothing of the energy of classes.
    """

    weights: Sequence[NDArray]
    biases: Sequence[NDArray]
    free: NDArray[np.bool_]
    always: NDArray[np.bool_]
    X: NDArray[np.float32]
    targets: NDArray[np.float32]
    row_weight: NDArray[np.float32]
    is_classifier: bool
    eps: float

    def state(self, bits: NDArray[np.int64], log_scale: NDArray[np.float64]) -> State:
        """Make a state that keeps some bits, less those on no path.

        Parameters
        ----------
        bits : int64 ndarray
            Numbers of bits.
        log_scale : ndarray of shape (n_outputs,)
            Logarithms of the factors of the outputs.

        Returns
        -------
        state : State
            Without rows.
        """
        n_rows = min(len(self.X), MAX_ROWS)
        layers = self.weights, self.biases
        s = make_state(*layers, self.free, self.always, n_rows, self.is_classifier)
        s.log_scale[:] = log_scale
        keep_only(s, bits)
        return s

    def set_rows(self, s: State, rows: NDArray[np.int64]) -> None:
        """Put rows into a state.

        Parameters
        ----------
        s : State
            A state of this problem; its values above the inputs are out of date afterwards.
        rows : int64 ndarray
            Numbers of rows.
        """
        n = len(rows)
        s.values[: self.X.shape[1], 0, :n] = self.X[rows].T
        s.targets[:, :n] = self.targets[rows].T
        s.row_weight[:n] = self.row_weight[rows]


@dataclass(frozen=True, eq=False)
class Found:
    """The end of a chain.

    Parameters
    ----------
    bits : int64 ndarray
        Numbers of the kept bits.
    log_scale : ndarray of shape (n_outputs,)
        Logarithms of the factors of the outputs.
    idle : bool ndarray of shape (n_bits,)
        Bits that would lead into units without outputs.
    energy : float
        Energy on the training data, at most 9,000 rows of it.
    trace : list of dict
        Number of moves, temperature, number of kept bits, and energy after each step, and the
        share of moves that it accepted.
    """

    bits: NDArray[np.int64]
    log_scale: NDArray[np.float64]
    idle: NDArray[np.bool_]
    energy: float
    trace: list[dict[str, float]]


def run_chain(
    problem: Problem,
    bits: NDArray[np.int64],
    log_scale: NDArray[np.float64],
    *,
    n_kept: int,
    n_small: int,
    n_moves: int,
    heat: float,
    seed: int,
    is_stopped: Callable[[], bool],
) -> Found:
    """Anneal a mask.

    Parameters
    ----------
    problem : Problem
        Network and data.
    bits : int64 ndarray
        Numbers of the bits to begin with; if none is on a path, all free bits.
    log_scale : ndarray of shape (n_outputs,)
        Logarithms of the factors of the outputs to begin with.
    n_kept : int
        Number of bits to keep. The chain may end a little above or below.
    n_small : int
        Number of bits of the small ticket that grows to `n_kept`, if that is more.
    n_moves : int
        Number of moves.
    heat : float
        Factor of all temperatures.
    seed : int
        Seed of all random numbers.
    is_stopped : callable
        Whether to end the chain early; called some times in a second.

    Returns
    -------
    found : Found
        The same for the same arguments, whatever else runs.
    """
    rng = np.random.RandomState(seed)
    s = problem.state(bits, log_scale)
    if not s.size[0]:
        s = problem.state(np.flatnonzero(problem.free), log_scale)
    n_samples, trace = len(problem.X), list[dict[str, float]]()
    rows = np.arange(n_samples)
    for step in steps(n_moves, s.size[0], n_kept, n_small, n_samples, heat):
        if is_stopped():
            break
        # Few rows all belong to the first look at a move, so that their order does not matter.
        if n_samples > FIRST_ROWS:
            rows = rng.permutation(n_samples)
        problem.set_rows(s, rows[: step.n_rows])
        reached, acceptance = anneal(s, rng.randint(2**31), step, problem.eps)
        trace.append(
            {
                "n_moves": step.n_moves + (trace[-1]["n_moves"] if trace else 0),
                "temperature": step.temperature[1],
                "n_kept": int(s.size[0]),
                "energy": reached,
                "acceptance": acceptance,
            }
        )
    n_rows = min(n_samples, MAX_ROWS)
    problem.set_rows(s, np.arange(n_samples)[:n_rows])
    refresh(s, n_rows, problem.eps)
    hidden = s.target < s.first[-2]
    return Found(
        bits=s.kept[: s.size[0]].copy(),
        log_scale=s.log_scale,
        idle=hidden & (s.n_out[s.target] == 0),
        energy=energy(s, n_rows),
        trace=trace,
    )
