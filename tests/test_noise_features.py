"""Noise features: where they are, what they look like, and that nothing depends on them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import TASKS, FunctionTask, ParityTask


@pytest.mark.parametrize("task", ["circle", "helix", "relu"])
def test_noise_features_are_not_read(task):
    generator = PlantedTicketGenerator(task, width=60, n_noise_features=5, random_state=0)
    planted = generator.generate(500)
    n_inputs = len(planted.input_support)
    assert planted.X.shape == (500, n_inputs)
    assert (~planted.input_support).sum() == 5
    support = planted.mask.input_support(planted.module(), planted.X)
    assert_array_equal(support, planted.input_support)
    plain = PlantedTicketGenerator(task, width=60, random_state=0).generate(500)
    assert planted.mask.n_kept == plain.mask.n_kept
    names = np.array(planted.feature_names)
    assert names[planted.input_support].tolist() == plain.feature_names
    assert names[~planted.input_support].tolist() == [f"noise{i}" for i in range(1, 6)]
    best = planted.ticket_score
    assert best > 0.98 if task == "circle" else best < 3e-4


def test_noise_features_stand_anywhere_and_look_like_the_others():
    first = [
        PlantedTicketGenerator(n_noise_features=2, random_state=seed).generate(1).input_support
        for seed in range(20)
    ]
    assert np.mean(first, axis=0).min() > 0.2
    task = FunctionTask(np.log, interval=(1, 7))
    X = PlantedTicketGenerator(task, n_noise_features=3, random_state=0).generate(2000).X
    assert (X.min(axis=0) < 1.05).all()
    assert (X.max(axis=0) > 6.95).all()


@pytest.mark.parametrize("task", [*TASKS, ParityTask(3)])
def test_noise_features_are_independent(task):
    generator = PlantedTicketGenerator(task, n_noise_features=7, random_state=0)
    planted = generator.generate(2000)
    correlation = np.corrcoef(planted.X, rowvar=False) - np.eye(planted.X.shape[1])
    assert np.abs(correlation).max() < 0.1
