"""The spiral task: its two arms, and the ticket built for them."""

import pickle

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal
from scipy import ndimage

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import SpiralTask, feed_forward
from sklearn_tickets.pruners import GivenMaskPruner

# The classes of the squares, one band wide, from the upper left to the lower right.
PICTURES = {
    2: """
        ###
        --#
        ---
    """,
    3: """
        -----
        ####-
        #--#-
        #----
        #####
    """,
    5: """
        ---------
        ########-
        #------#-
        #-####-#-
        #-#--#-#-
        #-#----#-
        #-######-
        #--------
        #########
    """,
}


@pytest.mark.parametrize("n_bands", PICTURES)
def test_squares_of_the_spiral(n_bands):
    steps = np.arange(1 - n_bands, n_bands) * 2 / (2 * n_bands - 1)
    x1, x2 = np.meshgrid(steps, -steps)
    classes = SpiralTask(n_bands).target(np.column_stack([x1.ravel(), x2.ravel()]))
    assert classes.dtype == np.int64
    assert "".join("-#"[i] for i in classes) == "".join(PICTURES[n_bands].split())


def test_the_diagonal_divides_the_middle_square():
    # Of two bands: it reaches from -1/3 to 1/3.
    X = np.array([[-0.3, 0.3], [0.1, 0.2], [0.2, 0.1], [0.3, -0.3]])
    assert_array_equal(SpiralTask(2).target(X), [0, 0, 1, 1])


@pytest.mark.parametrize("n_bands", [2, 3, 4, 7])
def test_each_class_is_one_arm(n_bands):
    middles = (np.arange(300) + 0.5) / 150 - 1
    x1, x2 = np.meshgrid(middles, middles)
    classes = SpiralTask(n_bands).target(np.column_stack([x1.ravel(), x2.ravel()]))
    arms = classes.reshape(300, 300)
    assert ndimage.label(arms == 0)[1] == 1
    assert ndimage.label(arms == 1)[1] == 1


def test_half_a_turn_swaps_the_arms():
    task = SpiralTask()
    X = task.sample(10_000, RandomState(0))
    assert_array_equal(task.target(-X), 1 - task.target(X))


def test_samples_are_uniform_on_the_square():
    X = SpiralTask().sample(10_000, RandomState(0))
    assert X.shape == (10_000, 2)
    assert X.dtype == np.float64
    assert -1 <= X.min() < -0.999
    assert 0.999 < X.max() <= 1


@pytest.mark.parametrize(
    ("n_bands", "depth", "weights", "biases"),
    [
        (4, 5, [6, 6, 8, 4], [3, 1, 3, 1]),
        (4, 6, [6, 6, 2, 4, 4], [3, 1, 0, 3, 1]),
        (4, 8, [6, 6, 2, 1, 1, 4, 4], [3, 1, 0, 0, 0, 3, 1]),
        (7, 5, [6, 6, 14, 7], [3, 1, 6, 1]),
    ],
)
def test_spiral_ticket_sizes(n_bands, depth, weights, biases):
    layers = SpiralTask(n_bands).construct(depth)
    assert [np.count_nonzero(weight) for weight, _ in layers] == weights
    assert [np.count_nonzero(bias) for _, bias in layers] == biases
    stated = 16 + 4 * n_bands if depth == 5 else 12 + 3 * n_bands + depth
    assert sum(weights) + sum(biases) == stated


@pytest.mark.parametrize(
    ("n_bands", "accuracy"), [(2, 0.9931), (3, 0.9965), (4, 0.9977), (8, 0.9991)]
)
@pytest.mark.parametrize("depth", [5, 6, 8])
def test_spiral_tickets_are_wrong_only_on_the_ramp(n_bands, accuracy, depth):
    task = SpiralTask(n_bands)
    X = task.sample(200_000, RandomState(0))
    wrong = feed_forward(task.construct(depth), X).argmax(axis=1) != task.target(X)
    assert 1 - wrong.mean() == pytest.approx(accuracy, abs=5e-4)
    below = X[wrong, 0] - X[wrong, 1]
    assert below.min() > 0
    assert below.max() < 0.05 * 2 / (2 * n_bands - 1)
    # On the upper right, from the middle square on, the step makes no difference.
    assert X[wrong].sum(axis=1).max() < 2 / (2 * n_bands - 1)


@pytest.mark.parametrize("scaling", ["hidden", "trainable"])
@pytest.mark.parametrize("depth", [5, 6, 8])
def test_planted_spirals_keep_their_accuracy(depth, scaling):
    for seed in range(3):
        generator = PlantedTicketGenerator(
            SpiralTask(), depth=depth, scaling=scaling, random_state=seed
        )
        assert generator.generate(1).ticket_score >= 0.995


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("n_noise_features", [0, 3])
@pytest.mark.parametrize("depth", [5, 8])
def test_no_random_mask_is_a_spiral(depth, n_noise_features):
    planted = PlantedTicketGenerator(
        SpiralTask(), depth=depth, noise=0, n_noise_features=n_noise_features, random_state=0
    ).generate(2000)

    def accuracy(mask):
        strong = GivenMaskPruner(planted.make_net(), mask, train_ticket=False, random_state=0)
        return np.mean(strong.fit(planted.X, planted.y).strong_predict(planted.X) == planted.y)

    assert accuracy(planted.mask) >= 0.995
    assert all(accuracy(planted.mask.shuffled(seed)) < 0.7 for seed in range(5))


def test_trained_spirals_stay_spirals():
    generator = PlantedTicketGenerator(SpiralTask(), scaling="trainable", random_state=0)
    planted = generator.generate(4000)
    pruner = GivenMaskPruner(planted.make_net(max_epochs=5), planted.mask, random_state=0)
    assert pruner.fit(planted.X, planted.y).score(planted.X, planted.y) > 0.9


def test_spiral_noise_is_the_other_class():
    task = SpiralTask()
    X = task.sample(50_000, RandomState(0))
    y = task.target(X)
    noisy = task.add_noise(X, y, 0.1, RandomState(1))
    assert np.mean(noisy != y) == pytest.approx(0.1, rel=0.1)
    assert set(noisy) == {0, 1}
    assert_array_equal(task.add_noise(X, y, 1.0, RandomState(0)), 1 - y)
    assert_array_equal(y, task.target(X))


def test_spirals_are_values():
    assert pickle.loads(pickle.dumps(SpiralTask(3))) == SpiralTask(3) != SpiralTask(4)
    with pytest.raises(AttributeError):
        SpiralTask().n_bands = 5


def test_spirals_need_two_bands():
    with pytest.raises(ValueError, match=r"n_bands=1 must be at least 2"):
        SpiralTask(1)


@pytest.mark.parametrize("depth", [3, 4])
def test_spirals_need_five_layers(depth):
    with pytest.raises(ValueError, match=rf"depth={depth} .*'spiral'.* Set depth to 5 or more"):
        PlantedTicketGenerator(SpiralTask(), depth=depth).generate(10)
