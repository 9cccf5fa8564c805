"""Grids: their rows, what is refused before anything runs, and runs into a store."""

import re
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.exceptions import FitFailedWarning

from sklearn_tickets.benchmark import (
    COLUMNS,
    DEFAULT,
    GRIDS,
    PRUNERS,
    SeekDisplay,
    Store,
    format_report,
    load_grid,
    plan_grid,
    run_grid,
    seek,
)
from sklearn_tickets.benchmark._grid_rows import _VERSIONS
from sklearn_tickets.pruners import RandomPruner, SNIPPruner
from tests.test_runs import BrokenPruner
from tests.test_seek import GENERATOR, TINY

TINY_GRID = {
    "tasks": "relu",
    "widths": 12,
    "n_samples": 200,
    "seeds": 3,
    "references": [],
    "pruners": "snip",
    "densities": 0.3,
    "rounds": 2,
    "epochs": 1,
    "final_epochs": 2,
}


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite") as store:
        yield store


def columns_of(plan, *names):
    """The values of columns, row by row."""
    return list(plan[[*names]].itertuples(index=False, name=None))


def test_a_block_is_the_product_of_its_axes_and_seeds_come_first():
    plan = plan_grid(TINY_GRID | {"tasks": ["relu", "circle"], "widths": 25, "seeds": [0, 1]})
    tasks = [(seed, task) for seed in (0, 1) for task in ("relu", "circle")]
    expected = [(*problem, mode) for problem in tasks for mode in ("single", "multi")]
    assert columns_of(plan, "seed", "task", "mode") == expected
    assert plan.index.is_unique


def test_defaults_are_those_of_seek():
    plan = plan_grid({})
    n_modes = {"random": 2, "magnitude": 2, "snip": 2, "grasp": 2, "synflow": 2}
    assert len(plan) == 5 + 3 * sum(n_modes.get(name, 1) for name in DEFAULT)
    assert plan["pruner"][:5].tolist() == ["planted", "dense", "scaled", "shuffled", "constant"]
    assert set(plan["n_samples"]) == {10_000}


def test_modes_are_those_that_a_pruner_has():
    pruners = ["magnitude", "imp", "rigl", "sklearn_tickets.pruners:EdgePopupPruner"]
    plan = plan_grid(TINY_GRID | {"pruners": pruners})
    assert plan["mode"].tolist() == ["single", "multi", "multi", "learned", "learned"]


def test_rounds_are_no_axis_of_what_has_none():
    plan = plan_grid(TINY_GRID | {"rounds": [1, 2], "epochs": [1, 2], "references": "dense"})
    assert plan["mode"].tolist() == ["given", "single", *4 * ["multi"]]


def test_the_planted_scale_is_a_reference_only_if_it_is_not_one():
    plan = plan_grid(TINY_GRID | {"references": ["scaled", "dense"], "scaling": ["trainable"]})
    assert plan["pruner"].tolist() == ["dense", "snip", "snip"]


def test_lists_of_parameters_are_axes_and_defaults_are_not_named():
    pruner = {"pruner": "snip", "scope": ["global", "layer"], "estimator__lr": [0.001, 0.01]}
    plan = plan_grid(TINY_GRID | {"pruners": [pruner], "modes": "single"})
    assert plan["parameters"].tolist() == [
        "{}",
        '{"estimator__lr": 0.01}',
        '{"scope": "layer"}',
        '{"scope": "layer", "estimator__lr": 0.01}',
    ]
    plain = plan_grid(TINY_GRID | {"modes": "single"})
    assert plain.index.tolist() == plan.index[:1].tolist()


def test_none_has_a_name():
    pruner = {"pruner": "imp", "rewind_epoch": "None"}
    (parameters,) = plan_grid(TINY_GRID | {"pruners": pruner})["parameters"]
    assert parameters == '{"rewind_epoch": null}'


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 4},
        {"tasks": "circle", "widths": 25},
        {"widths": 13},
        {"depths": 4},
        {"noise": 0.02},
        {"n_noise_features": 1},
        {"scaling": "trainable"},
        {"n_samples": 201},
        {"densities": "ticket"},
        {"pruners": "grasp"},
        {"pruners": {"pruner": "snip", "connected": True}},
        {"rounds": 3},
        {"epochs": 2},
        {"final_epochs": 3},
    ],
)
def test_rows_are_known_by_all_that_they_depend_on(change):
    plan, changed = plan_grid(TINY_GRID | {"modes": "multi"}), plan_grid(TINY_GRID | change)
    assert not set(plan.index) & set(changed.index)


