"""`atomic_write`: the whole file or none."""

import pytest

from sklearn_tickets._files import atomic_write


def test_the_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with atomic_write(path) as partial:
            partial.write_text("half of it")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_must_exist(tmp_path):
    message = r"path='.*file' is in a folder that does not exist; create the folder first\."
    with pytest.raises(FileNotFoundError, match=message), atomic_write(tmp_path / "none" / "file"):
        pass
