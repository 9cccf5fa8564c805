"""The commands ``grid`` and ``report``: files, errors and messages."""

import sqlite3
import sys

import pytest

import sklearn_tickets._grid_command as grid_command
from sklearn_tickets.__main__ import main
from sklearn_tickets.benchmark import GRIDS, Store

TINY = """
tasks = "relu"
widths = 12
n_samples = 200
references = "planted"
pruners = {pruner = "snip", scope = ["global", "layer"]}
modes = "single"
densities = "ticket"
final_epochs = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a grid, where the commands run."""
    monkeypatch.chdir(tmp_path)
    # A copy without the current folder. torch imports some packages as late as in a fit.
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    (tmp_path / "grid.toml").write_text(TINY)
    return tmp_path


def test_rows_are_listed_run_and_listed_again(folder, capsys):
    assert main(["grid", "grid.toml", "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split()[:3] == ["state", "seed", "task"]
    assert listed[3].endswith('{"scope": "layer"}')
    assert listed[-1] == "3 rows: 3 new"
    assert [file.name for file in folder.iterdir()] == ["grid.toml"]

    assert main(["grid", "grid.toml", "--jobs=1", "--store=mine.sqlite"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "3 rows are in mine.sqlite; 0 of them failed.\n"
    assert printed.err == ""
    with Store("mine.sqlite", mode="r") as store:
        assert len(store.to_frame()) == 3

    (folder / "grid.toml").write_text(TINY + "seeds = [0, 1]")
    assert main(["grid", "grid.toml", "--dry-run", "--store=mine.sqlite"]) == 0
    assert capsys.readouterr().out.endswith("\n6 rows: 3 done, 3 new\n")


def test_the_example_is_printed(capsys):
    assert main(["grid", "--example"]) == 0
    assert capsys.readouterr().out == GRIDS["example.toml"].read_text()
    assert main(["grid", "--example", "plant-n-seek.toml"]) == 0
    assert capsys.readouterr().out == GRIDS["plant-n-seek.toml"].read_text()


def test_grids_that_come_with_the_package_are_listed_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["grid", "--help"])
    assert "with the package: cubist-spiral.toml, example.toml" in " ".join(
        capsys.readouterr().out.split()
    )


def test_pruners_of_ones_own_are_found_in_the_folder(folder, capsys):
    (folder / "own_pruner_of_a_user.py").write_text(
        "from sklearn_tickets.pruners import RandomPruner\n\n\n"
        "class OwnPruner(RandomPruner):\n    pass\n"
    )
    grid = TINY.replace('"snip"', '"own_pruner_of_a_user:OwnPruner"')
    (folder / "grid.toml").write_text(grid)
    assert main(["grid", "grid.toml", "--jobs=1"]) == 0
    assert capsys.readouterr().out == "3 rows are in results.sqlite; 0 of them failed.\n"


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        ([], None, "the following arguments are required: FILE.toml, or --example"),
        (["no.toml"], None, "path='no.toml' cannot be read as TOML"),
        (["grid.toml"], "pruners = [", "path='grid.toml' cannot be read as TOML"),
        (["grid.toml"], "seeds = true", "seeds must be an integer of at least 0; got True"),
        (["grid.toml"], "seed = 1", "unknown name 'seed'; did you mean 'seeds'?"),
        (["grid.toml"], "pruners = 'own:Own'", "'own:Own', which cannot be imported"),
        (["grid.toml", "--store=no/x.sqlite"], None, "'no/x.sqlite' cannot be written as a store"),
        (["grid.toml", "--store=grid.toml"], None, "'grid.toml' cannot be written as a store"),
        (["grid.toml", "--jobs=0"], None, "--jobs: must be an integer of at least 1, or -1"),
    ],
)
def test_what_cannot_run_is_named_before_anything_runs(
    options, text, message, folder, capsys, monkeypatch
):
    monkeypatch.setattr(grid_command, "run_grid", None)
    if text is not None:
        (folder / "grid.toml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["grid", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["grid.toml"]


def test_a_newer_store_is_refused(capsys):
    with Store("results.sqlite") as store:
        store.connection.execute("PRAGMA user_version = 2")
    with pytest.raises(SystemExit):
        main(["grid", "grid.toml"])
    assert "was written by a newer version of sklearn-tickets" in capsys.readouterr().err


def test_interruption_says_how_to_go_on(monkeypatch, capsys):
    def run_grid(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(grid_command, "run_grid", run_grid)
    assert main(["grid", "grid.toml"]) == 130
    expected = "Interrupted; 0 of 3 rows are finished, and kept in results.sqlite. The same "
    assert capsys.readouterr().err == f"{expected}command goes on.\n"


def test_what_is_finished_is_counted(capsys):
    assert main(["grid", "grid.toml", "--jobs=1"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["grid", "grid.toml", "--jobs=1"]) == 0
    assert capsys.readouterr().err == "3 of 3 rows are finished already.\n"


@pytest.mark.filterwarnings("ignore:1 of 3 runs failed")
def test_failed_rows_show_in_the_status_and_are_retried(capsys):
    main(["grid", "grid.toml", "--jobs=1"])
    connection = sqlite3.connect("results.sqlite")
    connection.execute("UPDATE run SET error = 'no luck' WHERE rowid = 2")
    connection.commit()
    connection.close()
    assert main(["grid", "grid.toml", "--jobs=1"]) == 1
    assert capsys.readouterr().out.endswith("3 rows are in results.sqlite; 1 of them failed.\n")
    assert main(["grid", "grid.toml", "--jobs=1", "--retry-failed"]) == 0


def test_reports_need_a_store(folder, capsys):
    with pytest.raises(SystemExit):
        main(["report", "no.sqlite"])
    assert "'no.sqlite' cannot be read as a store" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["grid.toml"]


@pytest.mark.parametrize("command", ["seek", "grid", "report"])
def test_every_command_has_its_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f" {command} [-h]" in capsys.readouterr().out
