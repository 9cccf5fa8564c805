"""Pruners: scikit-learn estimators that find a ticket in a skorch net."""

from sklearn_tickets.pruners._acdc import ACDCPruner
from sklearn_tickets.pruners._annealing import AnnealingPruner
from sklearn_tickets.pruners._bernoulli_gate import BernoulliGatePruner
from sklearn_tickets.pruners._concrete_ticket import ConcreteTicketPruner
from sklearn_tickets.pruners._continuous_sparsification import ContinuousSparsificationPruner
from sklearn_tickets.pruners._edge_popup import EdgePopupPruner
from sklearn_tickets.pruners._gem_miner import GemMinerPruner
from sklearn_tickets.pruners._genetic import GeneticPruner
from sklearn_tickets.pruners._given_mask import GivenMaskPruner
from sklearn_tickets.pruners._grasp import GraSPPruner
from sklearn_tickets.pruners._hard_concrete import HardConcretePruner
from sklearn_tickets.pruners._learning_rate_rewinding import LearningRateRewindingPruner
from sklearn_tickets.pruners._magnitude import IterativeMagnitudePruner, MagnitudePruner
from sklearn_tickets.pruners._optimal_brain_surgeon import OptimalBrainSurgeonPruner
from sklearn_tickets.pruners._random import RandomPruner
from sklearn_tickets.pruners._rigl import RigLPruner
from sklearn_tickets.pruners._snip import FORCEPruner, SNIPPruner
from sklearn_tickets.pruners._stochastic_sparsification import StochasticSparsificationPruner
from sklearn_tickets.pruners._synflow import SynFlowPruner

__all__ = [
    "ACDCPruner",
    "AnnealingPruner",
    "BernoulliGatePruner",
    "ConcreteTicketPruner",
    "ContinuousSparsificationPruner",
    "EdgePopupPruner",
    "FORCEPruner",
    "GemMinerPruner",
    "GeneticPruner",
    "GivenMaskPruner",
    "GraSPPruner",
    "HardConcretePruner",
    "IterativeMagnitudePruner",
    "LearningRateRewindingPruner",
    "MagnitudePruner",
    "OptimalBrainSurgeonPruner",
    "RandomPruner",
    "RigLPruner",
    "SNIPPruner",
    "StochasticSparsificationPruner",
    "SynFlowPruner",
]
