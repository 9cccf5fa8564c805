"""The seek benchmark: its rows, its measurements, its report and its plot."""

from functools import partial

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgba
from sklearn.exceptions import FitFailedWarning

from sklearn_tickets.benchmark import COLUMNS, DEFAULT, PRUNERS, SeekDisplay, format_report, seek
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import (
    make_strong_scorer,
    sparse_neg_mean_squared_error,
    strong_neg_mean_squared_error,
    ticket_chance_level,
    ticket_overlap_score,
)
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, RandomPruner, SNIPPruner

matplotlib.use("agg")

GENERATOR = PlantedTicketGenerator("relu", width=12, random_state=3)
TINY = {"n_samples": 200, "n_rounds": 2, "round_epochs": 1, "final_epochs": 2}


class BrokenPruner(RandomPruner):
    """Fails in single mode only."""

    def fit(self, X, y=None):
        if self.n_rounds == 1:
            raise RuntimeError("no luck today")
        return super().fit(X, y)


@pytest.fixture(scope="module")
def table():
    """Everything, on one small problem."""
    return seek(GENERATOR, densities=[0.3, "ticket"], **TINY)


def row_of(table, pruner, mode, density):
    """The one row of that name."""
    rows = table[(table["pruner"] == pruner) & (table["mode"] == mode)]
    return rows[np.isclose(rows["density"], density)].squeeze()


# Rows ---------------------------------------------------------------------------------


def test_columns_are_the_documented_ones_in_order(table):
    expected = "task depth width seed pruner mode density n_kept metric strong strong_raw weak"
    expected += " overlap chance effective_density collapsed seconds"
    assert tuple(table.columns) == COLUMNS == tuple(expected.split())
    assert table["collapsed"].dtype == bool
    assert not table.isna().any(axis=None)


def test_references_come_first_then_each_density(table):
    ticket = GENERATOR.generate(1).mask
    searched = [
        *[("random", "single"), ("random", "multi"), ("magnitude", "single"), ("imp", "multi")],
        *[("snip", "single"), ("snip", "multi"), ("grasp", "single"), ("grasp", "multi")],
        *[("synflow", "single"), ("synflow", "multi")],
    ]
    names = ["planted", "dense", "scaled", "shuffled", "constant"]
    expected = [(name, "given") for name in names] + 2 * searched
    assert list(table[["pruner", "mode"]].itertuples(index=False, name=None)) == expected
    assert table["density"][5:].tolist() == 10 * [0.3] + 10 * [ticket.density]
    assert table["n_kept"][5:].tolist() == 10 * [round(0.3 * ticket.n_parameters)] + 10 * [4]
    assert set(table["seed"]) == {3}
    assert set(table["metric"]) == {"mse"}


def test_references_measure_what_they_are_called(table):
    planted, dense, scaled, shuffled, constant = (table.iloc[i] for i in range(5))
    assert (planted["overlap"], planted["n_kept"], planted["collapsed"]) == (1, 4, False)
    assert planted["strong"] < 3e-4 < planted["strong_raw"]
    assert scaled["strong_raw"] < 3e-4
    assert (dense["density"], dense["effective_density"]) == (1, 1)
    assert shuffled["n_kept"] == 4
    assert shuffled["chance"] == planted["chance"]
    assert (constant["n_kept"], constant["collapsed"], constant["effective_density"]) == (
        1,
        True,
        0,
    )


def test_scaled_reference_is_left_out_if_the_scale_is_one():
    generator = PlantedTicketGenerator("relu", width=12, scaling="trainable", random_state=0)
    names = seek(generator, pruners=[], **TINY)["pruner"]
    assert names.tolist() == ["planted", "dense", "shuffled", "constant"]


def test_rows_are_what_the_pruners_give_by_hand(table):
    planted = GENERATOR.generate(200)
    X, y = planted.X[:180], planted.y[:180]
    test = planted.X[180:], planted.y[180:]
    raw = make_strong_scorer("neg_mean_squared_error", rescale=False)
    settings = {"sparsity": 0.7, "prune_bias": True, "final_epochs": 2, "random_state": 3}
    rounds = {"n_rounds": 2, "round_epochs": 1}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, mode, pruner in [
        ("snip", "single", SNIPPruner(planted.make_net(), **settings)),
        ("snip", "multi", SNIPPruner(planted.make_net(), **settings, **rounds)),
        # Magnitude pruning in rounds is iterative magnitude pruning.
        ("imp", "multi", MagnitudePruner(planted.make_net(), **settings, **rounds)),
    ]:
        pruner.fit(X, y)
        row = row_of(table, name, mode, 0.3)
        assert row["strong"] == -strong_neg_mean_squared_error(pruner, *test)
        assert row["strong_raw"] == -raw(pruner, *test)
        assert row["weak"] == -sparse_neg_mean_squared_error(pruner, *test)
        assert row["overlap"] == ticket_overlap_score(planted.mask, pruner.mask_)
        assert row["chance"] == ticket_chance_level(planted.mask, pruner.mask_)
    torch.set_num_threads(threads)


