"""The seek benchmark: its rows and their measurements."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_tickets.benchmark import COLUMNS, DEFAULT, PRUNERS, seek
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import (
    make_strong_scorer,
    sparse_neg_mean_squared_error,
    strong_neg_mean_squared_error,
    ticket_chance_level,
    ticket_overlap_score,
)
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
)

GENERATOR = PlantedTicketGenerator("relu", width=12, random_state=3)
CLASSIC = ("random", "magnitude", "snip", "grasp", "synflow")
TINY = {"n_samples": 200, "n_rounds": 2, "round_epochs": 1, "final_epochs": 2}


@pytest.fixture(scope="module")
def table():
    """All classic pruners, on one small problem."""
    return seek(GENERATOR, pruners=CLASSIC, densities=[0.3, "ticket"], **TINY)


def row_of(table, pruner, mode, density):
    """The one row of that name."""
    rows = table[(table["pruner"] == pruner) & (table["mode"] == mode)]
    return rows[np.isclose(rows["density"], density)].squeeze()


def test_columns_are_the_documented_ones_in_order(table):
    expected = "task depth width seed pruner mode trained_from epochs density n_kept metric"
    expected += " strong strong_raw weak overlap chance effective_density collapsed seconds"
    assert tuple(table.columns) == COLUMNS == tuple(expected.split())
    assert table["collapsed"].dtype == bool
    assert not table.isna().any(axis=None)


def test_references_come_first_then_each_density(table):
    ticket = GENERATOR.generate(1).mask
    searched = [
        ("random", "single"),
        ("random", "multi"),
        ("magnitude", "single"),
        ("magnitude", "multi"),
        ("snip", "single"),
        ("snip", "multi"),
        ("grasp", "single"),
        ("grasp", "multi"),
        ("synflow", "single"),
        ("synflow", "multi"),
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
        ("magnitude", "multi", IterativeMagnitudePruner(planted.make_net(), **settings, **rounds)),
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


def test_rows_do_not_depend_on_what_else_is_run(table):
    alone = seek(GENERATOR, pruners=["grasp"], densities=[0.3], **TINY).iloc[-1]
    assert alone.drop("seconds").equals(row_of(table, "grasp", "multi", 0.3).drop("seconds"))


def test_a_seed_is_drawn_and_recorded_if_none_is_given():
    generator = PlantedTicketGenerator("relu", width=12)
    drawn = seek(generator, pruners=[], **TINY)
    generator.set_params(random_state=int(drawn["seed"][0]))
    again = seek(generator, pruners=[], **TINY)
    pd.testing.assert_frame_equal(drawn.drop(columns="seconds"), again.drop(columns="seconds"))


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pruners": ["snap"]}, "unknown name 'snap'; did you mean 'snip'"),
        ({"pruners": "no.such:Pruner"}, "'no.such:Pruner', which cannot be imported"),
        ({"pruners": "tests.test_seek:seek"}, "cannot be set up .AttributeError"),
        (
            {"pruners": {"own": lambda net, **_: net}},
            "'own', which makes a NeuralNetRegressor and no pruner",
        ),
        ({"pruners": {"own": partial(SNIPPruner, scop=1)}}, "'own', which cannot be set up"),
        ({"pruners": {"own": partial(SNIPPruner, scope="all")}}, "The 'scope' parameter of SNIP"),
        ({"pruners": {"planted": RandomPruner}}, "the name .planted. of a reference; choose"),
        ({"densities": []}, "densities is empty, .* or pruners=.. for the references alone"),
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


# Pruners with one mode: what is trained from where, and for how many epochs. The budget is two
# rounds of one epoch, and two epochs for the ticket.
OTHERS = {
    "rewinding": ("multi", "sparse net", 4),
    "second-order": ("multi", "sparse net", 4),
    "annealing": ("learned", "strong", 1),
    "imp": ("multi", "weak", 4),
    "rigl": ("learned", "weak", 4),
    "continuous": ("learned", "weak", 4),
    "edge-popup": ("learned", "strong", 2),
    "stochastic": ("learned", "weak", 4),
    "hard-concrete": ("learned", "weak", 4),
    "gem-miner": ("learned", "strong", 2),
    "bernoulli": ("learned", "strong", 2),
    "concrete": ("learned", "weak", 4),
    "genetic": ("learned", "strong", 0),
}


def test_every_pruner_is_tested():
    assert {*CLASSIC, *OTHERS} == set(PRUNERS)
    assert set(DEFAULT) <= set(PRUNERS)


@pytest.mark.filterwarnings("ignore:The mask did not move")
@pytest.mark.parametrize("name", OTHERS)
def test_others_take_part_if_they_are_named(name, monkeypatch):
    if name == "annealing":
        pytest.importorskip("numba")
    # A hundred generations take longer than all the others together.
    brief = partial(PRUNERS["genetic"], min_generations=1, max_generations=2)
    monkeypatch.setitem(PRUNERS, "genetic", brief)
    row = seek(GENERATOR, pruners=[name], densities=[0.3], **TINY).iloc[-1]
    assert (row["mode"], row["trained_from"], row["epochs"]) == OTHERS[name]
    assert (row["weak"] == row["strong"]) == (row["trained_from"] == "strong")
    n_parameters = GENERATOR.generate(1).mask.n_parameters
    assert row["n_kept"] == round(0.3 * n_parameters)
    assert np.isfinite(row["weak"])


def test_annealing_without_numba_is_named(monkeypatch):
    monkeypatch.setattr("sklearn_tickets.benchmark._pruners._HAS_NUMBA", False)
    with pytest.raises(ValueError, match=r"'annealing', .*needs Numba, pip install 'sklearn-tick"):
        seek(GENERATOR, pruners="annealing", **TINY)


@pytest.mark.parametrize(
    ("own", "modes"),
    [
        (SNIPPruner, ["single", "multi"]),
        (partial(SNIPPruner, round_epochs=3), ["multi"]),
        (partial(SNIPPruner, train_ticket=False), ["single", "multi"]),
        (EdgePopupPruner, ["learned"]),
        (partial(EdgePopupPruner, train_ticket=True), ["learned"]),
    ],
)
def test_what_a_pruner_is_follows_from_the_pruner(own, modes):
    is_strong = not own(GENERATOR.generate(1).make_net()).train_ticket
    # A name tells nothing, even if it is one of the library's.
    rows = seek(GENERATOR, pruners={"magnitude": own}, densities=[0.3], **TINY)[5:]
    assert rows["mode"].tolist() == modes
    assert set(rows["trained_from"]) == {"strong" if is_strong else "weak"}


@pytest.mark.filterwarnings("ignore:The mask did not move")
@pytest.mark.parametrize(
    ("own", "trained_from", "epochs"),
    [
        (LearningRateRewindingPruner, ["sparse net"], [4]),
        # Not trained in the end, but in the rounds.
        (partial(LearningRateRewindingPruner, train_ticket=False), ["sparse net"], [2]),
        (RigLPruner, ["sparse net"], [2]),
        # There is nothing to rewind after one round without training.
        (partial(SNIPPruner, rewind_epoch=None), ["weak", "sparse net"], [2, 4]),
        # Trained in rounds, rewound, and left there.
        (partial(SNIPPruner, final_epochs=0), ["strong", "strong"], [0, 2]),
    ],
)
def test_a_column_tells_what_was_trained_from_where(own, trained_from, epochs):
    rows = seek(GENERATOR, pruners={"own": own}, densities=[0.3], **TINY)[5:]
    assert rows["trained_from"].tolist() == trained_from
    assert rows["epochs"].tolist() == epochs


def test_pruners_of_ones_own_are_named_by_their_place():
    name = "sklearn_tickets.pruners:FORCEPruner"
    assert seek(GENERATOR, pruners=name, densities=[0.3], **TINY)["pruner"].tolist()[5:] == [
        name,
        name,
    ]


def test_given_masks_are_no_pruner_of_the_benchmark():
    assert GivenMaskPruner not in PRUNERS.values()


def test_table_survives_a_csv_file(table, tmp_path):
    table.to_csv(tmp_path / "seek.csv", index=False)
    read = pd.read_csv(tmp_path / "seek.csv")
    pd.testing.assert_frame_equal(read, table, check_exact=True)


def test_pruners_have_names_of_their_own_in_the_table():
    pruners = {"control": "random", "mine": "sklearn_tickets.pruners:SNIPPruner", "own": SNIPPruner}
    table = seek(GENERATOR, pruners=pruners, densities=[0.3], **TINY).query("mode == 'single'")
    assert table["pruner"].tolist() == ["control", "mine", "own"]
    mine, own = table["weak"].iloc[1:]
    assert mine == own
    with pytest.raises(ValueError, match="unknown name 'rondom'; did you mean 'random'"):
        seek(GENERATOR, pruners={"control": "rondom"}, **TINY)
