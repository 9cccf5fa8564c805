"""``sklearn-tickets``, the command line: options, files, errors, and silence in a pipe."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest

import sklearn_tickets.__main__ as command_line
from sklearn_tickets._command_line import training_progress
from sklearn_tickets.benchmark import COLUMNS, describe_findings, format_report, seek
from sklearn_tickets.datasets import PlantedTicketGenerator

TINY = ["--task=relu", "--width=12", "--n-samples=200", "--seed=3", "--rounds=2", "--epochs=1"]
TINY += ["--jobs=1"]


def test_files_and_report_agree(tmp_path, capsys):
    out, plot = tmp_path / "seek.csv", tmp_path / "seek.png"
    options = ["--pruner", "snip", "--pruner", "imp", "--density", "0.3", "--density", "ticket"]
    assert command_line.main([*TINY, *options, "--out", str(out), "--plot", str(plot)]) == 0
    table = pd.read_csv(out)
    assert tuple(table.columns) == COLUMNS
    assert table["pruner"].tolist()[5:] == 2 * ["snip", "snip", "imp"]
    assert table["epochs"].tolist()[5:] == 2 * [10, 12, 12]
    generator = PlantedTicketGenerator("relu", width=12, random_state=3)
    expected = seek(
        generator,
        200,
        pruners=["snip", "imp"],
        densities=[0.3, "ticket"],
        n_rounds=2,
        round_epochs=1,
    )
    pd.testing.assert_frame_equal(
        table.drop(columns="seconds"), expected.drop(columns="seconds"), check_exact=True
    )
    printed = capsys.readouterr()
    assert printed.out == f"{format_report(table)}\n\n{describe_findings(table)}\n"
    assert printed.err == ""
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_pipe_gets_the_table_and_nothing_else():
    command = [sys.executable, "-m", "sklearn_tickets", *TINY, "--pruner", "random"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.startswith("relu, depth 5, width 12, seed 3: mean squared error")
    assert "\x1b" not in done.stdout
    assert "\x1b" not in done.stderr


def test_lines_tell_the_progress_where_there_is_no_terminal(monkeypatch, capsys):
    seconds = iter([0, 9, 10, 12, 30])
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    with training_progress() as callback:
        for done in (5, 10, 20, 1_500):
            callback(done, 3_000)
    assert capsys.readouterr().err.splitlines() == [
        "Training: 10 of 3,000 epochs in 10 s",
        "Training: 1,500 of 3,000 epochs in 30 s, about 30 s left",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("snap", "pruners has the unknown name 'snap'; did you mean 'snip'?"),
        ("no.such:Pruner", "'no.such:Pruner', which cannot be imported (ModuleNotFoundError"),
        ("sklearn_tickets.pruners:GivenMaskPruner", "which cannot be set up (TypeError"),
        ("sklearn_tickets.masks:TicketMask", "which cannot be set up (AttributeError"),
    ],
)
def test_what_is_no_pruner_is_named_before_anything_runs(name, message, capsys, monkeypatch):
    monkeypatch.setattr("sklearn_tickets.benchmark._seek.run_all", None)
    with pytest.raises(SystemExit) as stop:
        command_line.main([*TINY, "--pruner", "random", "--pruner", name])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_pruners_of_ones_own_are_found_in_the_folder(tmp_path, capsys, monkeypatch):
    (tmp_path / "own_factory_of_a_user.py").write_text(
        "from functools import partial\n"
        "from sklearn_tickets.pruners import SNIPPruner\n\n"
        "few = partial(SNIPPruner, n_score_samples=20)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    own = "own_factory_of_a_user:few"
    assert command_line.main([*TINY, "--pruner", own, "--density", "ticket"]) == 0
    printed = capsys.readouterr().out
    assert f"\n{own} single" in printed
    assert f"\n{own} multi" in printed


def test_annealing_is_left_out_with_a_line_where_numba_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(command_line, "DEFAULT", ("random",))
    assert command_line.main([*TINY, "--density", "ticket"]) == 0
    assert "\nannealing is left out: it needs Numba, pip install" in capsys.readouterr().out
    assert command_line.main([*TINY, "--density", "ticket", "--pruner", "random"]) == 0
    assert "left out" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "square"], "--task: invalid choice: 'square' (choose from"),
        (["--scaling", "tiny"], "--scaling: invalid choice: 'tiny' (choose from"),
        (
            ["--density", "0"],
            "--density: must be a fraction above 0 and at most 1, or 'ticket'; got '0'",
        ),
        (
            ["--density", "1.1"],
            "--density: must be a fraction above 0 and at most 1, or 'ticket'; got '1.1'",
        ),
        (
            ["--density", "tickets"],
            "--density: must be a fraction above 0 and at most 1, or 'ticket'; got 'tickets'",
        ),
        (["--depth", "2"], "--depth: must be an integer of at least 3; got '2'"),
        (["--depth", "4.5"], "--depth: must be an integer of at least 3; got '4.5'"),
        (["--width", "0"], "--width: must be an integer of at least 1; got '0'"),
        (["--width", "19"], "width=19 is less than the 20 units"),
        (
            ["--n-samples", "50"],
            "--n-samples: must be an integer of at least 100; got '50'",
        ),
        (["--noise", "-1"], "--noise: must be a number of at least 0; got '-1'"),
        (["--noise", "nan"], "--noise: must be a number of at least 0; got 'nan'"),
        (["--noise", "2"], "noise=2.0 is more than 1"),
        (["--rounds", "0"], "--rounds: must be an integer of at least 1; got '0'"),
        (["--epochs", "-1"], "--epochs: must be an integer of at least 0; got '-1'"),
        (["--jobs", "0"], "--jobs: must be an integer of at least 1, or -1; got '0'"),
        (["--seed", "-5"], "--seed: must be an integer from 0 to 4294967295; got '-5'"),
        (
            ["--out", "no/such/seek.csv"],
            "--out: the directory of 'no/such/seek.csv' does not exist; create it",
        ),
        (["--out", "."], "--out: '.' is a directory; pass a file name"),
        (
            ["--plot", "no/such/seek.png"],
            "--plot: the directory of 'no/such/seek.png' does not exist; create it",
        ),
        (["--plot", "seek.doc"], "--plot: 'seek.doc' must have one of the extensions .eps"),
    ],
)
def test_unusable_options_are_named_before_anything_runs(options, message, capsys, monkeypatch):
    monkeypatch.setattr(command_line, "seek", None)
    with pytest.raises(SystemExit) as stop:
        command_line.main(options)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_tells_the_defaults(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "number of rounds in multi-shot runs (default: 10)" in text
    assert "--n-samples 2000, --rounds 4, --epochs 2" in text


def test_the_script_of_the_package_runs_the_same_function():
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    ((name, value),) = tomllib.loads(pyproject.read_text())["project"]["scripts"].items()
    assert name == "sklearn-tickets"
    assert EntryPoint(name, value, "console_scripts").load() is command_line.main


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/sklearn-tickets", "sklearn-tickets"),
        ("sklearn-tickets.exe", "sklearn-tickets"),
        ("/home/sklearn_tickets/__main__.py", "python -m sklearn_tickets"),
        ("/usr/bin/pytest", "python -m sklearn_tickets"),
        ("", "python -m sklearn_tickets"),
    ],
)
def test_messages_name_the_command_that_was_called(path, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [path, "--depth=2"])
    with pytest.raises(SystemExit):
        command_line.main()
    printed = capsys.readouterr().err
    assert printed.startswith(f"usage: {name} [-h]")
    assert f"\n{name}: error: argument --depth" in printed


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ([], (10_000, 10, 5)),
        (["--quick"], (2_000, 4, 2)),
        (["--quick", "--rounds", "7"], (2_000, 7, 2)),
    ],
)
def test_quick_lowers_what_is_not_given(options, sizes, monkeypatch):
    def seek(generator, n_samples, *, n_rounds, round_epochs, **others):
        assert (n_samples, n_rounds, round_epochs) == sizes
        assert others["n_jobs"] == -1
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "seek", seek)
    assert command_line.main(options) == 130


def test_interruption_ends_cleanly(monkeypatch, capsys, tmp_path):
    def seek(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "seek", seek)
    assert command_line.main([*TINY, "--out", str(tmp_path / "seek.csv")]) == 130
    assert capsys.readouterr().err == "Interrupted; no file was written.\n"
    assert not list(tmp_path.iterdir())


def test_a_failed_run_shows_in_table_and_status(monkeypatch, capsys):
    def with_a_gap(*args, **kwargs):
        table = seek(*args, **kwargs)
        measured = table.columns.drop([*COLUMNS[:9], "metric"])
        return table.astype(dict.fromkeys(measured, object)).mask(
            (table.index == len(table) - 1)[:, None] & table.columns.isin(measured)
        )

    monkeypatch.setattr(command_line, "seek", with_a_gap)
    assert command_line.main([*TINY, "--pruner", "random", "--density", "0.3"]) == 1
    assert "failed" in capsys.readouterr().out
