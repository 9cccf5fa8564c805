"""Train a skorch net under a mask, and return to an earlier point of its training."""

from sklearn_tickets.training._batches import ArrayBatches, batch_iterator, n_batches
from sklearn_tickets.training._border import Border
from sklearn_tickets.training._drop_and_grow import DropAndGrow
from sklearn_tickets.training._fused_optimizers import FusedAdam, FusedSGD
from sklearn_tickets.training._gates import Gates, Gating, Loss, PenalizedGates
from sklearn_tickets.training._geometric_density import geometric_density
from sklearn_tickets.training._hold_mask import HoldMask, hold_mask
from sklearn_tickets.training._l1_penalty import L1Penalty
from sklearn_tickets.training._layout import Layout
from sklearn_tickets.training._learn_mask import GatedLoss, LearnMask
from sklearn_tickets.training._mask_learner import MaskLearner
from sklearn_tickets.training._one_cycle import one_cycle
from sklearn_tickets.training._repel_optima import RepelOptima
from sklearn_tickets.training._state import TrainingState
from sklearn_tickets.training._training import Training, last_train_loss
from sklearn_tickets.training._weighted_loss import weighted_loss, with_weights

__all__ = [
    "ArrayBatches",
    "Border",
    "DropAndGrow",
    "FusedAdam",
    "FusedSGD",
    "GatedLoss",
    "Gates",
    "Gating",
    "HoldMask",
    "L1Penalty",
    "Layout",
    "LearnMask",
    "Loss",
    "MaskLearner",
    "PenalizedGates",
    "RepelOptima",
    "Training",
    "TrainingState",
    "batch_iterator",
    "geometric_density",
    "hold_mask",
    "last_train_loss",
    "n_batches",
    "one_cycle",
    "weighted_loss",
    "with_weights",
]