def test_rows_are_known_by_the_versions(monkeypatch):
    plan = plan_grid(TINY_GRID)
    monkeypatch.setitem(_VERSIONS, "torch_version", "9")
    assert not set(plan.index) & set(plan_grid(TINY_GRID).index)


@pytest.mark.parametrize("name", PRUNERS)
def test_all_parameters_of_pruners_can_be_stored(name):
    assert len(plan_grid(TINY_GRID | {"pruners": name})) in (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pruner": "snip"}, "grid has the unknown name 'pruner'; did you mean 'pruners'?"),
        ({"n_sample": 200}, "unknown name 'n_sample'; did you mean 'n_samples'?"),
        ({"pruners": "snap"}, "pruners has the unknown name 'snap'; did you mean 'snip'?"),
        ({"modes": "mult"}, "modes has the unknown name 'mult'; did you mean 'multi'?"),
        ({"references": "dens"}, "did you mean 'dense'?"),
        ({"modes": "learned"}, "has none of pruner 'random', which are ('single', 'multi')"),
        ({"pruners": "no.such:Pruner"}, "'no.such:Pruner', which cannot be imported (ModuleNot"),
        ({"pruners": "sklearn_tickets.pruners:No"}, "cannot be imported (AttributeError"),
        ({"pruners": {"snip": 1}}, "give a name, or a table whose key 'pruner' is a name"),
        ({"pruners": 3}, "pruners contains 3; give a name"),
        ({"pruners": {"pruner": 3}}, "pruners contains {'pruner': 3}; give a name"),
        ({"pruners": {"pruner": ["snip"]}}, "give a name, or a table whose key 'pruner' is a name"),
        ({"pruners": {"pruner": "snip", "exclude": []}}, "'exclude' has no values; give some, or"),
        (
            {"pruners": {"pruner": "snip", "scop": 1}},
            "pruner 'snip' has the unknown name 'scop'; did you mean 'scope'?",
        ),
        ({"pruners": {"pruner": "snip", "scope": "all"}}, "The 'scope' parameter of SNIPPruner"),
        ({"pruners": {"pruner": "snip", "sparsity": 0.5}}, "use the key 'densities' of the grid"),
        ({"pruners": "sklearn_tickets.pruners:GivenMaskPruner"}, "cannot be set up (TypeError"),
        ({"pruners": "tests.test_seek:seek"}, "cannot be set up (AttributeError"),
        ({"densities": []}, "densities is empty, so that no pruner would run"),
        ({"tasks": "square"}, "The 'task' parameter of PlantedTicketGenerator"),
        ({"depths": 2}, "The 'depth' parameter of PlantedTicketGenerator"),
        ({"tasks": ["relu", "circle"]}, "width=12 is less than the 20 units"),
        ({"seeds": -1}, "seeds must be an integer of at least 0; got -1"),
        ({"seeds": 2**32}, "The 'random_state' parameter of PlantedTicketGenerator"),
        ({"n_samples": 99}, "n_samples must be an integer of at least 100; got 99"),
        ({"densities": [0.1, 0]}, "densities contains 0; pass fractions"),
        ({"densities": True}, "densities contains True; pass fractions"),
        ({"rounds": 0}, "n_rounds must be an integer of at least 1; got 0"),
        ({"epochs": 1.5}, "round_epochs must be an integer of at least 0; got 1.5"),
        ({"seeds": []}, "seeds is empty, so that no pruner would run; give it values, or leave"),
        ({"rounds": []}, "rounds is empty"),
        ({"modes": []}, "modes is empty"),
        ({"pruners": []}, "grid has no rows"),
    ],
)
def test_what_cannot_run_is_named_before_anything_runs(change, message, store, monkeypatch):
    monkeypatch.setattr(RandomPruner, "fit", None)
    with pytest.raises(ValueError, match=re.escape(message)):
        run_grid(TINY_GRID | {"pruners": ["random", "snip"]} | change, store)
    assert store.states() == {}


