"""Loaders of MNIST and CIFAR-10, on small files of their formats."""

import gzip
import struct

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_tickets.datasets import load_cifar10, load_mnist

SHAPES = {load_mnist: (1, 28, 28), load_cifar10: (3, 32, 32)}


def idx(items, magic=None, shape=None):
    """The bytes of an idx file."""
    shape = items.shape if shape is None else shape
    magic = 2048 + len(shape) if magic is None else magic
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + items.tobytes()


def digits(n, first=0):
    """Images whose pixels count up, on from one image to the next, and labels that do, too."""
    pixels = np.arange(n * 784).reshape(n, 28, 28) % 256
    return pixels.astype(np.uint8), np.arange(first, first + n, dtype=np.uint8) % 10


@pytest.fixture
def mnist(tmp_path):
    """A folder of three images for training, not compressed, and two for testing, compressed."""
    for part, n, first in (("train", 3, 0), ("t10k", 2, 8)):
        pixels, labels = digits(n, first)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    for path in list(tmp_path.glob("t10k*")):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return tmp_path


def record(label, colors=(0, 0, 0)):
    """The bytes of one image of CIFAR-10, the first two pixels of which differ in red."""
    planes = np.repeat(np.array(colors, dtype=np.uint8), 1024)
    planes[1] += 1
    return bytes([label]) + planes.tobytes()


@pytest.fixture
def cifar10(tmp_path):
    """A folder of two images in each batch for training, and one for testing."""
    for i in range(1, 6):
        batch = record(i, (10 * i, 20, 30)) + record(i + 1)
        (tmp_path / f"data_batch_{i}.bin").write_bytes(batch)
    (tmp_path / "test_batch.bin").write_bytes(record(9, (254, 255, 51)))
    return tmp_path


@pytest.fixture
def folder(mnist, cifar10):
    """A folder with the files of both."""
    assert mnist == cifar10
    return mnist


# What is read ---------------------------------------------------------------------------


def test_digits_are_read_in_order(mnist):
    train, test = load_mnist(mnist), load_mnist(mnist, subset="test")
    assert sorted(train) == ["DESCR", "data", "target", "target_names"]
    assert train.data.dtype == np.float32
    assert train.data.shape == (3, 1, 28, 28)
    assert test.data.shape == (2, 1, 28, 28)
    # Pixel 255 is the fourth of the tenth row; the second image goes on with 784 % 256 = 16.
    assert_array_equal(train.data[0, 0, 9, 2:5], np.float32([254 / 255, 1, 0]))
    assert train.data[1, 0, 0, 0] == np.float32(16 / 255)
    assert train.target.dtype == np.int64
    assert train.target.tolist() == [0, 1, 2]
    assert test.target.tolist() == [8, 9]
    assert train.target_names == [*"0123456789"]
    assert train.DESCR.startswith("MNIST")


def test_photos_are_read_in_order(cifar10):
    train, test = load_cifar10(cifar10), load_cifar10(cifar10, subset="test")
    assert sorted(train) == ["DESCR", "data", "target", "target_names"]
    assert train.data.dtype == np.float32
    assert train.data.shape == (10, 3, 32, 32)
    assert_array_equal(train.data[::2, 0, 5, 5], np.float32([10, 20, 30, 40, 50]) / 255)
    assert train.target.dtype == np.int64
    assert train.target.tolist() == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert test.data.shape == (1, 3, 32, 32)
    # Only the pixel to the right of the first one is brighter.
    assert_array_equal(test.data[0, 0, :2, :2] * 255, [[254, 255], [254, 254]])
    assert (test.data[0, 1] == 1).all()
    assert (test.data[0, 2] == np.float32(0.2)).all()
    assert test.target_names[test.target[0]] == "truck"
    assert test.DESCR.startswith("CIFAR-10")


@pytest.mark.parametrize("load", SHAPES)
def test_all_is_train_and_then_test(load, folder):
    train, test, both = (load(folder, subset=subset) for subset in ("train", "test", "all"))
    assert_array_equal(both.data, np.concatenate([train.data, test.data]))
    assert_array_equal(both.target, np.concatenate([train.target, test.target]))


@pytest.mark.parametrize("load", SHAPES)
def test_return_x_y_is_data_and_target(load, folder):
    bunch = load(folder, subset="test")
    data, target = load(folder, subset="test", return_X_y=True)
    assert_array_equal(data, bunch.data)
    assert_array_equal(target, bunch.target)


@pytest.mark.parametrize("load", SHAPES)
def test_only_the_files_of_the_subset_are_needed(load, folder):
    for path in [*folder.glob("train*"), *folder.glob("data*")]:
        path.unlink()
    assert load(folder, subset="test").data.shape[1:] == SHAPES[load]


@pytest.mark.parametrize("load", SHAPES)
def test_the_home_directory_is_known(load, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load(f"~/{folder.name}").data) == len(load(folder).data)


