"""Arrays from whatever holds numbers: tensors of any type, arrays, nested lists."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

# From here on, float64 skips integers.
_LARGEST = 2**53
_NUMPY_HAS = (torch.float16, torch.float32, torch.float64)


def as_array(values: ArrayLike | Tensor, what: str) -> np.ndarray:
    """Convert to an array.

    Parameters
    ----------
    values : array-like or Tensor
        A tensor may be on any device and of any type, sparse, or part of a graph.
    what : str
        Name of the values in messages.

    Returns
    -------
    array : ndarray
        Floats that NumPy does not have, such as bfloat16, become float32, which holds them.

    Raises
    ------
    ValueError
        If the values have no such array.
    """
    try:
        if isinstance(values, Tensor):
            if values.is_floating_point() and values.dtype not in _NUMPY_HAS:
                values = values.float()
            return values.to_dense().numpy(force=True)
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what} cannot be converted to an array: {error}") from error


def as_floats(values: ArrayLike | Tensor, what: str) -> np.ndarray:
    """Convert real numbers to floats in the same order.

    Parameters
    ----------
    values : array-like or Tensor
        Floats, integers or booleans.
    what : str
        Name of the values in messages.

    Returns
    -------
    floats : float16, float32 or float64 ndarray
        Floats as they are; integers and booleans in float64.

    Raises
    ------
    ValueError
        If the values are something else, or integers that float64 does not tell apart.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks._arrays import as_floats
    >>> as_floats(torch.tensor([1.5, 2.0], dtype=torch.bfloat16), "scores")
    array([1.5, 2. ], dtype=float32)
    """
    array = as_array(values, what)
    if array.dtype.kind not in "biuf" or array.itemsize > 8:
        raise ValueError(
            f"{what} must be real numbers of up to 64 bits, not {array.dtype}; convert them to "
            "float64 first."
        )
    if array.dtype.kind == "f":
        return array
    floats = array.astype(np.float64)
    if array.itemsize == 8 and (abs(floats) >= _LARGEST).any():
        raise ValueError(
            f"{what} are {array.dtype} numbers of 2**53 or more, which float64 does not tell "
            "apart; scale them down, or pass their ranks."
        )
    return floats
