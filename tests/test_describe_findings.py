"""The seek table in three lines."""

import pandas as pd
import pytest

from sklearn_tickets.benchmark import describe_findings

COLUMNS = ["pruner", "mode", "trained_from", "n_kept", "strong", "weak", "overlap", "chance"]
PROBLEM = {"task": "circle", "depth": 5, "width": 100, "seed": 0, "metric": "accuracy"}
ROWS = [
    ("planted", "given", "weak", 130, 0.987, 0.882, 1, 0.1),
    ("random", "single", "weak", 130, 0.152, 0.152, 0.01, 0.01),
    ("random", "multi", "weak", 130, 0.2, 0.16, 0, 0.01),
    ("snip", "multi", "weak", 130, 0.3, 0.934, 0.04, 0.01),
    ("snip", "multi", "weak", 209, 0.9, 0.999, 0.04, 0.01),
    ("rewinding", "multi", "sparse net", 130, 0.4, 0.978, 0.02, 0.015),
    ("annealing", "learned", "strong", 130, 0.96, 0.96, 0.03, 0.01),
]
TABLE = pd.DataFrame(ROWS, columns=COLUMNS).assign(**PROBLEM)
TABLE["density"] = TABLE["n_kept"] / 20_904


def test_lines_say_who_is_nearest_how_near_and_how_much_of_the_truth_is_found():
    assert describe_findings(TABLE).splitlines() == [
        "With 130 parameters, as many as planted: best sparse net rewinding, 0.978; "
        "best weak ticket snip, 0.934; best strong ticket annealing, 0.960.",
        "Nearest is rewinding, 0.009 below the planted ticket (0.987) and 0.778 above the best "
        "random mask (0.200): as good as planted.",
        "Overlap with the planted mask: rewinding 0.020 (chance 0.015), at most 0.040 (snip, "
        "chance 0.010); 2 of 5 masks share more than twice the chance level.",
    ]


def test_it_is_said_if_nobody_is_near():
    lines = describe_findings(TABLE[TABLE["pruner"] != "rewinding"]).splitlines()
    assert "best sparse net" not in lines[0]
    assert lines[1].startswith("Nearest is annealing, 0.027 below the planted ticket (0.987)")
    assert lines[1].endswith(": none is as good as planted.")


def with_reference(name, strong, weak):
    """The table with one more reference."""
    return pd.concat([TABLE, TABLE[:1].assign(pruner=name, strong=strong, weak=weak)])


def test_the_better_control_is_named():
    second = describe_findings(with_reference("constant", 0.434, 0.434)).splitlines()[1]
    assert "0.544 above the constant network (0.434): as good" in second
    second = describe_findings(with_reference("constant", 0.1, 0.1)).splitlines()[1]
    assert "0.778 above the best random mask (0.200): as good" in second


def test_the_ticket_counts_as_trained_with_its_scale_if_that_is_better():
    second = describe_findings(with_reference("scaled", 0.987, 0.995)).splitlines()[1]
    assert second.startswith("Nearest is rewinding, 0.017 below the planted ticket (0.995)")
    assert second.endswith(": none is as good as planted.")


def test_errors_are_compared_by_factors():
    errors = TABLE.assign(metric="mse", strong=1 - TABLE["strong"], weak=1 - TABLE["weak"])
    assert describe_findings(errors).splitlines()[1] == (
        "Nearest is rewinding, with 1.7 times the error of the planted ticket (1.3e-02) and with "
        "0.028 times the error of the best random mask (8.0e-01): none is as good as planted."
    )


def test_the_density_nearest_to_the_planted_one_counts():
    other = TABLE[(TABLE["n_kept"] == 209) | (TABLE["mode"] == "given")]
    first = describe_findings(other).splitlines()[0]
    assert first.startswith("With 209 parameters, where 130 are planted: best weak ticket snip,")


def test_failed_runs_do_not_count():
    has_run = TABLE["pruner"] != "rewinding"
    failed = TABLE.assign(**{name: TABLE[name].where(has_run) for name in ("weak", "strong")})
    assert "rewinding" not in describe_findings(failed)
    assert describe_findings(TABLE[TABLE["mode"] == "given"]) == "No pruner has a result."


def test_masks_of_whole_units_count_although_they_are_smaller():
    n_kept = TABLE["n_kept"].where(TABLE["pruner"] != "rewinding", 121)
    first = describe_findings(TABLE.assign(n_kept=n_kept)).splitlines()[0]
    assert first.startswith("With 121 to 130 parameters, where 130 are planted: best sparse net r")


def test_a_strong_ticket_may_be_the_nearest():
    better = TABLE.assign(strong=TABLE["strong"].where(TABLE["pruner"] != "annealing", 0.99))
    second = describe_findings(better).splitlines()[1]
    assert second.startswith("Nearest is annealing, 0.003 above the planted ticket (0.987)")


def test_random_masks_are_not_compared_with_themselves():
    random = TABLE[TABLE["pruner"].isin(["planted", "random"])]
    second = describe_findings(random).splitlines()[1]
    assert second.startswith(
        "Nearest is random (multi), 0.787 below the planted ticket (0.987): none"
    )


def test_a_planted_ticket_without_a_result():
    lost = TABLE.assign(
        **{n: TABLE[n].where(TABLE["pruner"] != "planted") for n in ("weak", "strong")}
    )
    assert describe_findings(lost) == "No planted ticket has a result."


def test_one_problem_and_its_planted_ticket_are_needed():
    with pytest.raises(ValueError, match="several problems; select those of one"):
        describe_findings(pd.concat([TABLE, TABLE.assign(seed=1)]))
    with pytest.raises(ValueError, match="no planted ticket to compare with"):
        describe_findings(TABLE[1:])
