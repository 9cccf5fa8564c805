"""Our contract, on every pruner; and on broken pruners, which it must catch."""

from dataclasses import replace

import pytest
import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import MagnitudePruner, RandomPruner
from sklearn_tickets.utils import all_pruners, check_pruner
from tests.instances import SETTINGS, instances, make_net


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("position", range(len(SETTINGS)), ids=[cls.__name__ for cls in SETTINGS])
def test_every_pruner_keeps_the_contract(kind, position):
    check_pruner(instances(kind)[position])


def test_every_pruner_has_an_instance():
    assert {cls for _, cls in all_pruners()} == set(SETTINGS)


class KeepsTheSmallest(MagnitudePruner):
    def _score(self, run):
        return {name: -score for name, score in super()._score(run).items()}


class PrunesTenTooFew(MagnitudePruner):
    def _search(self, run, density):
        return super()._search(run, density + 10 / run.mask.n_parameters)


class DoesNotHoldTheMask(MagnitudePruner):
    def _fitted_attributes(self, run):
        with torch.no_grad():
            for parameter in run.net.module_.parameters():
                parameter += 1e-6
        return super()._fitted_attributes(run)


class ReportsAnotherMask(MagnitudePruner):
    def _fitted_attributes(self, run):
        shuffled = run.mask.shuffled(0)
        records = [*run.records[:-1], run.records[-1] | {"mask": shuffled}]
        return super()._fitted_attributes(replace(run, mask=shuffled, records=records))


class RevivesParameters(RandomPruner):
    def _search(self, run, density):
        return super()._search(replace(run, mask=run.mask | ~run.mask), density)


class ForgetsTheInitialMask(MagnitudePruner):
    def _initial_mask(self, net):
        return super()._initial_mask(net) | TicketMask.ones_like(net.module_)


class TrainsTheUsersNet(MagnitudePruner):
    def fit(self, X, y=None):
        self.estimator.max_epochs += 1
        return super().fit(X, y)


class DrawsFromTheGlobalStream(MagnitudePruner):
    def fit(self, X, y=None):
        torch.rand(1)
        return super().fit(X, y)


class IgnoresTheSeed(MagnitudePruner):
    def _score(self, run):
        noise = torch.Generator()
        noise.seed()
        return {name: torch.rand(kept.shape, generator=noise) for name, kept in run.mask.items()}


@pytest.mark.parametrize(
    ("mutant", "complaint"),
    [
        (KeepsTheSmallest, "vanishing"),
        (PrunesTenTooFew, "keeps .* not"),
        (DoesNotHoldTheMask, "not exactly 0"),
        (ReportsAnotherMask, "not exactly 0|another mask"),
        (RevivesParameters, "revived"),
        (ForgetsTheInitialMask, "outside of initial_mask"),
        (TrainsTheUsersNet, "changed the net"),
        (DrawsFromTheGlobalStream, "global random stream"),
        (IgnoresTheSeed, "another mask"),
    ],
)
def test_the_contract_catches(mutant, complaint):
    pruner = mutant(
        make_net("classifier", max_epochs=3),
        sparsity=0.5,
        n_rounds=2,
        round_epochs=3,
        random_state=0,
    )
    with pytest.raises(AssertionError, match=complaint):
        check_pruner(pruner)
