"""`check_task`: whether a task keeps its interface, before anything is planted."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine, feed_forward
from sklearn_tickets.datasets.tasks._task import PlantingTask

# As many as the generator scores a ticket on.
_N_POINTS = 10_000


def check_task(task: PlantingTask, depth: int = 5, noise: float = 0.01) -> None:
    """Raise a ValueError unless a task keeps the interface of `PlantingTask`.

    `PlantedTicketGenerator` checks its task, too, before it plants anything.

    Parameters
    ----------
    task : PlantingTask
        The task, of which 10,000 points are drawn.
    depth : int, default=5
        Number of layers of units of the ticket, at least 3.
    noise : float, default=0.01
        Noise of the targets.

    Raises
    ------
    ValueError
        If an attribute is missing or wrong, a method returns what it must not, the targets are
        constant, or the constructed network is worse than a constant. It names the attribute
        or method, and what it must be.

    Examples
    --------
    >>> from sklearn_tickets.datasets.tasks import CircleTask, check_task
    >>> check_task(CircleTask())
    >>> class FiveRings(CircleTask):
    ...     n_outputs = 5
    >>> check_task(FiveRings())
    Traceback (most recent call last):
        ...
    ValueError: FiveRings.target_names is (...): it must be 5 different strings.
    """
    if not isinstance(depth, Integral) or depth < 3:
        raise ValueError(f"depth={depth!r} must be an integer of at least 3.")
    if isinstance(task, type):
        raise ValueError(f"task={task.__name__} is a class; pass an instance.")
    _check_attributes(task)
    X, y = _checked_data(task, noise)
    layers = _checked_layers(task, depth)
    outputs = feed_forward(layers, X)
    if task.kind == "classification":
        measure, best = "an accuracy", np.bincount(y).max() / len(y)
        found = np.mean(outputs.argmax(axis=1) == y)
        is_worse = found < best
    else:
        measure, y = "a mean squared error", y.reshape(outputs.shape)
        best, found = y.var(axis=0).mean(), np.mean((outputs - y) ** 2)
        is_worse = found > best
    if is_worse:
        raise _fault(
            task,
            f"construct({depth}) returns a network with {measure} of {found:.3g}, where the best "
            f"constant has {best:.3g}",
            "must solve the task: compare feed_forward(layers, X) with target(X), or raise the "
            "number of knots if there is one",
        )


def _fault(task: PlantingTask, what: str, remedy: str) -> ValueError:
    """Make the error of a task."""
    return ValueError(f"{type(task).__name__}.{what}: it {remedy}.")


def _check_attributes(task: PlantingTask) -> None:
    """Check what is said about inputs and outputs."""
    if not isinstance(name := getattr(task, "name", None), str):
        raise _fault(task, f"name is {name!r}", "must be a word")
    if (kind := getattr(task, "kind", None)) not in ("classification", "regression"):
        raise _fault(task, f"kind is {kind!r}", "must be 'classification' or 'regression'")
    # Each class has an output of its own.
    least_outputs = 2 if kind == "classification" else 1
    for name, least in [("n_inputs", 1), ("n_outputs", least_outputs)]:
        value = getattr(task, name, None)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            remedy = f"must be an integer of at least {least} for {kind}"
            raise _fault(task, f"{name} is {value!r}", remedy)
    for name, number in [("feature_names", task.n_inputs), ("target_names", task.n_outputs)]:
        value = getattr(task, name, None)
        given = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
        strings = {each for each in given if isinstance(each, str)}
        if not len(strings) == len(given) == number:
            raise _fault(task, f"{name} is {value!r}", f"must be {number} different strings")


def _checked_data(task: PlantingTask, noise: float) -> tuple[NDArray, NDArray]:
    """Draw points and return them with their targets, without noise."""
    X = task.sample(_N_POINTS, RandomState(0))
    shape = _N_POINTS, task.n_inputs
    what = f"sample({_N_POINTS}, rng) returns {_described(X)}"
    if not _is_real(X) or np.shape(X) != shape:
        raise _fault(task, what, f"must return finite numbers of shape {shape}")
    if not np.array_equal(X, task.sample(_N_POINTS, RandomState(0))):
        raise _fault(
            task,
            "sample returns other points for an rng in the same state",
            "must draw all random numbers from rng",
        )
    y = task.target(X)
    _check_targets(task, "target(X)", y)
    if (y == y[0]).all():
        raise _fault(
            task,
            f"target(X) is {y[0]} for all of {_N_POINTS:,} points",
            "must vary on the points that sample draws",
        )
    before = y.copy()
    _check_targets(task, "add_noise(X, y, noise, rng)", task.add_noise(X, y, noise, RandomState(0)))
    if not np.array_equal(y, before):
        raise _fault(task, "add_noise changes y in place", "must return a new array")
    return X, y


def _check_targets(task: PlantingTask, call: str, y: Any) -> None:
    """Check the shape of targets, and that they are class numbers or real numbers."""
    is_classes = task.kind == "classification"
    shapes: list[tuple[int, ...]] = [(_N_POINTS,)] if is_classes else [(_N_POINTS, task.n_outputs)]
    if not is_classes and task.n_outputs == 1:
        shapes.insert(0, (_N_POINTS,))
    if is_classes:
        kept = isinstance(y, np.ndarray) and y.dtype.kind in "iu"
        kept = kept and y.size > 0 and y.min() >= 0 and y.max() < task.n_outputs
        wanted = f"class numbers from 0 to {task.n_outputs - 1}, integers,"
    else:
        kept, wanted = _is_real(y), "finite numbers"
    if not kept or y.shape not in shapes:
        of_shape = " or ".join(map(str, shapes))
        raise _fault(
            task,
            f"{call} returns {_described(y)} for {_N_POINTS} points",
            f"must return {wanted} of shape {of_shape}",
        )


def _checked_layers(task: PlantingTask, depth: int) -> Sequence[Affine]:
    """Return the layers of a ticket."""
    layers, call = task.construct(depth), f"construct({depth})"
    try:
        layers = tuple(layers)
        shapes = [(np.shape(weight), np.shape(bias)) for weight, bias in layers]
    except (TypeError, ValueError):
        raise _fault(
            task, f"{call} returns {_described(layers)}", "must return pairs of weight and bias"
        ) from None
    if len(shapes) != depth - 1:
        raise _fault(
            task,
            f"{call} returns {len(shapes)} layers of weights",
            f"must return depth - 1 = {depth - 1}. `deepened` adds layers; for more of them, set "
            "the generator's depth",
        )
    n_units = task.n_inputs
    for i, (weight, bias) in enumerate(shapes):
        n_next = weight[0] if i < depth - 2 and weight else task.n_outputs
        if weight != (n_next, n_units) or bias != (n_next,):
            raise _fault(
                task,
                f"{call} returns weights of shape {weight} and biases of shape {bias} in layer {i}",
                f"must return shapes ({n_next}, {n_units}) and ({n_next},)",
            )
        if not all(map(_is_real, layers[i])):
            raise _fault(
                task,
                f"{call} returns weights or biases in layer {i} that are not finite numbers",
                "must return arrays of finite floats",
            )
        n_units = n_next
    return layers


def _is_real(array: Any) -> bool:
    """Return whether this is an array of finite real numbers."""
    is_real = isinstance(array, np.ndarray) and array.dtype.kind in "iuf"
    return is_real and bool(np.isfinite(array).all())


def _described(value: Any) -> str:
    """Say what a value is, in a few words."""
    if not isinstance(value, np.ndarray):
        return f"an object of type {type(value).__name__}"
    finite = value.dtype.kind not in "iuf" or np.isfinite(value).all()
    of_range = ""
    if value.dtype.kind in "iu" and value.size:
        of_range = f", from {value.min()} to {value.max()}"
    return f"{value.dtype} of shape {value.shape}{of_range}{'' if finite else ', not all finite'}"
