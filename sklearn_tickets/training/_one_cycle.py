"""`one_cycle`: a learning-rate schedule for a whole training."""

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from sklearn_tickets._network import SparseRows
from sklearn_tickets.training._batches import n_batches


def one_cycle(
    net: NeuralNet, X: np.ndarray | SparseRows, y: np.ndarray, n_epochs: int
) -> LRScheduler:
    """Make a one-cycle schedule for a whole training, with the net's learning rate as its peak.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : ndarray or SparseRows of shape (n_samples, ...)
        The inputs that it will be trained on.
    y : ndarray of shape (n_samples, ...)
        The targets.
    n_epochs : int
        Length of the training.

    Returns
    -------
    schedule : skorch.callbacks.LRScheduler
        A callback that has yet to be initialized. It leaves the momentum unchanged.

    Raises
    ------
    ValueError
        If the net already has an ``LRScheduler``.
    """
    if any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
        raise ValueError(
            "schedule='one-cycle' and the LRScheduler among estimator's callbacks both set the "
            "learning rate; remove one of them."
        )
    return LRScheduler(
        OneCycleLR,
        max_lr=[group["lr"] for group in net.optimizer_.param_groups],
        total_steps=n_epochs * n_batches(net, X, y),
        cycle_momentum=False,
        step_every="batch",
    )
