"""A ticket beside the dense network and its controls."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.inspection import (
    gradient_flow,
    instability_analysis,
    sparse_flops,
    ticket_report,
)
from sklearn_tickets.inspection._report import _controls, _summary
from sklearn_tickets.metrics import ticket_overlap_score
from sklearn_tickets.pruners import (
    GivenMaskPruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    RandomPruner,
)
from tests.instances import instances

PLANTED = PlantedTicketGenerator("circle", width=50, depth=3, random_state=0).generate(300)
X, X_TEST, Y, Y_TEST = train_test_split(PLANTED.X, PLANTED.y, random_state=0)
NET = PLANTED.make_net(max_epochs=2, lr=1e-2)


def report_of(pruner, **kwargs):
    return ticket_report(
        pruner, X, Y, **{"X_test": X_TEST, "y_test": Y_TEST, "random_state": 0} | kwargs
    )


@pytest.fixture(scope="module")
def ticket():
    return GivenMaskPruner(NET, PLANTED.mask, random_state=0).fit(X, Y)


@pytest.fixture(scope="module")
def report(ticket):
    return report_of(ticket, n_controls=3)


def test_rows_and_columns(report):
    assert report.index.name == "network"
    assert list(report.index) == ["dense", "weak ticket", "shuffled mask", "re-initialized"]
    intervals = [
        f"{score}{suffix}"
        for score in ("sparse_accuracy", "strong_accuracy", "raw_strong_accuracy")
        for suffix in ("", "_low", "_high")
    ]
    measures = ["n_fits", "n_kept", "density", "effective_density", "flops", "gradient_flow"]
    assert list(report.columns) == measures + intervals + ["overlap", "chance"]
    assert report["n_fits"].tolist() == [3, 1, 3, 3]
    assert report["n_kept"].dtype == report["flops"].dtype == int


def test_the_ticket_is_measured_as_fitted(ticket, report):
    row = report.loc["weak ticket"]
    assert row["n_kept"] == PLANTED.mask.n_kept
    assert row["density"] == row["effective_density"] == PLANTED.mask.density
    assert row["flops"] == sparse_flops(ticket.estimator_.module_, PLANTED.mask, X)
    assert row["gradient_flow"] == gradient_flow(ticket, X, Y)
    assert row["sparse_accuracy"] == ticket.score(X_TEST, Y_TEST)
    assert row["strong_accuracy"] == np.mean(ticket.strong_predict(X_TEST) == Y_TEST)
    raw = ticket.strong_predict(X_TEST, rescale=False)
    assert row["raw_strong_accuracy"] == np.mean(raw == Y_TEST)
    assert row["overlap"] == 1
    assert row.filter(regex="_(low|high)$").isna().all()  # of one fit


def test_controls_are_what_they_are_called(report):
    assert report.loc["dense", "flops"] == 2 * (2 * 50 + 50 * 4)
    assert report.loc["dense", "n_kept"] == PLANTED.mask.n_parameters
    assert report.loc["dense", "overlap"] == PLANTED.mask.density
    controls = report.loc[["shuffled mask", "re-initialized"]]
    assert (controls["n_kept"] == PLANTED.mask.n_kept).all()
    assert controls.loc["re-initialized", "overlap"] == 1
    chance = controls.loc["shuffled mask", "chance"]
    assert controls.loc["shuffled mask", "overlap"] == pytest.approx(chance, abs=0.1)
    # The mask on the planted weights is the ticket, and neither alone is.
    assert (controls["strong_accuracy"] < report["strong_accuracy"]["weak ticket"] - 0.2).all()


def test_intervals_hold_the_median(report):
    controls = report.drop("weak ticket")
    for score in ("sparse_accuracy", "strong_accuracy", "raw_strong_accuracy"):
        assert controls[score].between(controls[f"{score}_low"], controls[f"{score}_high"]).all()


def test_controls_start_where_the_ticket_does_and_train_as_it_does():
    settings = {"round_epochs": 1, "rewind_epoch": 1, "final_epochs": 3}
    ticket = MagnitudePruner(NET, sparsity=0.5, random_state=7, **settings).fit(X, Y)
    controls = _controls(ticket, 3)
    assert list(controls) == ["dense", "shuffled mask", "re-initialized"]
    assert all(settings.items() <= control.get_params().items() for control in controls.values())
    dense, shuffled, fresh = (control.fit(X, Y) for control in controls.values())
    for name, value in ticket.initial_state_.items():
        assert torch.equal(dense.initial_state_[name], value)
        assert torch.equal(shuffled.initial_state_[name], value)
        assert not torch.equal(fresh.initial_state_[name], value)
        permuted = fresh.initial_state_[name].ravel()
        assert torch.equal(permuted.sort().values, value.ravel().sort().values)
    assert dense.mask_.sparsity == 0
    assert fresh.mask_ == ticket.mask_ != shuffled.mask_
    assert (shuffled.mask_.summary()["n_kept"] == ticket.mask_.summary()["n_kept"]).all()
    assert len(dense.estimator_.history) == 3


def test_sparse_networks_are_told_from_weak_tickets():
    pruner = LearningRateRewindingPruner(
        NET, sparsity=0.5, n_rounds=1, round_epochs=1, final_epochs=1, random_state=0
    ).fit(X, Y)
    report = report_of(pruner, n_controls=1)
    names = ["dense", "sparse network", "weak ticket", "shuffled mask", "re-initialized"]
    assert list(report.index) == names
    weak = _controls(pruner, 0)["weak ticket"]
    assert weak.fit(X, Y).mask_ == pruner.mask_
    assert (weak.schedule, weak.final_epochs, weak.rewind_epoch) == ("one-cycle", 1, 0)


def test_controls_of_sparse_networks_without_final_epochs_are_trained():
    pruner = MagnitudePruner(
        NET, sparsity=0.5, rewind_epoch=None, round_epochs=1, final_epochs=0, random_state=0
    ).fit(X, Y)
    assert len(_controls(pruner, 0)["dense"].fit(X, Y).estimator_.history) == NET.max_epochs


def test_tickets_that_are_not_trained_are_strong():
    pruner = RandomPruner(NET, sparsity=0.5, train_ticket=False, random_state=0).fit(X, Y)
    report = report_of(pruner, n_controls=1)
    assert list(report.index) == ["dense", "strong ticket", "shuffled mask", "re-initialized"]
    assert "sparse_accuracy" not in report
    assert "strong_accuracy" in report


def test_several_fits_are_one_row_and_share_the_controls():
    pruners = [RandomPruner(NET, sparsity=0.5, random_state=seed).fit(X, Y) for seed in (1, 0, 2)]
    overlaps = [ticket_overlap_score(PLANTED.mask, pruner.mask_) for pruner in pruners]
    report = report_of(pruners, n_controls=3)
    scores = [pruner.score(X_TEST, Y_TEST) for pruner in pruners]
    row = report.loc["weak ticket"]
    assert row["n_fits"] == 3
    assert row["sparse_accuracy"] == np.median(scores)
    assert [row["sparse_accuracy_low"], row["sparse_accuracy_high"]] == [min(scores), max(scores)]
    # Each mask is re-initialized once.
    assert report.loc["re-initialized", "overlap"] == np.median(overlaps) != overlaps[0]


@pytest.mark.parametrize(
    ("n", "low", "high"), [(2, 0, 1), (5, 0, 4), (6, 0, 5), (8, 0, 7), (9, 1, 7), (20, 5, 14)]
)
def test_intervals_are_those_of_the_sign_test(n, low, high):
    # As tables have them: the 6th and the 15th of 20 values, for example.
    rows = [{"sparse_r2": float(value)} for value in np.random.RandomState(0).permutation(n)]
    summary = {"n_fits": n, "sparse_r2": (n - 1) / 2, "sparse_r2_low": low, "sparse_r2_high": high}
    assert _summary(rows) == summary


def test_regression_with_batch_normalization_and_no_planted_ticket():
    def make(n_features, n_outputs):
        hidden = nn.Sequential(nn.Linear(n_features, 6), nn.BatchNorm1d(6), nn.ReLU())
        return nn.Sequential(hidden, nn.Linear(6, n_outputs))

    inputs = np.random.RandomState(0).standard_normal((60, 3)).astype(np.float32)
    train, test = (inputs[:40], inputs[:40, :2] ** 2), (inputs[40:], inputs[40:, :2] ** 2)
    net = NeuralNetRegressor(make, train_split=None, verbose=0, max_epochs=1, batch_size=20)
    pruner = RandomPruner(net, sparsity=0.5, random_state=0).fit(*train)
    report = ticket_report(pruner, *train, X_test=test[0], y_test=test[1], n_controls=1)
    assert "overlap" not in report
    assert report.loc["dense", "flops"] == 2 * (3 * 6 + 6 * 2)
    assert report.loc["weak ticket", "sparse_r2"] == pruner.score(*test)


def test_reports_are_repeatable_and_leave_everything_as_it_was(ticket):
    module = ticket.estimator_.module_
    before = copy.deepcopy(module.state_dict())
    streams = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert report_of(ticket, n_controls=1).equals(report_of(ticket, n_controls=1))
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert (np.random.get_state()[1] == streams[1]).all()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_errors(ticket):
    pruner = RandomPruner(NET, sparsity=0.5, random_state=0)
    with pytest.raises(NotFittedError, match="RandomPruner instance is not fitted"):
        report_of(pruner)
    with pytest.raises(ValueError, match="n_controls must be at least 1; got 0"):
        report_of(ticket, n_controls=0)
    with pytest.raises(ValueError, match="empty list"):
        report_of([])
    with pytest.raises(TypeError, match=r"pruner must be a fitted pruner, .* got StandardScaler"):
        report_of(StandardScaler().fit(X))
    pruner.fit(X, Y)
    sparser = RandomPruner(NET, sparsity=0.6, random_state=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"pruner\[1\] differs .* random_state: sparsity"):
        report_of([pruner, sparser])
    other = MagnitudePruner(NET, sparsity=0.5, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match=r"pruner\[1\] differs .* MagnitudePruner"):
        report_of([pruner, other])


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("pruner", instances("classifier"), ids=lambda p: type(p).__name__)
def test_every_pruner_can_be_reported_and_analyzed(pruner):
    """Also those that have no `rewind_epoch` and no `schedule`."""
    fitted = pruner.fit(X, Y)
    name = "strong ticket" if not pruner.train_ticket else ("sparse network", "weak ticket")
    assert report_of(fitted, n_controls=1).index[1] in name
    table = instability_analysis(fitted, X, Y, start_epochs=[0], n_pairs=1, n_points=2)
    assert len(table) == 1
