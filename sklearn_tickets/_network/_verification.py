"""Compare two networks on data: a module, and what was made of it.

Rounding moves the outputs of some networks more than those of others. How much is measured: every
weight is moved by about as much as rounding moves it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from sklearn_tickets._network._rows import SparseRows, as_tensor

# At most as many rows, and as many numbers in them, are compared; but a few rows in any case.
_MAX_ROWS, _MAX_NUMBERS, _MIN_ROWS = 64, 2**15, 4
# Linear algebra sums rounding errors of many terms.
_ROUNDINGS = 100
# The lengths of the axes of images that are tried if no inputs are given; common ones first.
_LENGTHS = (32, 28, *range(1, 65), 96, 128, 224, 256)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def example_inputs(
    module: nn.Module, X: Any, name: str, shape: tuple[int, ...] | None = None
) -> Tensor:
    """Take some rows of X, or draw rows that a module takes as its inputs.

    Parameters
    ----------
    module : torch.nn.Module
        The network, in evaluation mode.
    X : array-like of shape (n_samples, ...) or None
        Its inputs. Floating-point numbers are converted to the module's own type.
    name : str
        What to call the module in error messages.
    shape : tuple of int, default=None
        Shape of a row, if it is known.

    Returns
    -------
    rows : Tensor of shape (n_samples, ...)
        On the module's device. If X is None, random numbers, the same each time.

    Raises
    ------
    ValueError
        If the module fails on X, or X is None and it fails on all that is drawn.
    """
    if X is not None:
        like = _like(module)
        given: Any = SparseRows(X) if issparse(X) else X
        given = given if isinstance(given, Tensor | SparseRows) else as_tensor(np.asarray(given))
        if not given.ndim or not len(given):
            raise ValueError(f"X has shape {tuple(given.shape)}; it must have a row of inputs.")
        rows: Tensor = given[torch.arange(_n_rows(given.shape[1:])) % len(given)]
        rows = rows.to(like) if rows.is_floating_point() else rows.to(like.device)
        try:
            module(rows.clone())
        except Exception as error:
            raise ValueError(
                f"{name}, {type(module).__name__}, cannot read X, with rows of shape "
                f"{tuple(rows.shape[1:])}: {error}. Pass inputs of the network."
            ) from error
        return rows
    drawn = draw_inputs(module, shape)
    if drawn is None:
        raise ValueError(
            f"X=None, but the inputs of {name}, {type(module).__name__}, are not known, and random "
            "ones of likely shapes fail. Pass X, rows of inputs."
        )
    return drawn


def draw_inputs(module: nn.Module, shape: tuple[int, ...] | None = None) -> Tensor | None:
    """Draw rows that a module takes as its inputs, the same each time.

    Parameters
    ----------
    module : torch.nn.Module
        The network, in evaluation mode.
    shape : tuple of int, default=None
        Shape of a row, if it is known. Otherwise it is guessed.

    Returns
    -------
    rows : Tensor of shape (n_samples, ...) or None
        None if the module fails on all of them.
    """
    rng, like = torch.Generator().manual_seed(0), _like(module)
    sizes = [layer.num_embeddings for layer in module.modules() if isinstance(layer, _EMBEDDINGS)]
    for guess in [shape] if shape else _shapes(module):
        size = (_n_rows(guess), *guess)
        indices = torch.randint(min(sizes, default=2), size, generator=rng).to(like.device)
        numbers = [] if sizes else [torch.randn(size, generator=rng).to(like)]
        for rows in (*numbers, indices.to(like), indices):
            if _accepts(module, rows[:2]):
                outputs = module(rows[:2].clone())
                if not isinstance(outputs, Tensor) or outputs.shape[:1] == (2,):
                    return rows
    return None


def _like(module: nn.Module) -> Tensor:
    """Return a tensor of the type and on the device that a module computes in."""
    own = (t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point())
    return next(own, torch.zeros(()))


def _accepts(module: nn.Module, rows: Tensor) -> bool:
    """Whether a module has outputs for some rows."""
    try:
        module(rows.clone())
    except Exception:
        return False
    return True


def _n_rows(shape: Sequence[int]) -> int:
    """Choose how many rows of a shape to compare."""
    return min(_MAX_ROWS, max(_MIN_ROWS, _MAX_NUMBERS // max(1, math.prod(shape))))


def _shapes(module: nn.Module) -> Iterator[tuple[int, ...]]:
    """Guess the shape of a row from the first layer."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            yield (layer.in_features,)
            yield (4, layer.in_features)
            return
        if isinstance(layer, _CONVOLUTIONS):
            n_axes = len(layer.kernel_size)
            yield from ((layer.in_channels, *[length] * n_axes) for length in _LENGTHS)
            return


