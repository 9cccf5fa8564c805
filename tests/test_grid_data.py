"""Grids on data without a planted ticket: their rows, what is refused, stores and reports."""

import pickle
import re
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import is_classifier
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_tickets.__main__ import main
from sklearn_tickets.benchmark import (
    DATA,
    GRIDS,
    SeekDisplay,
    Store,
    describe_findings,
    format_report,
    load_grid,
    plan_grid,
    run_grid,
    write_report,
)
from sklearn_tickets.benchmark._grid_problems import PlantedSpec, make_problem
from sklearn_tickets.benchmark._grid_rows import _VERSIONS
from sklearn_tickets.datasets.tasks import TASKS
from sklearn_tickets.pruners import IterativeMagnitudePruner, RandomPruner

WINE = {
    "data": "wine",
    "pruners": ["random", "snip"],
    "modes": "single",
    "densities": 0.2,
    "final_epochs": 1,
}
PLANTED = {
    "tasks": "relu",
    "widths": 12,
    "n_samples": 200,
    "pruners": ["random", "snip"],
    "modes": "single",
    "densities": ["ticket", 0.2],
    "final_epochs": 1,
}
LACKING = ["depth", "width", "noise", "n_noise_features", "scaling", "n_samples"]
PLANTED_ONLY = [name for name in PlantedSpec.AXES if name not in ("seeds", "references")]


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The table of a store with planted problems and data of both kinds."""
    grid = [PLANTED, WINE | {"data": ["wine", "diabetes"], "final_epochs": 2, "seeds": [0, 1]}]
    with Store(tmp_path_factory.mktemp("mixed") / "store.sqlite") as store:
        run_grid(grid, store)
        return store.to_frame()


# Data.


@pytest.mark.parametrize("name", DATA)
def test_data_are_split_and_their_nets_fit_them(name):
    X, X_test, y, y_test = DATA[name].load(3)
    assert len(X) == len(y)
    assert len(X_test) == len(y_test)
    assert X.dtype == X_test.dtype == np.float32
    assert y.dtype == y_test.dtype == (np.int64 if name != "diabetes" else np.float32)
    net = DATA[name].make_net(lr=0.5)
    assert (net.lr, is_classifier(net)) == (0.5, name != "diabetes")
    module = pickle.loads(pickle.dumps(DATA[name].make_net)).func and net.module()
    outputs = module(torch.from_numpy(X[:2]))
    n_outputs = {"cubist-spiral": 1, "diabetes": 1}.get(name, len(np.unique(y)))
    assert outputs.shape == (2, n_outputs)


def test_no_name_is_that_of_a_task():
    assert not set(DATA) & set(TASKS)


@pytest.mark.parametrize("name", ["digits", "wine", "breast-cancer", "diabetes"])
def test_a_quarter_is_held_out_and_the_rest_tells_the_scale(name):
    X, X_test, y, _ = DATA[name].load(0)
    assert len(X_test) == -(-(len(X) + len(X_test)) // 4)
    constant = X.std(axis=0) == 0
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(X.std(axis=0)[~constant], 1, rtol=1e-4)
    assert abs(X_test.mean(axis=0)).max() > 1e-3
    if name == "diabetes":
        np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-5)


def test_splits_are_those_of_scikit_learn_by_the_seed():
    X, y = load_digits(return_X_y=True)
    *_, expected = train_test_split(X, y, stratify=y, random_state=5)
    *_, y_test = DATA["digits"].load(5)
    np.testing.assert_array_equal(y_test, expected)
    X, y = load_diabetes(return_X_y=True)
    _, _, y, expected = train_test_split(X, y, random_state=5)
    *_, y_test = DATA["diabetes"].load(5)
    np.testing.assert_allclose(y_test, (expected - y.mean()) / y.std(), rtol=1e-5)


def test_the_spiral_is_tested_on_its_training_points_as_published():
    X, X_test, y, y_test = DATA["cubist-spiral"].load(0)
    assert X is X_test
    assert y is y_test
    assert len(X) == 50_000
    assert not np.array_equal(X, DATA["cubist-spiral"].load(1)[0])


# Rows.


def test_a_product_has_data_instead_of_planted_problems():
    plan = plan_grid(WINE | {"data": ["wine", "digits"], "seeds": [0, 1]})
    found = list(plan[["seed", "task", "pruner"]].itertuples(index=False, name=None))
    names = ["dense", "constant", "random", "snip"]
    assert found == [*product([0, 1], ["wine", "digits"], names)]
    assert plan[LACKING].isna().all(axis=None)
    assert plan.index.is_unique


def test_defaults_are_those_of_planted_problems_without_the_ticket():
    plan = plan_grid({"data": "wine"})
    assert plan["pruner"][:2].tolist() == ["dense", "constant"]
    assert set(plan["density"].dropna()) == {0.1, 0.01}


def test_keys_of_planted_rows_are_as_ever(monkeypatch):
    """They are what old stores know their rows by."""
    monkeypatch.setitem(_VERSIONS, "sklearn_tickets_version", "0")
    monkeypatch.setitem(_VERSIONS, "torch_version", "0")
    grid = {
        "tasks": ["relu", "circle"],
        "widths": 25,
        "noise": 0.02,
        "references": ["planted", "dense"],
        "pruners": ["random", {"pruner": "snip", "scope": "layer"}],
        "modes": ["single", "multi"],
        "densities": ["ticket", 0.1],
    }
    keys = plan_grid(grid).index.str[:16]
    # Those of pruners change with their parameters and defaults.
    assert keys[[0, 1, 10, 11]].tolist() == [
        "e4d42ee844dc1fec",
        "c83ae945a7357c66",
        "a8256fbdd9764d59",
        "b8bf9688f7101754",
    ]
    assert keys[[2, 3, 5, 9]].tolist() == [
        "886f47d61fb6bbc7",
        "51e754573bce1685",
        "fdf15e4f3e652b8d",
        "1308f3a5e8f6db81",
    ]


@pytest.mark.parametrize(
    "change", [{"data": "digits"}, {"seeds": 1}, {"densities": 0.3}, {"final_epochs": 2}]
)
def test_rows_are_known_by_all_that_they_depend_on(change):
    grid = WINE | {"references": []}
    assert not set(plan_grid(grid).index) & set(plan_grid(grid | change).index)


def test_defaults_are_told_from_changes_data_by_data():
    pruner = {"pruner": "snip", "estimator__lr": 0.003}
    plan = plan_grid(WINE | {"data": ["wine", "mnist1d"], "pruners": pruner, "references": []})
    assert plan["parameters"].tolist() == ["{}", '{"estimator__lr": 0.003}']


@pytest.mark.parametrize("name", DATA)
def test_a_quick_row_of_each(name, store):
    table = run_grid(WINE | {"data": name, "references": "dense", "pruners": "random"}, store)
    assert table["error"].isna().all()
    assert table["metric"].tolist() == 2 * ["mse" if name == "diabetes" else "accuracy"]
    assert table["weak"].between(0, 2).all()
    assert table[[*LACKING, "overlap", "chance"]].isna().all(axis=None)
    sizes = [(p.ndim, p.numel()) for p in DATA[name].make_net().module().parameters()]
    n_weights = sum(size for n_axes, size in sizes if n_axes > 1)
    assert table["n_kept"].tolist() == [sum(size for _, size in sizes), round(n_weights / 5)]


def test_rows_are_what_the_pruners_give_by_hand(store):
    pruner = {"pruner": "imp", "scope": "layer", "prune_bias": True}
    grid = {"data": "diabetes", "seeds": 2, "pruners": pruner, "densities": 0.25, "references": []}
    table = run_grid(grid | {"rounds": 2, "epochs": 3, "final_epochs": 4}, store)
    X, X_test, y, y_test = DATA["diabetes"].load(2)
    settings = {"scope": "layer", "prune_bias": True, "n_rounds": 2, "round_epochs": 3}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    by_hand = IterativeMagnitudePruner(
        DATA["diabetes"].make_net(), sparsity=0.75, final_epochs=4, random_state=2, **settings
    ).fit(X, y)
    torch.set_num_threads(threads)
    error = mean_squared_error(y_test, by_hand.predict(X_test))
    assert table["weak"].item() == pytest.approx(error)
    assert table["n_kept"].item() == by_hand.mask_.n_kept


def test_references_are_what_they_are_called(store):
    dense, constant = run_grid(WINE | {"pruners": [], "final_epochs": 20}, store).to_dict("records")
    assert (dense["density"], dense["effective_density"]) == (1, 1)
    assert dense["weak"] > 0.9
    assert (constant["n_kept"], constant["collapsed"]) == (3, True)
    _, _, _, y_test = DATA["wine"].load(0)
    assert constant["weak"] in np.bincount(y_test) / len(y_test)


def test_random_streams_are_left_alone(store):
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    run_grid(WINE, store)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


# What is refused.


@pytest.mark.parametrize("axis", [name for name in PLANTED_ONLY if name != "densities"])
def test_axes_of_planted_problems_are_refused_beside_data(axis):
    message = f"grid has the key '{axis}' beside 'data', which only planted problems have; leave it"
    with pytest.raises(ValueError, match=message):
        plan_grid(WINE | {axis: PlantedSpec.AXES[axis]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "digit"}, "data has the unknown name 'digit'; did you mean 'digits'? Known are"),
        ({"data": ["wine", "breast_cancer"]}, "did you mean 'breast-cancer'?"),
        ({"data": [["wine"]]}, "data has the unknown name ['wine']"),
        ({"data": 3}, "data has the unknown name 3"),
        ({"data": []}, "data is empty, so that no pruner would run"),
        ({"dat": "wine"}, "grid has the unknown name 'dat'; did you mean 'data'?"),
        ({"references": "planted"}, "references contains 'planted', but no ticket is planted in"),
        (
            {"references": ["dense", "scaled"]},
            "use 'dense', 'constant' or, as a control, the pruner",
        ),
        ({"references": "shuffled"}, "references contains 'shuffled', but no ticket is planted"),
        ({"references": "dens"}, "did you mean 'dense'?"),
        (
            {"densities": [0.1, "ticket"]},
            "densities contains 'ticket', but no ticket is planted in",
        ),
        ({"densities": [0.1, 2]}, "densities contains 2; pass fractions"),
        ({"densities": []}, "densities is empty"),
        ({"seeds": -1}, "seeds must be an integer of at least 0; got -1"),
        ({"seeds": 2**32}, "seeds must be less than 2**32; got 4294967296"),
        ({"pruners": {"pruner": "snip", "lr": 1}}, "pruner 'snip' has the unknown name 'lr'"),
    ],
)
def test_what_cannot_run_is_named_before_anything_runs(change, message, store, monkeypatch):
    monkeypatch.setattr(RandomPruner, "fit", None)
    with pytest.raises(ValueError, match=re.escape(message)):
        run_grid([WINE, WINE | change], store)
    assert store.states() == {}


def test_a_missing_extra_is_named_before_anything_runs(store, monkeypatch):
    make_problem.cache_clear()
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    message = r"data contains 'mnist1d', which cannot be loaded here: .* pip install '.*\[data\]'"
    with pytest.raises(ValueError, match=message):
        run_grid([WINE, WINE | {"data": "mnist1d"}], store)
    assert store.states() == {}


def test_keys_that_are_shared_by_a_file_are_refused_as_well(tmp_path, capsys):
    file = tmp_path / "grid.toml"
    file.write_text('n_samples = 500\n[[grid]]\ntasks = "relu"\n[[grid]]\ndata = "wine"\n')
    with pytest.raises(SystemExit):
        main(["grid", str(file), "--dry-run"])
    assert "'n_samples' beside 'data'" in " ".join(capsys.readouterr().err.split())


# Stores.


def test_interrupted_runs_go_on(store):
    def stop(*epochs):
        raise KeyboardInterrupt

    grid = [WINE | {"seeds": [0, 1]}, PLANTED]
    for n_done in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run_grid(grid, store, callback=stop)
        assert list(store.states().values()) == n_done * ["done"]
    table = run_grid(grid, store)
    assert len(table) == len(store.to_frame()) == len(plan_grid(grid))


def test_workers_give_the_same_table(mixed, tmp_path):
    grid = WINE | {"data": ["wine", "diabetes"], "final_epochs": 2, "seeds": [0, 1]}
    with Store(tmp_path / "store.sqlite") as store:
        table = run_grid(grid, store, n_jobs=2)
    expected = mixed.loc[table.index].drop(columns=["seconds", "scaling"])
    pd.testing.assert_frame_equal(
        table.drop(columns=["seconds", "scaling"]), expected, check_exact=True
    )


def test_types_do_not_depend_on_the_problems(mixed):
    is_planted = mixed["depth"].notna()
    assert is_planted.sum() == 9
    for rows in (mixed, mixed[is_planted], mixed[~is_planted]):
        assert rows.dtypes[["depth", "width", "n_samples"]].tolist() == 3 * [pd.Int64Dtype()]
        assert rows.dtypes[["overlap", "chance", "noise"]].tolist() == 3 * [float]


# Reports.


@pytest.fixture(scope="module")
def report_of(tmp_path_factory):
    """Write a report of a table as Markdown, and return its text."""
    path = tmp_path_factory.mktemp("report") / "report.md"

    def report(table):
        write_report(table, path)
        return path.read_text()

    return report


def test_reports_say_on_which_data_quality_is_measured(mixed, report_of):
    text = report_of(mixed)
    assert text.startswith("# Who finds the planted ticket?\n\n2 methods, 1 planted problem, 2 d")
    headings = re.findall(r"^### (.*)\n\nThe (.* data) of", text, re.MULTILINE)
    assert headings == [
        ("relu, depth 5, width 12", "mean squared error on noisy held-out data"),
        ("wine", "accuracy on test data"),
        ("diabetes", "mean squared error on test data"),
    ]
    assert "Without the planted ticket" not in text
    assert "Without methods" not in text
    assert text.count("The planted ticket, at") == 1
    assert "nan" not in text
    assert "<NA>" not in text


def test_reports_of_data_alone_do_not_ask_for_a_ticket(mixed, report_of, tmp_path):
    table = mixed[mixed["depth"].isna()]
    text = report_of(table)
    assert text.startswith("# Which pruner finds the best networks?\n\n2 methods, 2 data sets")
    assert "ranks best" in text
    assert "- final_epochs: 2" in text
    assert "- noise:" not in text
    assert "the planted ticket" not in text.partition("## Problem by problem")[0]
    write_report(table, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "planted ticket, untrained" not in page
    assert "Accuracy on test data against density" in page


def test_tables_and_plots_name_data_without_sizes(mixed):
    text = format_report(mixed)
    assert "\n\nwine, seed 1: accuracy on test data\n\n" in text
    assert text.startswith("relu, depth 5, width 12, seed 0: mean squared error on noisy held-out")
    wine = mixed[mixed["task"] == "wine"]
    ax = SeekDisplay(wine).plot().ax_
    assert (ax.get_title(), ax.get_ylabel()) == ("wine", "accuracy on test data")
    with pytest.raises(ValueError, match="table has 3 combinations"):
        SeekDisplay(mixed).plot()


def test_tables_of_plain_objects_are_the_same(mixed):
    plain = mixed.astype(object).where(mixed.notna(), None)
    assert format_report(plain.infer_objects()) == format_report(mixed)
    wine = plain[plain["task"] == "wine"]
    assert SeekDisplay(wine).plot().ax_.get_title() == "wine"


def test_findings_need_a_planted_ticket(mixed):
    wine = mixed[(mixed["task"] == "wine") & (mixed["seed"] == 0)]
    with pytest.raises(ValueError, match=r"no planted ticket .* use `format_report` or"):
        describe_findings(wine)


def test_a_width_without_a_depth_is_refused(mixed, report_of):
    with pytest.raises(ValueError, match="column 'width' of frame contains"):
        report_of(mixed.assign(depth=None))


# Grids that come with the package.


@pytest.mark.parametrize(
    "name", ["cubist-spiral.toml", "mnist1d.toml", "mnist1d-pruners.toml", "real-data.toml"]
)
def test_shipped_grids_have_as_many_rows_as_they_say(name):
    plan = plan_grid(load_grid(name))
    assert f"{len(plan)} rows" in " ".join(GRIDS[name].read_text().replace("#", "").split())
    assert plan["seed"].nunique() >= 3
    assert {"random", "dense"} <= set(plan["pruner"])


def test_pruners_of_real_data_have_their_defaults():
    plan = plan_grid(load_grid("real-data.toml"))
    assert set(plan["parameters"]) == {"{}", '{"train_ticket": false}'}


def test_listings_leave_out_columns_without_values(capsys):
    assert main(["grid", "cubist-spiral.toml", "--dry-run"]) == 0
    head, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["state", "seed", "task", "pruner", "mode", "density", "parameters"]
