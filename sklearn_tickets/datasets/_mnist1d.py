"""`load_mnist1d`: sequences that look like digits, made on the spot."""

import random
from importlib.util import find_spec
from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_tickets._random import seeded
from sklearn_tickets.datasets._image_files import check_subset

_DESCR = """\
MNIST-1D: sequences that look like digits

Templates of the ten digits, padded, stretched, moved, sheared and with noise: 40 values each,
4,000 for training and 1,000 for testing, in ten classes, standardized as a whole. Linear models
classify a third of them, fully connected networks two thirds, convolutional ones nine tenths.
S. Greydanus and D. Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024.
"""


@validate_params(
    {"random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")]},
    prefer_skip_nested_validation=True,
)
def load_mnist1d(
    *, subset: str = "train", random_state: int = 42, return_X_y: bool = False
) -> Bunch | tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Make MNIST-1D, sequences that look like handwritten digits, without a download.

    The package ``mnist1d`` of its authors makes them in two seconds; install it with
    ``pip install 'sklearn-tickets[data]'``.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which sequences: 4,000 for training, 1,000 for testing, or all in this order.
    random_state : int, default=42
        Seed of the sequences; 42 is that of the authors. The global random streams are not
        changed.
    return_X_y : bool, default=False
        Whether to return only data and target.

    Returns
    -------
    sequences : Bunch
        A dictionary whose entries are also attributes; or the tuple ``(data, target)`` if
        `return_X_y`.

        data : float32 ndarray of shape (n, 40)
            The sequences.
        target : int64 ndarray of shape (n,)
            The digits.
        target_names : list of str
            "0" to "9".
        DESCR : str
            A description in plain text.

    Raises
    ------
    ImportError
        If ``mnist1d`` is not installed.
    ValueError
        If `subset` is unknown, or `random_state` is not a seed.

    References
    ----------
    .. [1] S. Greydanus and D. Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024,
       arXiv:2011.14439.

    Examples
    --------
    >>> from sklearn_tickets.datasets import load_mnist1d
    >>> sequences = load_mnist1d(subset="test")
    >>> sequences.data.shape, sequences.target[:5]
    ((1000, 40), array([2, 6, 3, 9, 4]))
    """
    check_subset(subset)
    if find_spec("mnist1d") is None:
        raise ImportError("load_mnist1d needs mnist1d; pip install 'sklearn-tickets[data]'")
    from mnist1d.data import get_dataset_args, make_dataset

    settings = get_dataset_args()
    settings.seed = int(random_state)
    # It seeds the global streams of NumPy and Python.
    with seeded(settings.seed, "cpu"):
        # Concurrent threads take turns, so that each saves what it is to restore.
        state = random.getstate()
        try:
            made = make_dataset(settings)
        finally:
            random.setstate(state)
    suffixes = {"train": [""], "test": ["_test"], "all": ["", "_test"]}[subset]
    data = np.concatenate([made[f"x{suffix}"] for suffix in suffixes]).astype(np.float32)
    target = np.concatenate([made[f"y{suffix}"] for suffix in suffixes]).astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=list("0123456789"), DESCR=_DESCR)
