"""`atomic_write`: the whole file or none, where and as the user wants it."""

import errno
import os
import stat
import threading

import pytest

from sklearn_tickets._files import atomic_write
from sklearn_tickets.masks import TicketMask


def write(path, text):
    with atomic_write(path) as partial:
        partial.write_text(text)


def replace_the_temporary_file(path, text):
    """As writers do that make a file of their own, which only its owner may read."""
    with atomic_write(path) as partial:
        own = partial.with_name("own")
        own.touch(mode=0o600)
        own.write_text(text)
        own.replace(partial)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt])
@pytest.mark.parametrize("exists", [True, False])
def test_an_error_leaves_everything_as_it_was(tmp_path, error, exists):
    path = tmp_path / "file"
    if exists:
        path.write_text("old")

    def fail():
        with atomic_write(path) as partial:
            partial.write_text("half of it")
            raise error

    with pytest.raises((OSError, KeyboardInterrupt)):
        fail()
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "old")] * exists


@pytest.mark.parametrize("writer", [write, replace_the_temporary_file])
@pytest.mark.parametrize(
    ("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0, 0o666)]
)
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, writer, umask, mode):
    before = os.umask(umask)
    try:
        writer(tmp_path / "file", "new")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == mode


@pytest.mark.parametrize("writer", [write, replace_the_temporary_file])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_an_existing_file_keeps_its_mode(tmp_path, writer, mode):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    writer(path, "new")
    assert (path.read_text(), mode_of(path)) == ("new", mode)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_the_file_behind_it_is_written(tmp_path, exists):
    folder, link, chain = tmp_path / "folder", tmp_path / "link", tmp_path / "chain"
    folder.mkdir()
    if exists:
        (folder / "file").write_text("old")
    link.symlink_to("folder/file")
    chain.symlink_to(link)
    write(chain, "new")
    assert link.is_symlink()
    assert chain.is_symlink()
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("file", "new")]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_may_be_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    write(tmp_path / "link" / "file", "new")
    assert (tmp_path / "folder" / "file").read_text() == "new"


def test_the_folder_must_exist(tmp_path):
    message = r"path='.*file' is in a folder that does not exist; create the folder first\."
    with pytest.raises(FileNotFoundError, match=message), atomic_write(tmp_path / "none" / "file"):
        pass


def test_folders_and_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", os.devnull):
        with pytest.raises(FileExistsError, match="exists and is not a file"):
            write(path, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    def refuse(self, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises(PermissionError, match=r"path='.*file' is in a folder that you cannot wri"):
        write(tmp_path / "file", "new")


def test_threads_may_write_one_file(tmp_path):
    path, masks = tmp_path / "mask", [TicketMask({"w": [i % 2] * 999}) for i in range(4)]
    errors, start = [], threading.Barrier(len(masks))

    def save(mask):
        start.wait()
        try:
            for _ in range(30):
                mask.save(path)
                assert TicketMask.load(path) in masks
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=[mask]) for mask in masks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert list(tmp_path.iterdir()) == [path]
