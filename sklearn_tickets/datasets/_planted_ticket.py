"""`PlantedTicket`: a planted problem, as the generator returns it."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import Bunch, gen_batches
from sklearn.utils._param_validation import Interval, validate_params
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets._random import independent_rng
from sklearn_tickets.datasets.tasks import PlantingTask

# Tasks compute in float64 and with copies, which would be many times the size of the result.
_BLOCK = 2**16


class PlantedTicket(Bunch):
    """Data and a host network with a known ticket, as `PlantedTicketGenerator` returns them.

    A dictionary whose entries are also attributes.

    Parameters
    ----------
    **kwargs : dict
        The entries.

    Attributes
    ----------
    X : float32 ndarray of shape (n_samples, n_inputs)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class numbers (int64) or regression targets (float32), with noise.
    mask : TicketMask
        The ticket: which weights and biases of the host are planted.
    output_scale : float64 ndarray of shape (n_outputs,)
        Factors that convert the ticket's outputs to the units of the task.
    module : PlantedModule
        Factory of the host at its planted weights.
    ticket_score : float
        Accuracy or mean squared error of the untrained ticket on 10,000 fresh points
        without noise.
    feature_names, target_names : list of str
        Names of the inputs, and of the classes or regression targets.
    input_support : bool ndarray of shape (n_inputs,)
        The inputs that the ticket reads: all but the noise features.
    task : PlantingTask
        The task, noise features included: ``task.target(X)`` is y without noise.
    generator : PlantedTicketGenerator
        A generator whose `random_state` is an int, so that it generates the same problem each time.
    DESCR : str
        A description in plain text.

    Notes
    -----
    Pickling a planted problem pickles its task. The functions of a `FunctionTask` or
    `BoundaryTask` must then be importable, which lambdas are not.
    """

    @validate_params(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def sample(
        self, n_samples: int, random_state: int | RandomState | None = None
    ) -> tuple[NDArray[np.float32], NDArray]:
        """Draw fresh data, as `X` and `y` were drawn.

        Parameters
        ----------
        n_samples : int
            Number of samples. A million take a second.
        random_state : int, RandomState or None, default=None
            Source of the data. None gives other data at each call.

        Returns
        -------
        X : float32 ndarray of shape (n_samples, n_inputs)
            The inputs, noise features included.
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class numbers (int64) or regression targets (float32), with the generator's noise.

        Raises
        ------
        ValueError
            If `n_samples` is less than 1.

        Examples
        --------
        >>> from sklearn_tickets.datasets import PlantedTicketGenerator
        >>> planted = PlantedTicketGenerator("circle", noise=0.1, random_state=0).generate(100)
        >>> X, y = planted.sample(100_000, random_state=0)
        >>> X.shape, y.shape
        ((100000, 2), (100000,))
        >>> float((y != planted.task.target(X)).mean().round(2))
        0.1
        """
        # Hashed, since the stream of the same seed has the rows of X further down.
        seeds = independent_rng(random_state).randint(2**32, size=4, dtype=np.uint32)
        return draw_data(self.task, n_samples, self.generator.noise, RandomState(seeds))

    def make_net(self, output_scale: bool = False, **skorch_params: Any) -> NeuralNet:
        """Wrap the host in a plain skorch net with sensible defaults.

        Parameters
        ----------
        output_scale : bool, default=False
            Whether the module multiplies its outputs by ``output_scale``. This is useful for
            training the ticket alone; the large factors of hidden tickets ruin the training of
            anything else.
        **skorch_params : dict
            Parameters of the net. They override the defaults: cross-entropy or mean squared error,
            fused Adam with learning rate 1e-3, 10 epochs of shuffled batches of 32, no validation
            split, no printed output.

        Returns
        -------
        net : skorch.NeuralNetClassifier or skorch.NeuralNetRegressor
            The net, not initialized. Without a pruner, a regressor requires y of shape (n_samples,
            n_outputs).
        """
        settings = {
            "optimizer": torch.optim.Adam,
            "lr": 1e-3,
            "max_epochs": 10,
            "batch_size": 32,
            "iterator_train__shuffle": True,
            "train_split": None,
            "verbose": 0,
            "module__output_scale": output_scale,
        }
        if "optimizer" not in skorch_params:
            settings["optimizer__fused"] = True
        if self.y.dtype == np.int64:
            return NeuralNetClassifier(
                self.module, **{"criterion": nn.CrossEntropyLoss} | settings | skorch_params
            )
        return NeuralNetRegressor(
            self.module, **{"criterion": nn.MSELoss} | settings | skorch_params
        )


def draw_data(
    task: PlantingTask, n_samples: int, noise: float, rng: RandomState
) -> tuple[NDArray[np.float32], NDArray]:
    """Draw inputs, and their targets with noise.

    Parameters
    ----------
    task : PlantingTask
        The task.
    n_samples : int
        Number of samples.
    noise : float
        As in `PlantedTicketGenerator`.
    rng : RandomState
        Source of all random numbers.

    Returns
    -------
    X : float32 ndarray of shape (n_samples, n_inputs)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class numbers (int64) or regression targets (float32).
    """
    dtype = np.int64 if task.kind == "classification" else np.float32
    inputs, targets = [], []
    for block in gen_batches(n_samples, _BLOCK):
        X = task.sample(block.stop - block.start, rng)
        y = task.add_noise(X, task.target(X), noise, rng)
        inputs.append(X.astype(np.float32))
        targets.append(y.astype(dtype))
    return np.concatenate(inputs), np.concatenate(targets)
