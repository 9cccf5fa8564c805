"""`Problem`: what a network is to learn; `run_chain`: anneal a mask of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets._annealing._evaluation import FIRST_ROWS, energy, refresh
from sklearn_tickets._annealing._metropolis import Step, anneal
from sklearn_tickets._annealing._schedule import MAX_ROWS
from sklearn_tickets._annealing._state import State, keep_only, make_state


@dataclass(frozen=True, eq=False)
class Found:
    """A mask on the way of a chain.

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
    trace : tuple of dict
        Number of moves so far, temperature, number of kept bits, and energy after each step, and
        the share of moves that it accepted.
    """

    bits: NDArray[np.int64]
    log_scale: NDArray[np.float64]
    idle: NDArray[np.bool_]
    energy: float
    trace: tuple[dict[str, float], ...] = ()


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

    def found(self, s: State, trace: tuple[dict[str, float], ...] = ()) -> Found:
        """Describe the mask of a state.

        Parameters
        ----------
        s : State
            A state of this problem. Its rows are changed.
        trace : tuple of dict, default=()
            The way to it.

        Returns
        -------
        found : Found
        """
        n_rows = min(len(self.X), MAX_ROWS)
        # Spread over the data, which may be sorted.
        self.set_rows(s, np.linspace(0, len(self.X) - 1, n_rows).round().astype(int))
        refresh(s, n_rows, self.eps)
        hidden = s.target < s.first[-2]
        return Found(
            bits=s.kept[: s.size[0]].copy(),
            log_scale=s.log_scale,
            idle=hidden & (s.n_out[s.target] == 0),
            energy=energy(s, n_rows),
            trace=trace,
        )

    def start(self, bits: NDArray[np.int64], log_scale: NDArray[np.float64]) -> Found:
        """Describe the mask that chains begin with.

        Parameters
        ----------
        bits : int64 ndarray
            Numbers of bits. If none is on a path, all free bits are taken.
        log_scale : ndarray of shape (n_outputs,)
            Logarithms of the factors of the outputs.

        Returns
        -------
        found : Found
        """
        s = self.state(bits, log_scale)
        return self.found(s if s.size[0] else self.state(np.flatnonzero(self.free), log_scale))


def run_chain(
    problem: Problem,
    start: Found,
    steps: Sequence[Step],
    seed: int,
    is_stopped: Callable[[], bool],
) -> Found:
    """Anneal a mask.

    Parameters
    ----------
    problem : Problem
        Network and data.
    start : Found
        The mask to begin with.
    steps : sequence of Step
        What to do; rows are drawn before each.
    seed : int
        Seed of all random numbers.
    is_stopped : callable
        Whether to end the chain early; called some times in a second.

    Returns
    -------
    found : Found
        The same for the same arguments, whatever else runs. It may keep a little more or less than
        the steps say.
    """
    rng = np.random.RandomState(seed)
    s, trace = problem.state(start.bits, start.log_scale), start.trace
    n_samples = len(problem.X)
    rows = np.arange(n_samples)
    for step in steps:
        if is_stopped():
            break
        # Few rows all belong to the first look at a move, so that their order does not matter.
        if n_samples > FIRST_ROWS:
            rows = rng.permutation(n_samples)
        problem.set_rows(s, rows[: step.n_rows])
        reached, acceptance = anneal(s, rng.randint(2**31), step, problem.eps)
        made = {
            "n_moves": step.n_moves + (trace[-1]["n_moves"] if trace else 0),
            "temperature": step.temperature[1],
            "n_kept": int(s.size[0]),
            "energy": reached,
            "acceptance": acceptance,
        }
        trace = (*trace, made)
    return problem.found(s, trace)
