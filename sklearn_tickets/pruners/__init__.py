"""Pruners: scikit-learn estimators that find a ticket in a skorch net."""

from sklearn_tickets.pruners._base import BasePruner
from sklearn_tickets.pruners._edge_popup import EdgePopupPruner
from sklearn_tickets.pruners._given_mask import GivenMaskPruner
from sklearn_tickets.pruners._grasp import GraSPPruner
from sklearn_tickets.pruners._learning_rate_rewinding import LearningRateRewindingPruner
from sklearn_tickets.pruners._magnitude import IterativeMagnitudePruner, MagnitudePruner
from sklearn_tickets.pruners._random import RandomPruner
from sklearn_tickets.pruners._snip import SNIPPruner
from sklearn_tickets.pruners._synflow import SynFlowPruner

__all__ = [
    "BasePruner",
    "EdgePopupPruner",
    "GivenMaskPruner",
    "GraSPPruner",
    "IterativeMagnitudePruner",
    "LearningRateRewindingPruner",
    "MagnitudePruner",
    "RandomPruner",
    "SNIPPruner",
    "SynFlowPruner",
]
