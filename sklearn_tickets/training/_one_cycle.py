"""`one_cycle`: a learning-rate schedule over a whole training."""

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR


def one_cycle(net: NeuralNet, X: np.ndarray, y: np.ndarray, n_epochs: int) -> LRScheduler:
    """A one-cycle schedule over a whole training, whose peak is the net's learning rate."""
    if any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
        raise ValueError(
            "schedule='one-cycle' and the LRScheduler among estimator's callbacks both set the "
            "learning rate; drop one of them."
        )
    dataset, _ = net.get_split_datasets(X, y)
    return LRScheduler(
        OneCycleLR,
        max_lr=[group["lr"] for group in net.optimizer_.param_groups],
        total_steps=n_epochs * len(net.get_iterator(dataset, training=True)),
        cycle_momentum=False,
        step_every="batch",
    )