def check_same_outputs(
    module: nn.Module, other: Callable[[Tensor], Any], X: Tensor, names: tuple[str, str]
) -> None:
    """Check that two networks have the same outputs, up to rounding, for any number of rows.

    Parameters
    ----------
    module : torch.nn.Module
        A network in evaluation mode. Its weights are changed, so pass a copy.
    other : callable
        The other network.
    X : Tensor of shape (n_samples, ...)
        The inputs.
    names : tuple of str
        What to call the two in error messages.

    Raises
    ------
    ValueError
        If the outputs differ, those of `module` are not finite, or they change from call to call.
    """
    batches = [X, *(rows for rows in (X[:1], X[1:4]) if _accepts(module, rows))]
    original = names[0]
    expected = [_outputs(module, rows) for rows in batches]
    if not all(output.isfinite().any() for output in expected[0]):
        raise ValueError(
            f"The outputs of {original} are not finite, so nothing can be compared. Pass other "
            "inputs as X, or train with a smaller learning rate."
        )
    exact = [_tolerance(output, output) for output in expected[0]]
    if difference := _difference(expected[0], _outputs(module, X), exact):
        raise ValueError(
            f"The outputs of {original} change from call to call: {difference}. In evaluation "
            "mode they must depend on the inputs only; dropout with training=True, random numbers "
            "or a counter in the forward are possible causes."
        )
    try:
        found = [_outputs(other, rows) for rows in batches]
    except Exception as error:
        raise ValueError(f"{names[1]} fails on inputs of {original}: {error}.") from error
    rng = torch.Generator().manual_seed(0)
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=rng).to(value)
            value.data = value.data * (1 + torch.finfo(value.dtype).eps * noise)
    moved = _outputs(module, X)
    tolerances = [_tolerance(*pair) for pair in zip(expected[0], moved, strict=True)]
    for rows, one, two in zip(batches, expected, found, strict=True):
        if difference := _difference(one, two, tolerances):
            cause = (
                "a layer that computes something else than its class"
                if rows is X
                else "an operation that depends on the number of rows, such as squeeze() without "
                "a dimension"
            )
            raise ValueError(
                f"{names[1]} would not compute the outputs of {original}: for n={len(rows)} rows, "
                f"{difference}. A possible cause is {cause}."
            )


def _outputs(network: Callable[[Tensor], Any], rows: Tensor) -> list[Tensor]:
    """List the tensors that a network returns, as copies; it may change its inputs in place."""
    leaves = [leaf for leaf in tree_leaves(network(rows.clone())) if leaf is not None]
    if strange := [leaf for leaf in leaves if not isinstance(leaf, Tensor)]:
        raise ValueError(
            f"The network returns {type(strange[0]).__name__}, which cannot be compared. Return "
            "tensors, or tuples, lists or dictionaries of tensors."
        )
    return [leaf.clone() for leaf in leaves]


def _tolerance(output: Tensor, moved: Tensor) -> Tensor:
    """Return how far each column of an output may be off, given how far the weights moved it."""
    if not output.is_floating_point():
        return torch.zeros(())
    # Constants of operations, such as the slope of a leaky ReLU, may be stored in float32.
    eps = max(torch.finfo(dtype).eps for dtype in (output.dtype, torch.float32))
    rounding = (moved - output).abs() + eps * output.abs()
    rounding = _ROUNDINGS * rounding.double().where(rounding.isfinite(), 0)
    return rounding.amax(dim=0) if rounding.ndim else rounding


def _difference(
    expected: Sequence[Tensor], found: Sequence[Tensor], tolerances: Sequence[Tensor]
) -> str:
    """Say in which way outputs differ from the expected ones, or nothing if they do not."""
    kinds = [[(tuple(t.shape), t.dtype) for t in tensors] for tensors in (expected, found)]
    if kinds[0] != kinds[1]:
        return "outputs of {} become outputs of {}".format(
            *(", ".join(f"shape {shape} ({dtype})" for shape, dtype in kind) for kind in kinds)
        )
    for one, two, tolerance in zip(expected, found, tolerances, strict=True):
        is_equal = (one == two) | (one.isnan() & two.isnan())
        gap = (one.double() - two.double()).abs().masked_fill(is_equal, 0)
        # Squeezed outputs have fewer axes for a single row.
        is_wrong = ~(gap <= (tolerance if tolerance.shape == one.shape[1:] else tolerance.max()))
        if is_wrong.any():
            size = one[one.isfinite()].double().abs().amax()
            return f"outputs of size {size:.3g} differ by {gap[is_wrong].max():.3g}"
    return ""
