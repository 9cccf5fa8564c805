"""Real images from files on disk: the digits of MNIST and the ten classes of CIFAR-10.

They are read from their official binary files without downloading or unpickling anything:
scikit-learn's fetchers download, and torchvision unpickles CIFAR-10.
"""

import gzip
import math
import zlib
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

_MNIST_PARTS = {"train": ["train"], "test": ["t10k"], "all": ["train", "t10k"]}
_MNIST_REMEDY = (
    "Fetch train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz, for instance from https://ossci-datasets.s3.amazonaws.com/mnist/, "
    "and put them there."
)
_MNIST_DESCR = """\
MNIST: handwritten digits

Gray images of 28 x 28 pixels, 60,000 for training and 10,000 for testing, in ten classes.
Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE 86, 1998.
"""

_CIFAR10_BATCHES = [f"data_batch_{i}" for i in range(1, 6)]
_CIFAR10_PARTS = {
    "train": _CIFAR10_BATCHES,
    "test": ["test_batch"],
    "all": [*_CIFAR10_BATCHES, "test_batch"],
}
_CIFAR10_REMEDY = (
    "Fetch cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it "
    "there."
)
_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR10_DESCR = """\
CIFAR-10: photographs of animals and vehicles

Color images of 32 x 32 pixels, 50,000 for training and 10,000 for testing, in ten classes.
A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report,
University of Toronto, 2009.
"""


def load_mnist(
    folder: str | PathLike[str], *, subset: str = "train", return_X_y: bool = False
) -> Bunch | tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load MNIST, images of handwritten digits, from its four files.

    Each of ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same two of
    ``t10k`` may be plain or compressed (``.gz``). Only those of the subset are needed.

    Parameters
    ----------
    folder : str or path-like
        Folder of the files; ``~`` is the home directory.
    subset : {"train", "test", "all"}, default="train"
        Which images: 60,000 for training, 10,000 for testing, or all in this order.
    return_X_y : bool, default=False
        Whether to return only data and target.

    Returns
    -------
    digits : Bunch
        A dictionary whose entries are also attributes; or the tuple ``(data, target)`` if
        `return_X_y`.

        data : float32 ndarray of shape (n, 1, 28, 28)
            Gray values from 0, background, to 1.
        target : int64 ndarray of shape (n,)
            The digits.
        target_names : list of str
            "0" to "9".
        DESCR : str
            A description in plain text.

    Raises
    ------
    FileNotFoundError
        If the folder or a file is missing.
    NotADirectoryError
        If `folder` is a file.
    ValueError
        If a file is damaged, or `subset` is unknown.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to
       Document Recognition", Proceedings of the IEEE 86, 1998.

    Examples
    --------
    Three black images stand in for the real files here.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_tickets.datasets import load_mnist
    >>> images = bytes.fromhex("00000803 00000003 0000001c 0000001c") + bytes(3 * 28 * 28)
    >>> labels = bytes.fromhex("00000801 00000003 07 02 01")
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t10k-images-idx3-ubyte").write_bytes(images)
    ...     _ = Path(folder, "t10k-labels-idx1-ubyte").write_bytes(labels)
    ...     digits = load_mnist(folder, subset="test")
    >>> digits.data.shape, digits.target
    ((3, 1, 28, 28), array([7, 2, 1]))
    """
    place = _check(folder, subset)
    paths = [
        _find(place, [name, f"{name}.gz"], _MNIST_REMEDY)
        for part in _MNIST_PARTS[subset]
        for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    ]
    image_paths, label_paths = paths[::2], paths[1::2]
    pixels = [_read_idx(path, 2051, (28, 28)) for path in image_paths]
    labels = [_read_idx(path, 2049, ()) for path in label_paths]
    for path, images, digits in zip(label_paths, pixels, labels, strict=True):
        if len(digits) != len(images):
            raise _damaged(path, f"it has {len(digits)} labels for {len(images)} images")
        _check_labels(path, digits)
    data = np.concatenate(pixels)[:, None] / np.float32(255)
    target = np.concatenate(labels).astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=list("0123456789"), DESCR=_MNIST_DESCR)


def load_cifar10(
    folder: str | PathLike[str], *, subset: str = "train", return_X_y: bool = False
) -> Bunch | tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load CIFAR-10, small photographs of animals and vehicles, from its binary version.

    Its files are ``data_batch_1.bin`` to ``data_batch_5.bin`` for training and
    ``test_batch.bin``. Only those of the subset are needed.

    Parameters
    ----------
    folder : str or path-like
        Folder of the files, or the one that contains their folder ``cifar-10-batches-bin``; ``~``
        is the home directory.
    subset : {"train", "test", "all"}, default="train"
        Which images: 50,000 for training, 10,000 for testing, or all in this order.
    return_X_y : bool, default=False
        Whether to return only data and target.

    Returns
    -------
    photos : Bunch
        A dictionary whose entries are also attributes; or the tuple ``(data, target)`` if
        `return_X_y`.

        data : float32 ndarray of shape (n, 3, 32, 32)
            Red, green and blue values from 0 to 1.
        target : int64 ndarray of shape (n,)
            Class numbers.
        target_names : list of str
            Names of the ten classes.
        DESCR : str
            A description in plain text.

    Raises
    ------
    FileNotFoundError
        If the folder or a file is missing. The files of the Python version, which are
        pickled, are not read.
    NotADirectoryError
        If `folder` is a file.
    ValueError
        If a file is damaged, or `subset` is unknown.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical
       report, University of Toronto, 2009. https://www.cs.toronto.edu/~kriz/cifar.html

    Examples
    --------
    Two black images stand in for the real file here.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_tickets.datasets import load_cifar10
    >>> frog, ship = bytes([6]) + bytes(3 * 32 * 32), bytes([8]) + bytes(3 * 32 * 32)
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "test_batch.bin").write_bytes(frog + ship)
    ...     photos = load_cifar10(folder, subset="test")
    >>> photos.data.shape, [photos.target_names[i] for i in photos.target]
    ((2, 3, 32, 32), ['frog', 'ship'])
    """
    place = _check(folder, subset)
    batches, remedy = _CIFAR10_PARTS[subset], _CIFAR10_REMEDY
    if (place / batches[0]).is_file() or (place / "cifar-10-batches-py" / batches[0]).is_file():
        remedy = (
            "The files there are the pickled Python version, which is not read: unpickling can "
            f"run any code. {remedy}"
        )
    paths = [
        _find(place, [f"{batch}.bin", f"cifar-10-batches-bin/{batch}.bin"], remedy)
        for batch in batches
    ]
    records = np.concatenate([_read_records(path) for path in paths])
    data = records[:, 1:].reshape(-1, 3, 32, 32) / np.float32(255)
    target = records[:, 0].astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=list(_NAMES), DESCR=_CIFAR10_DESCR)


