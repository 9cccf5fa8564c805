"""Dask: what runs in parallel gives the same on the workers of a cluster."""

import os
import sys
import threading
from concurrent.futures.process import BrokenProcessPool

import dask
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV

from sklearn_tickets.__main__ import main
from sklearn_tickets.benchmark import Store, run_grid, seek
from sklearn_tickets.benchmark._parallel import call_in_parallel
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV, fit_replicates
from sklearn_tickets.pruners import MagnitudePruner, RandomPruner
from tests.test_grid import TINY_GRID
from tests.test_seek import GENERATOR, TINY

distributed = pytest.importorskip("distributed", exc_type=ImportError)


@pytest.fixture(scope="module")
def address():
    """The scheduler of two workers with a thread each."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def on_cluster(address):
    """A function that calls another while joblib's jobs go to the cluster."""

    def call(function, *args, **kwargs):
        with distributed.Client(address), parallel_config("dask"):
            return function(*args, **kwargs)

    return call


def assert_equal(actual, expected):
    """Check that two tables are equal but for durations."""
    actual, expected = (table.drop(columns="seconds") for table in (actual, expected))
    pd.testing.assert_frame_equal(actual, expected, check_exact=True)


def test_grids_are_the_same(on_cluster, tmp_path):
    grid = TINY_GRID | {"seeds": [3, 4], "pruners": ["snip", "random"]}
    with Store(tmp_path / "here.sqlite") as here, Store(tmp_path / "there.sqlite") as there:
        assert_equal(on_cluster(run_grid, grid, there, n_jobs=-1), run_grid(grid, here))


class DeadlyPruner(RandomPruner):
    """Kills the process that it is fitted in."""

    def fit(self, X, y=None):
        os._exit(1)


@pytest.fixture
def mortal_cluster():
    """Make joblib's jobs go to workers of which a call may kill two."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
        parallel_config("dask"),
    ):
        yield


@pytest.mark.usefixtures("mortal_cluster")
def test_what_kills_workers_ends(tmp_path):
    grid = TINY_GRID | {"modes": "single", "seeds": [3, 4]}
    grid["pruners"] = ["tests.test_dask:DeadlyPruner", "snip", "random"]
    with (
        Store(tmp_path / "store.sqlite") as store,
        pytest.warns(FitFailedWarning, match=r"2 of 6 runs failed(.|\n)*on 2 different workers"),
    ):
        table = run_grid(grid, store, n_jobs=-1)
    failed = table["error"].notna()
    assert table["pruner"][failed].tolist() == ["tests.test_dask:DeadlyPruner"] * 2
    assert table["weak"].notna().equals(~failed)
    with pytest.raises(BrokenProcessPool, match="on 2 different workers"):
        seek(GENERATOR, pruners={"deadly": DeadlyPruner}, densities=[0.3], **TINY)


def test_calls_are_taken_as_workers_become_free(address):
    taken = []

    def calls():
        for i in range(20):
            taken.append(i)
            yield i, 1

    with distributed.Client(address):
        with parallel_config("dask"):
            results = call_in_parallel(pow, calls(), n_jobs=-1)
        assert next(results) in range(4)
        assert len(taken) == 4
        results.close()


def test_a_result_that_cannot_be_sent_is_an_error(address):
    with distributed.Client(address), parallel_config("dask"):
        results = call_in_parallel(threading.Lock, [()], n_jobs=-1)
        with pytest.raises(TypeError, match="lock"):
            next(results)


def test_seek_is_the_same(on_cluster):
    arguments = {"pruners": ["snip", "imp"], "densities": [0.3], **TINY}
    there = on_cluster(seek, GENERATOR, n_jobs=-1, **arguments)
    assert_equal(there, seek(GENERATOR, **arguments))


def test_replicates_are_the_same(on_cluster):
    generators = [PlantedTicketGenerator("relu", width=12, random_state=seed) for seed in (0, 1)]
    planted = [generator.generate(200) for generator in generators]
    pruner = MagnitudePruner(planted[0].make_net(max_epochs=1), sparsity=0.2, random_state=0)
    there = on_cluster(fit_replicates, pruner, planted, n_jobs=2)
    here = fit_replicates(pruner, planted)
    for one, other, problem in zip(there, here, planted, strict=True):
        assert one.mask_ == other.mask_
        assert np.array_equal(one.predict(problem.X), other.predict(problem.X))


@pytest.mark.parametrize("search_class", [GridSearchCV, BatchedGridSearchCV])
def test_searches_are_the_same(search_class, on_cluster):
    planted = GENERATOR.generate(200)
    pruner = MagnitudePruner(planted.make_net(max_epochs=1), random_state=0)
    search = search_class(pruner, {"sparsity": [0.1, 0.3]}, cv=2, n_jobs=2)
    there = on_cluster(lambda: search.fit(planted.X, planted.y).cv_results_)
    here = search.fit(planted.X, planted.y).cv_results_
    for key in ("split0_test_score", "split1_test_score", "rank_test_score"):
        assert np.array_equal(there[key], here[key])


def test_commands_connect_to_a_scheduler(address, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "grid.toml").write_text(
        "tasks = 'relu'\nwidths = 12\nn_samples = 200\npruners = []\nfinal_epochs = 1\n"
    )
    assert main(["grid", "grid.toml", f"--scheduler={address}"]) == 0
    assert capsys.readouterr().out == "5 rows are in results.sqlite; 0 of them failed.\n"


@pytest.mark.parametrize("command", [["seek"], ["grid", "grid.toml"]])
@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:9", "nothing://127.0.0.1", "here"])
def test_a_scheduler_that_is_not_there_is_named(command, scheduler, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.toml").write_text("pruners = []")
    monkeypatch.setattr("sys.path", [*sys.path])
    patient = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda *args, timeout: patient(*args, timeout=0.5))
    with pytest.raises(SystemExit) as stop:
        main([*command, f"--scheduler={scheduler}"])
    assert stop.value.code == 2
    assert f"no Dask scheduler answers at '{scheduler}'" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["grid.toml"]


def test_a_scheduler_without_workers_is_named(capsys):
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(SystemExit),
    ):
        main(["seek", f"--scheduler={empty.scheduler_address}"])
    assert "has no workers; start some" in capsys.readouterr().err


def test_missing_dask_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit):
        main(["seek", "--scheduler=tcp://127.0.0.1:8786"])
    assert "--scheduler needs Dask, which is not installed: pip" in capsys.readouterr().err
