"""Simulated annealing of the bits of a mask, compiled with Numba, which importing it needs.

The parts: a `State` that flips bits and takes them back, the values and the energy downstream of a
change, the moves, the Metropolis steps, the schedule, a chain of steps, and the halving of
many chains.
"""

from sklearn_tickets._annealing._chain import Found, Problem
from sklearn_tickets._annealing._halving import rank, run_chains
from sklearn_tickets._annealing._schedule import steps

__all__ = ["Found", "Problem", "rank", "run_chains", "steps"]
