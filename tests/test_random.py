"""Seeded blocks repeat, and leave the global random streams alone."""

import threading

import numpy as np
import pytest
import torch

from sklearn_tickets._random import seeded
from tests.small_nets import X, Y, assert_same_state, make_net, weights


def draw():
    return torch.rand(3).tolist() + np.random.rand(3).tolist()


def test_seeded_block_repeats_and_leaves_the_global_streams():
    with seeded(7, "cpu"):
        first = draw()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    with seeded(7, "cpu"):
        assert draw() == first
    with seeded(8, torch.device("cpu")):
        assert draw() != first
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(), numpy_state)


def test_streams_are_put_back_after_an_error():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    with pytest.raises(KeyError), seeded(0, "cpu"):
        raise KeyError(*draw())
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(), numpy_state)
    with seeded(0, "cpu"):
        pass


def test_seeded_blocks_nest():
    with seeded(1, "cpu"):
        expected = [draw(), draw()]
    with seeded(1, "cpu"):
        first = draw()
        with seeded(2, "cpu"):
            draw()
        assert [first, draw()] == expected


def test_threads_take_turns_and_repeat():
    visits, drawn = [], {}

    def work(seed):
        with seeded(seed, "cpu"):
            visits.append(seed)
            drawn[seed] = draw()
            threading.Event().wait(0.02)
            drawn[seed] += draw()
            visits.append(seed)

    for seed in range(4):
        work(seed)
    alone = drawn.copy()
    drawn.clear()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == alone
    assert visits[::2] == visits[1::2]


def test_seeded_training_repeats():
    nets = []
    for _ in range(2):
        with seeded(3, "cpu"):
            nets.append(make_net(iterator_train__shuffle=True).fit(X, Y))
    assert_same_state(weights(nets[0]), weights(nets[1]))