def check_subset(subset: str) -> None:
    """Raise a ValueError unless there is such a subset."""
    if subset not in ("train", "test", "all"):
        raise ValueError(f"subset must be 'train', 'test' or 'all'; got {subset!r}.")


def _check(folder: str | PathLike[str], subset: str) -> Path:
    """Check both parameters and return the path of the folder."""
    check_subset(subset)
    path = Path(folder).expanduser().absolute()
    remedy = "pass the folder that contains the files."
    if not path.exists():
        raise FileNotFoundError(f"folder={str(path)!r} does not exist; {remedy}")
    if not path.is_dir():
        raise NotADirectoryError(f"folder={str(path)!r} is a file; {remedy}")
    return path


def _find(folder: Path, names: list[str], remedy: str) -> Path:
    """The first of these files that exists."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"There is no {' or '.join(names)} in {folder}. {remedy}")


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(f"{path} is damaged: {what}. Fetch it again.")


def _check_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    if (labels > 9).any():
        raise _damaged(path, f"it has the label {labels.max()}, and the largest is 9")


def _read_idx(path: Path, magic: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read items of a shape, one byte per number, from a file that may be compressed.

    The header consists of big-endian four-byte numbers: a magic number, which encodes type and
    dimension of the items, their number, and their shape.
    """
    raw = path.read_bytes()
    # Recognized by content: some downloads are decompressed on the way and keep their name.
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(path, f"it cannot be decompressed ({error})") from error
    start = 4 * (2 + len(shape))
    if len(raw) < start:
        raise _damaged(path, f"it has {len(raw)} bytes, fewer than its header")
    found, n_items, *sides = np.frombuffer(raw[:start], ">u4").tolist()
    if found != magic:
        raise _damaged(path, f"it begins with the number {found}, not {magic}")
    if tuple(sides) != shape:
        raise _damaged(path, f"its images are of shape {tuple(sides)}, not {shape}")
    items = np.frombuffer(raw, np.uint8, offset=start)
    if len(items) != n_items * math.prod(shape):
        raise _damaged(path, f"it has {len(items)} bytes for {n_items} items of shape {shape}")
    return items.reshape(n_items, *shape)


def _read_records(path: Path) -> NDArray[np.uint8]:
    """Read one row per image of a batch of CIFAR-10: the label, then red, green and blue."""
    items = np.fromfile(path, np.uint8)
    n_bytes = 1 + 3 * 32 * 32
    if len(items) == 0 or len(items) % n_bytes:
        raise _damaged(path, f"its {len(items)} bytes are not one or more records of {n_bytes}")
    records = items.reshape(-1, n_bytes)
    _check_labels(path, records[:, 0])
    return records
