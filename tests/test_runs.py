"""Runs of the benchmark: in parallel, without side effects, and failed ones."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import FitFailedWarning

from sklearn_tickets.benchmark import SeekDisplay, format_report, seek
from sklearn_tickets.pruners import RandomPruner
from tests.test_seek import CLASSIC, GENERATOR, TINY, row_of


class BrokenPruner(RandomPruner):
    """Fails in single mode only."""

    def fit(self, X, y=None):
        if self.n_rounds == 1:
            raise RuntimeError("no luck today")
        return super().fit(X, y)


def test_table_does_not_depend_on_n_jobs():
    serial, one, two = (
        seek(GENERATOR, pruners=CLASSIC, densities=[0.3, "ticket"], n_jobs=n_jobs, **TINY)
        for n_jobs in (None, 1, 2)
    )
    serial, one, two = (table.drop(columns="seconds") for table in (serial, one, two))
    pd.testing.assert_frame_equal(serial, one, check_exact=True)
    pd.testing.assert_frame_equal(serial, two, check_exact=True)


def test_global_state_is_left_alone():
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), torch.get_num_threads()
    seek(GENERATOR, pruners=["random"], densities=[0.5], **TINY)
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]


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
    assert calls == [(done, 16) for done in (2, 4, 6, 8, 10, 12, 16)]
