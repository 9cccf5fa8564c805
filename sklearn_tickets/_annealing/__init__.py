"""Simulated annealing of the bits of a mask, compiled with Numba, which importing it needs.

The parts: a `State` that flips bits and takes them back, the values and the energy downstream of a
change, the moves, the Metropolis steps, the schedule, and a chain of steps.
"""

from sklearn_tickets._annealing._chain import Found, Problem, run_chain

__all__ = ["Found", "Problem", "run_chain"]