def test_classification_is_measured_in_accuracy():
    generator = PlantedTicketGenerator("circle", width=25, random_state=0)
    circle = seek(generator, 1000, pruners="random", densities=[1.0], round_epochs=0)
    planted, dense = circle.iloc[0], circle.iloc[1]
    assert planted["metric"] == "accuracy"
    assert planted["strong"] > 0.9 > planted["strong_raw"]
    # At density 1, nothing is pruned: the dense network once more.
    for mode in ("single", "multi"):
        assert row_of(circle, "random", mode, 1)["weak"] == dense["weak"]


# Running ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_table_does_not_depend_on_n_jobs(table, n_jobs):
    again = seek(GENERATOR, densities=[0.3, "ticket"], n_jobs=n_jobs, **TINY)
    pd.testing.assert_frame_equal(
        table.drop(columns="seconds"), again.drop(columns="seconds"), check_exact=True
    )


def test_rows_do_not_depend_on_what_else_is_run(table):
    alone = seek(GENERATOR, pruners=["grasp"], densities=[0.3], **TINY).iloc[-1]
    assert alone.drop("seconds").equals(row_of(table, "grasp", "multi", 0.3).drop("seconds"))


def test_a_seed_is_drawn_and_recorded_if_none_is_given():
    generator = PlantedTicketGenerator("relu", width=12)
    drawn = seek(generator, pruners=[], **TINY)
    generator.set_params(random_state=int(drawn["seed"][0]))
    again = seek(generator, pruners=[], **TINY)
    pd.testing.assert_frame_equal(drawn.drop(columns="seconds"), again.drop(columns="seconds"))


def test_global_state_is_left_alone():
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), torch.get_num_threads()
    seek(GENERATOR, pruners=["random"], densities=[0.5], **TINY)
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]


def test_fits_see_the_training_data_only():
    seen = []

    class Spy(RandomPruner):
        def fit(self, X, y=None):
            seen.append((X, y))
            return super().fit(X, y)

    seek(GENERATOR, pruners={"spy": Spy}, densities=[0.5], **TINY)
    planted = GENERATOR.generate(200)
    assert len(seen) == 2
    for X, y in seen:
        assert np.array_equal(X, planted.X[:180])
        assert np.array_equal(y, planted.y[:180])


def test_own_pruners_take_part_by_name():
    few = partial(SNIPPruner, n_score_samples=20)
    own = seek(GENERATOR, pruners={"snip-20": few}, densities=[0.3], **TINY)
    assert own["pruner"].tolist()[5:] == ["snip-20", "snip-20"]


def test_a_failed_run_is_reported_and_spares_the_others():
    with pytest.warns(FitFailedWarning, match=r"1 of 9 runs failed(.|\n)*broken(.|\n)*no luck"):
        broken = seek(
            GENERATOR,
            pruners={"broken": BrokenPruner, "random": RandomPruner},
            densities=[0.3],
            **TINY,
        )
    failed = broken[broken["weak"].isna()].squeeze()
    assert (failed["pruner"], failed["mode"], failed["metric"]) == ("broken", "single", "mse")
    assert row_of(broken, "broken", "multi", 0.3)["weak"] > 0
    assert "failed" in format_report(broken)
    SeekDisplay(broken).plot()