@pytest.mark.parametrize("grid", [3, None, "snip", [TINY_GRID, 3], [[TINY_GRID]]])
def test_what_is_no_grid_is_named(grid):
    with pytest.raises(ValueError, match="grid must be a mapping, or a sequence of mappings; got"):
        plan_grid(grid)


@pytest.mark.parametrize(
    ("name", "parameter", "axis"),
    [("snip", "final_epochs", "final_epochs"), ("imp", "n_rounds", "rounds")],
)
def test_what_other_axes_set_is_no_parameter(name, parameter, axis):
    with pytest.raises(ValueError, match=f"sets '{parameter}'; use the key '{axis}'"):
        plan_grid(TINY_GRID | {"pruners": {"pruner": name, parameter: 3}})


def test_rounds_without_training_are_a_parameter():
    pruner = {"pruner": "synflow", "n_rounds": [1, 100]}
    plan = plan_grid(TINY_GRID | {"pruners": pruner, "modes": "single"})
    assert plan["parameters"].tolist() == ['{"n_rounds": 1}', "{}"]


def test_rows_are_those_of_seek(store):
    grid = TINY_GRID | {"references": ["planted", "dense", "scaled", "shuffled", "constant"]}
    grid |= {"pruners": ["snip", "imp", "stochastic"], "densities": [0.3, "ticket"]}
    table = run_grid(grid, store)
    expected = seek(GENERATOR, pruners=grid["pruners"], densities=grid["densities"], **TINY)
    pd.testing.assert_frame_equal(
        table.reset_index()[[*COLUMNS]]
        .drop(columns="seconds")
        .astype({"collapsed": bool} | dict.fromkeys(["depth", "width", "epochs", "n_kept"], int)),
        expected.drop(columns="seconds"),
        check_exact=True,
    )
    assert format_report(table) == format_report(table[[*COLUMNS]])
    SeekDisplay(table).plot()


def test_finished_rows_are_not_run_again(store, monkeypatch):
    first = run_grid(TINY_GRID, store)
    monkeypatch.setattr(SNIPPruner, "fit", None)
    calls = []
    again = run_grid(TINY_GRID, store, callback=lambda *epochs: calls.append(epochs))
    pd.testing.assert_frame_equal(again, first)
    assert calls == []


def test_a_grid_can_grow(store):
    run_grid(TINY_GRID, store)
    calls = []
    grid = TINY_GRID | {"seeds": np.arange(3, 5), "pruners": ["snip", "random"]}
    table = run_grid(grid, store, callback=lambda *epochs: calls.append(epochs))
    assert columns_of(table, "seed", "pruner", "mode") == [
        (seed, name, mode)
        for seed in (3, 4)
        for name in ("snip", "random")
        for mode in ("single", "multi")
    ]
    # A single-shot run has two epochs, and a multi-shot run two more.
    assert calls == [(2, 18), (6, 18), (8, 18), (12, 18), (14, 18), (18, 18)]
    assert len(store.to_frame()) == 8


def test_workers_give_the_same_table(store, tmp_path):
    grid = TINY_GRID | {"seeds": [3, 4], "pruners": ["snip", "random"]}
    table = run_grid(grid, store)
    with Store(tmp_path / "other.sqlite") as other, parallel_config("threading", n_jobs=2):
        parallel = run_grid(grid, other)
    pd.testing.assert_frame_equal(
        parallel.drop(columns="seconds"), table.drop(columns="seconds"), check_exact=True
    )


def test_failed_rows_are_recorded_and_retried_on_request(store, monkeypatch):
    grid = TINY_GRID | {"pruners": ["tests.test_runs:BrokenPruner", "snip"]}
    with pytest.warns(FitFailedWarning, match=r"1 of 4 runs failed(.|\n)*no luck today"):
        table = run_grid(grid, store)
    assert table["error"].notna().tolist() == [True, False, False, False]
    assert "RuntimeError: no luck today" in table["error"].iloc[0]
    assert np.isnan(table["weak"].iloc[0])
    assert "failed" in format_report(table)
    SeekDisplay(table).plot()
    assert set(store.states().values()) == {"done", "failed"}
    monkeypatch.setattr(BrokenPruner, "fit", RandomPruner.fit)
    with pytest.warns(FitFailedWarning, match="1 of 4 runs failed"):
        run_grid(grid, store)
    table = run_grid(grid, store, retry_failed=True)
    assert table["error"].isna().all()
    assert table["weak"].notna().all()


