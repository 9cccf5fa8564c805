"""`PlantedTicketGenerator`: data, a random network, and the ticket hidden in it."""

from inspect import getdoc
from numbers import Integral, Real
from typing import Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

from sklearn_tickets._random import independent_rng
from sklearn_tickets.datasets._planted_module import PlantedModule
from sklearn_tickets.datasets._planted_ticket import PlantedTicket, draw_data
from sklearn_tickets.datasets._planting import plant_ticket
from sklearn_tickets.datasets.tasks import (
    TASKS,
    PlantingTask,
    WithNoiseFeatures,
    check_task,
    feed_forward,
    live_part,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, he_deviations


class PlantedTicketGenerator(BaseEstimator):
    """Generate problems with a known lottery ticket.

    A lottery ticket is a small part of a large random network that solves a task by itself.
    Pruning algorithms search for one, but whether they find it can be checked only if it is known.
    The generator therefore builds a small network that solves a task, hides it among the random
    weights of a large one (the host), and draws data for pruning and training [1]_.

    Parameters
    ----------
    task : {"circle", "helix", "relu"} or PlantingTask, default="circle"
        The task that the ticket solves, by name (`CircleTask`: four classes in the plane,
        `HelixTask`: a curve in space, `ReluTask`: max(0, x)) or as an object: one of
        `sklearn_tickets.datasets.tasks`, such as `FunctionTask` or `BoundaryTask`, or your own.
    depth : int, default=5
        Number of layers of units, inputs and outputs included, at least 3. The network has
        ``depth - 1`` layers of weights.
    width : int, default=100
        Number of units in each hidden layer.
    noise : float, default=0.01
        Share of wrong labels, or standard deviation of the noise of regression targets.
    n_noise_features : int, default=0
        Number of additional inputs, at random places among the others and drawn like them, that
        are independent of y and that the ticket does not read.
    scaling : {"hidden", "trainable"}, default="hidden"
        Size of the planted weights: that of the host's other weights, so that size does not reveal
        them, or the one that is best for training.
    random_state : int, RandomState or None, default=None
        Source of the random host, ticket and data. The same int gives the same host for every
        ``n_samples``; None gives a new problem at each call.

    See Also
    --------
    plant_ticket : Plant any small network in any larger one.

    Notes
    -----
    Host weights are drawn from N(0, 2 / fan_in); the variance of a layer's biases is the
    product of these variances up to the layer.

    References
    ----------
    .. [1] J. Fischer and R. Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?",
       International Conference on Learning Representations, 2022. arXiv:2111.11153.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> planted = PlantedTicketGenerator(task="circle", random_state=0).generate(1000)
    >>> planted.X.shape, planted.y.shape
    ((1000, 2), (1000,))
    >>> planted.mask
    TicketMask(130 of 20,904 parameters)
    >>> planted.ticket_score > 0.98
    True
    """

    _parameter_constraints: dict = {
        "task": [
            StrOptions(set(TASKS)),
            HasMethods(["sample", "target", "add_noise", "construct"]),
        ],
        "depth": [Interval(Integral, 3, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "n_noise_features": [Interval(Integral, 0, None, closed="left")],
        "scaling": [StrOptions({"hidden", "trainable"})],
        "random_state": ["random_state"],
    }
    _generate_constraints: dict = {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "return_X_y_mask": ["boolean"],
    }

    def __init__(
        self,
        task: str | PlantingTask = "circle",
        *,
        depth: int = 5,
        width: int = 100,
        noise: float = 0.01,
        n_noise_features: int = 0,
        scaling: Literal["hidden", "trainable"] = "hidden",
        random_state: int | RandomState | None = None,
    ) -> None:
        self.task = task
        self.depth = depth
        self.width = width
        self.noise = noise
        self.n_noise_features = n_noise_features
        self.scaling = scaling
        self.random_state = random_state

    def generate(
        self, n_samples: int = 10_000, *, return_X_y_mask: bool = False
    ) -> PlantedTicket | tuple[NDArray, NDArray, TicketMask]:
        """Plant a ticket and draw data.

        Parameters
        ----------
        n_samples : int, default=10_000
            Number of samples.
        return_X_y_mask : bool, default=False
            Whether to return only X, y and the mask.

        Returns
        -------
        planted : PlantedTicket
            Data, host and ticket; or the tuple ``(X, y, mask)`` if `return_X_y_mask`.

        Raises
        ------
        ValueError
            If a parameter is out of range, `task` does not keep its interface (`check_task`), or
            `width` is less than the ticket needs.
        """
        self._validate_params()
        validate_parameter_constraints(
            self._generate_constraints,
            {"n_samples": n_samples, "return_X_y_mask": return_X_y_mask},
            caller_name="PlantedTicketGenerator.generate",
        )
        task = TASKS[self.task] if isinstance(self.task, str) else self.task
        if task.kind == "classification" and self.noise > 1:
            raise ValueError(
                f"noise={self.noise} is more than 1. For task {task.name!r} it is the share of "
                "wrong labels: set it to a number from 0 to 1."
            )
        check_task(task, self.depth, self.noise)

        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = int(independent_rng(seed).randint(2**32, dtype=np.uint32))
        # What does not depend on n_samples is drawn first.
        rng = RandomState(seed)
        informative = np.ones(task.n_inputs + self.n_noise_features, dtype=bool)
        if self.n_noise_features:
            noise = rng.choice(len(informative), self.n_noise_features, replace=False)
            informative[noise] = False
            task = WithNoiseFeatures(task, informative)
        target = task.construct(self.depth)
        needed = max(len(bias) for _, bias in target[:-1])
        if self.width < needed:
            raise ValueError(
                f"width={self.width} is less than the {needed} units that the ticket of task "
                f"{task.name!r} needs at depth={self.depth}. Set width to {needed} or more."
            )
        host = _draw_host(task, self.depth, self.width, rng)
        module = plant_ticket(target, host, scaling=self.scaling, random_state=rng)
        fresh = task.sample(10_000, rng)
        X, y = draw_data(task, n_samples, self.noise, rng)
        if return_X_y_mask:
            return X, y, module.ticket
        ticket_score = _score(task, module, fresh)
        return PlantedTicket(
            X=X,
            y=y,
            mask=module.ticket,
            output_scale=module.output_scale,
            module=module,
            ticket_score=ticket_score,
            feature_names=list(task.feature_names),
            target_names=list(task.target_names),
            input_support=informative,
            task=task,
            generator=clone(self).set_params(random_state=seed),
            DESCR=_describe(task, module, ticket_score),
        )


def _draw_host(task: PlantingTask, depth: int, width: int, rng: RandomState) -> MLP:
    """Draw a random network from `rng`."""
    with torch.device("meta"):  # no weights yet, so that torch's global stream is left alone
        host = MLP(task.n_inputs, task.n_outputs, hidden=(width,) * (depth - 2))
    host.to_empty(device="cpu")
    with torch.no_grad():
        for parameter, deviation in he_deviations(host):
            values = deviation * rng.standard_normal(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
    return host


def _score(task: PlantingTask, module: PlantedModule, X: NDArray[np.float64]) -> float:
    """Accuracy or mean squared error of the untrained ticket on points without noise."""
    ticket = module()
    module.ticket.apply_(ticket)
    arrays = [parameter.detach().double().numpy() for parameter in ticket.parameters()]
    layers = live_part(list(zip(arrays[::2], arrays[1::2], strict=True)))
    outputs = feed_forward(layers, X) * module.output_scale
    y = task.target(X)
    if task.kind == "classification":
        return float(np.mean(outputs.argmax(axis=1) == y))
    return float(np.mean((outputs - y.reshape(outputs.shape)) ** 2))


def _describe(task: PlantingTask, module: PlantedModule, ticket_score: float) -> str:
    """What the problem is, in plain text."""
    mask = module.ticket
    metric = "accuracy" if task.kind == "classification" else "mean squared error"
    own = task.task if isinstance(task, WithNoiseFeatures) else task
    about, _, _ = (getdoc(own) or "").partition("\n\nExamples\n")
    return f"""\
Planted ticket of task {task.name!r} ({task.kind})

{about}

Inputs: {", ".join(task.feature_names)}. Targets: {", ".join(task.target_names)}.

The host is a fully connected ReLU network whose layers of weights have the shapes
{", ".join(str(shape) for shape in mask.summary()["shape"] if len(shape) == 2)}.
Of its {mask.n_parameters:,} weights and biases, {mask.n_kept:,} are the ticket; the others are
random. With the others set to zero and the outputs multiplied by output_scale, the {metric}
of the untrained host is {ticket_score:.3g} on data without noise.
"""