def test_callback_counts_training_epochs():
    calls = []
    seek(
        GENERATOR,
        pruners=["snip"],
        densities=[0.3],
        callback=lambda *progress: calls.append(progress),
        **TINY,
    )
    # Six runs of two epochs, and one that trains two rounds of one epoch before.
    assert calls == [(done, 16) for done in (4, 6, 8, 10, 12, 14, 16)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pruners": ["snap"]}, "'snap'; choose from random, magnitude, imp"),
        ({"densities": [0]}, "contains 0; pass fractions"),
        ({"densities": [1.5]}, "contains 1.5; pass fractions"),
        ({"densities": ["all"]}, "contains 'all'; pass fractions"),
        ({"n_samples": 99}, "n_samples must be an integer of at least 100; got 99"),
        ({"n_rounds": 0}, "n_rounds must be an integer of at least 1; got 0"),
        ({"round_epochs": -1}, "round_epochs must be an integer of at least 0; got -1"),
        ({"final_epochs": 1.5}, "final_epochs must be an integer of at least 1; got 1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        seek(GENERATOR, **TINY | arguments)


def test_densities_that_come_twice_are_run_once():
    ticket = GENERATOR.generate(1).mask.density
    twice = seek(GENERATOR, pruners=["imp"], densities=["ticket", ticket, "ticket"], **TINY)
    assert (twice["pruner"] == "imp").sum() == 1


@pytest.mark.parametrize("name", [name for name in PRUNERS if name not in DEFAULT])
def test_others_take_part_if_they_are_named(name, monkeypatch):
    # A hundred generations take longer than all the others together.
    brief = partial(PRUNERS["genetic"], min_generations=1, max_generations=2)
    monkeypatch.setitem(PRUNERS, "genetic", brief)
    row = seek(GENERATOR, pruners=[name], densities=[0.3], **TINY).iloc[-1]
    assert (row["pruner"], row["mode"]) == (name, "learned")
    n_parameters = GENERATOR.generate(1).mask.n_parameters
    assert row["n_kept"] == round(0.3 * n_parameters)
    assert np.isfinite(row["weak"])


def test_given_masks_are_no_pruner_of_the_benchmark():
    assert GivenMaskPruner not in PRUNERS.values()


# Reading ------------------------------------------------------------------------------


def test_table_survives_a_csv_file(table, tmp_path):
    table.to_csv(tmp_path / "seek.csv", index=False)
    read = pd.read_csv(tmp_path / "seek.csv")
    pd.testing.assert_frame_equal(read, table, check_exact=True)


def test_report_shows_every_row_in_plain_aligned_text(table):
    lines = format_report(table).split("\n")
    assert lines[0].startswith("relu, depth 5, width 12, seed 3: mean squared error")
    assert max(map(len, lines)) <= 120
    assert all(line.isascii() for line in lines)
    head, blank, *body = lines[2:]
    assert head.split()[:4] == ["pruner", "mode", "density", "kept"]
    assert blank == ""
    blocks = "\n".join(body).split("\n\n")
    assert [len(block.split("\n")) for block in blocks[:3]] == [5, 10, 10]
    end = head.index("weak") + len("weak")
    for line in "\n".join(blocks[:3]).split("\n"):
        assert float(line[:end].split()[-1]) > 0
        assert line[end : end + 1] == " "
    assert sum(line.endswith("collapsed") for line in body) == table["collapsed"].sum()


def test_report_gives_every_problem_a_part(table):
    report = format_report(pd.concat([table, table.assign(seed=4)]))
    assert report.count("pruner ") == 2
    assert "seed 3" in report
    assert "seed 4" in report


def test_display_marks_collapsed_points_and_shares_the_axis_of_the_user(table):
    axes = matplotlib.figure.Figure().subplots()
    display = SeekDisplay(table)
    assert display.plot(ax=axes) is display
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    points = [face for line in axes.collections for face in line.get_facecolors()]
    hollow = sum(np.array_equal(face, to_rgba("white")) for face in points)
    # One more is the star of the untrained ticket.
    assert hollow == table.loc[table["mode"] != "given", "collapsed"].sum() + 1
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:6] == list(DEFAULT)
    assert "planted ticket, untrained" in labels


def test_display_shows_medians_over_seeds_and_needs_no_reference(table):
    rows = table[table["pruner"] == "random"]
    brighter = rows.assign(seed=4, weak=rows["weak"] + 2)
    axes = SeekDisplay(pd.concat([rows, brighter])).plot().ax_
    single = rows[rows["mode"] == "single"].sort_values("density")
    assert any(np.allclose(line.get_ydata(), single["weak"] + 1) for line in axes.get_lines())


def test_display_refuses_to_mix_problems(table):
    with pytest.raises(ValueError, match="2 combinations of task, depth and width"):
        SeekDisplay(pd.concat([table, table.assign(width=13)])).plot()