def test_what_fails_before_the_fit_is_recorded(store, monkeypatch):
    def fail(*args):
        raise MemoryError("no room")

    monkeypatch.setattr("sklearn_tickets.benchmark._grid.make_problem", fail)
    with pytest.warns(FitFailedWarning, match="2 of 2 runs failed"):
        table = run_grid(TINY_GRID, store)
    assert table["error"].str.contains("no room").all()
    assert table["density"].tolist() == [0.3, 0.3]
    assert table["metric"].tolist() == ["mse", "mse"]
    with pytest.warns(FitFailedWarning):
        assert run_grid(TINY_GRID | {"densities": "ticket"}, store)["density"].isna().all()


def test_a_row_whose_process_dies_has_failed_and_the_others_go_on(store, monkeypatch):
    def die(function, calls, n_jobs):
        """Yield results in reverse, and die of rows of random pruning."""
        for arguments in [*calls][::-1]:
            if arguments[1].pruner == "random":
                raise BrokenProcessPool
            yield function(*arguments)

    monkeypatch.setattr("sklearn_tickets.benchmark._grid.call_in_parallel", die)
    grid, calls = TINY_GRID | {"pruners": ["snip", "random", "grasp"]}, []
    with pytest.warns(FitFailedWarning, match=r"2 of 6 runs failed(.|\n)*process of this row died"):
        table = run_grid(grid, store, callback=lambda *epochs: calls.append(epochs))
    assert table["pruner"][table["error"].notna()].tolist() == ["random", "random"]
    assert table["weak"].notna().sum() == 4
    assert sum(line.endswith("failed") for line in format_report(table).split("\n")) == 2
    assert SeekDisplay(table).plot().ax_.get_title() == "relu, depth 5, width 12"
    assert calls[-1] == (18, 18)
    assert len(calls) == 6


def test_an_interrupted_run_keeps_what_it_has(store):
    def stop(*epochs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_grid(TINY_GRID, store, callback=stop)
    assert list(store.states().values()) == ["done"]
    assert len(run_grid(TINY_GRID, store)) == 2


def test_blocks_of_a_file_share_the_keys_above(tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text("seeds = [0, 1]\nrounds = 2\n[[grid]]\nrounds = 3\n[[grid]]\nwidths = 50\n")
    first, second = load_grid(file)
    assert first == {"seeds": [0, 1], "rounds": 3}
    assert second == {"seeds": [0, 1], "rounds": 2, "widths": 50}


def test_a_file_may_be_one_block(tmp_path):
    file = tmp_path / "grid.toml"
    for text in ("seeds = 5", "[grid]\nseeds = 5", "[[grid]]\nseeds = 5"):
        file.write_text(text)
        assert load_grid(file) == [{"seeds": 5}]


@pytest.mark.parametrize("text", ["seeds = [", "seeds", "\xff"])
def test_what_is_no_toml_is_named(text, tmp_path):
    file = tmp_path / "grid.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"grid.toml' cannot be read as TOML"):
        load_grid(file)


@pytest.mark.parametrize("text", ["grid = 5", "grid = [5]"])
def test_products_are_tables(text, tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"a value named 'grid'; begin products by \[\[grid\]\]"):
        load_grid(file)


def test_the_example_has_as_many_rows_as_it_says():
    plan = plan_grid(load_grid("example.toml"))
    assert f"These are {len(plan)} rows" in GRIDS["example.toml"].read_text()


def test_grids_that_come_with_the_package_are_found_unless_there_is_such_a_file(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for block in load_grid("plant-n-seek.toml"):
        assert len(plan_grid(block | {"seeds": 0, "depths": 5, "widths": 100})) >= 20
    (tmp_path / "plant-n-seek.toml").write_text("seeds = 5")
    assert load_grid("plant-n-seek.toml") == [{"seeds": 5}]
    with pytest.raises(ValueError, match=r"Grids that come with .* are cubist-spiral.toml, ex"):
        load_grid("plant.toml")