def test_photos_may_be_in_the_unpacked_folder(cifar10, tmp_path):
    inner = tmp_path / "cifar-10-batches-bin"
    inner.mkdir()
    for path in list(cifar10.glob("*.bin")):
        path.rename(inner / path.name)
    assert load_cifar10(tmp_path).target.tolist() == load_cifar10(inner).target.tolist()


def test_compressed_digits_are_told_by_their_content(mnist):
    path = mnist / "train-images-idx3-ubyte"
    expected = load_mnist(mnist).data
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert_array_equal(load_mnist(mnist).data, expected)
    path.write_bytes(gzip.decompress(path.read_bytes()))
    path.rename(path.with_suffix(".gz"))
    assert_array_equal(load_mnist(mnist).data, expected)


# What is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("load", SHAPES)
def test_unknown_subsets_are_refused(load, tmp_path):
    with pytest.raises(ValueError, match="subset must be 'train', 'test' or 'all'; got 'valid'"):
        load(tmp_path, subset="valid")


@pytest.mark.parametrize("load", SHAPES)
def test_folders_that_are_none_are_refused(load, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder='.*/here' does not exist; pass"):
        load(tmp_path / "here")
    (tmp_path / "here").touch()
    with pytest.raises(NotADirectoryError, match=r"folder='.*/here' is a file; pass the folder"):
        load(tmp_path / "here")


def test_missing_digits_are_named(mnist):
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    assert len(load_mnist(mnist).data) == 3
    with pytest.raises(
        FileNotFoundError,
        match=rf"t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz in {mnist}\. Fetch .* put",
    ):
        load_mnist(mnist, subset="all")


def test_missing_photos_are_named(cifar10):
    (cifar10 / "data_batch_4.bin").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=rf"no data_batch_4\.bin or .*/data_batch_4\.bin in {cifar10}\. Fetch .*cifar\.html",
    ):
        load_cifar10(cifar10)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py"])
@pytest.mark.parametrize(
    ("subset", "name"), [("train", "data_batch_1"), ("test", "test_batch"), ("all", "data_batch_1")]
)
def test_pickled_photos_are_not_read(place, subset, name, tmp_path):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / name).write_bytes(b"\x80\x02")
    with pytest.raises(FileNotFoundError, match=r"pickled Python version, .* Fetch cifar-10-bin"):
        load_cifar10(tmp_path, subset=subset)


PIXELS, LABELS = digits(3)
PACKED = gzip.compress(idx(PIXELS))
IMAGES_FILE, LABELS_FILE = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        (IMAGES_FILE, b"", "it has 0 bytes, fewer than its header"),
        (IMAGES_FILE, idx(PIXELS)[:15], "it has 15 bytes, fewer than its header"),
        (IMAGES_FILE, idx(PIXELS)[:16], "it has 0 bytes for 3 items"),
        (IMAGES_FILE, idx(PIXELS)[:-1], r"it has 2351 bytes for 3 items of shape \(28, 28\)"),
        (IMAGES_FILE, idx(PIXELS) + b"\0", "it has 2353 bytes for 3 items"),
        (IMAGES_FILE, idx(PIXELS, magic=2052), "it begins with the number 2052, not 2051"),
        (IMAGES_FILE, idx(PIXELS.reshape(3, 14, 56)), r"shape \(14, 56\), not \(28, 28\)"),
        (IMAGES_FILE, idx(PIXELS, shape=(2**32 - 1,) * 3), "its images are of shape"),
        (IMAGES_FILE, PACKED[:-10], "it cannot be decompressed"),
        (IMAGES_FILE, PACKED[:100] + b"\xff" * 50 + PACKED[150:], "it cannot be decompressed"),
        (IMAGES_FILE, PACKED[:-8] + b"\0" * 8, "it cannot be decompressed"),
        (LABELS_FILE, idx(PIXELS), "it begins with the number 2051, not 2049"),
        (LABELS_FILE, idx(LABELS)[:-1], "it has 2 bytes for 3 items"),
        (LABELS_FILE, idx(LABELS[:2]), "it has 2 labels for 3 images"),
        (LABELS_FILE, idx(LABELS + np.uint8(8)), "it has the label 10, and the largest is 9"),
    ],
)
def test_damaged_digits_are_refused(name, content, what, mnist):
    (mnist / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{mnist / name} is damaged: .*{what}.* Fetch it again"):
        load_mnist(mnist)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "its 0 bytes are not one or more records of 3073"),
        (record(3)[:-1], "its 3072 bytes are not"),
        (record(3) + b"\0", "its 3074 bytes are not"),
        (record(3) + record(10), "it has the label 10, and the largest is 9"),
    ],
)
def test_damaged_photos_are_refused(content, what, cifar10):
    path = cifar10 / "data_batch_2.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is damaged: .*{what}.* Fetch it again"):
        load_cifar10(cifar10)
