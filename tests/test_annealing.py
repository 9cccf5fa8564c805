"""Annealing: its parts on networks worked by hand, and the tickets it finds."""

import importlib.util
import signal
from contextlib import nullcontext
from dataclasses import replace as changed
from itertools import pairwise

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets._annealing import Found, Problem, rank, run_chains
from sklearn_tickets._annealing._chain import run_chain
from sklearn_tickets._annealing._evaluation import (
    accept,
    energy,
    forward,
    is_accepted,
    plan,
    refresh,
)
from sklearn_tickets._annealing._metropolis import Step, anneal
from sklearn_tickets._annealing._moves import (
    add,
    add_path,
    change_bits,
    hand_over,
    redirect,
    remove,
    replace,
    rescale,
    swap,
)
from sklearn_tickets._annealing._schedule import max_kept, steps, temperature
from sklearn_tickets._annealing._state import begin_move, bit_of, flip, sweep, undo
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import AnnealingPruner, EdgePopupPruner
from sklearn_tickets.pruners.base import classification_scale
from tests.instances import (
    ConvNet,
    assert_refused,
    make_net,
    multilabel_data,
    multilabel_net,
    small_data,
    small_images,
)

SIZES = 3, 6, 5, 2
N = 40
ROW_FIELDS = "X", "targets", "row_weight"
QUICK = {"n_moves": 2000, "n_chains": 1, "mask_epochs": 2, "random_state": 0, "sparsity": 0.9}


def problem(is_classifier=True, free=None, always=None, seed=0):
    """A random network with biases, of 3 inputs, 6 and 5 hidden units and 2 outputs."""
    rng = np.random.RandomState(seed)
    weights = [rng.randn(m, n) for n, m in pairwise(SIZES)]
    biases = [rng.randn(m) for m in SIZES[1:]]
    n_bits = sum(w.size + len(w) for w in weights)
    X = rng.randn(N, 3).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    targets = np.eye(2)[y] if is_classifier else rng.randn(N, 2)
    return Problem(
        weights=weights,
        biases=biases,
        free=np.ones(n_bits, bool) if free is None else free,
        always=np.zeros(sum(SIZES), bool) if always is None else always,
        X=X,
        targets=targets.astype(np.float32),
        row_weight=rng.uniform(0.5, 2, N).astype(np.float32),
        is_classifier=is_classifier,
        eps=0.02,
    )


def filled(given, share=0.6, seed=1):
    """A state with a share of the bits, on all rows."""
    bits = np.flatnonzero(np.random.RandomState(seed).rand(len(given.free)) < share)
    state = given.state(bits, np.array([0.3, -0.2]))
    given.set_rows(state, np.arange(N))
    refresh(state, N, given.eps)
    return state


def kept(state):
    return sorted(state.kept[: state.size[0]].tolist())


def picture(state):
    """What a state is, whatever the order of its lists."""
    edges = [
        sorted(zip(state.inputs[u, :n].tolist(), state.weights[u, :n].tolist(), strict=True))
        for u, n in enumerate(state.n_in)
    ]
    outputs = [sorted(state.outputs[u, :n].tolist()) for u, n in enumerate(state.n_out)]
    return kept(state), edges, outputs, state.bias.tolist(), state.has_bias.tolist()


def outputs_of(given, state):
    """The outputs with the kept bits, by matrix products."""
    mask = state.place >= 0
    X, start = given.X.astype(float), 0
    for i, (weight, bias) in enumerate(zip(given.weights, given.biases, strict=True)):
        n, m = len(weight), weight.shape[1] + 1
        part = mask[start : start + n * m].reshape(n, m)
        start += n * m
        units = slice(*state.first[i + 1 : i + 3])
        constant = bias * (part[:, -1] | given.always[units])
        X = X @ (weight * part[:, :-1]).T + constant
        if i < len(given.weights) - 1:
            X = np.maximum(X, 0)
    return X


def current(state):
    """The values of the outputs that a state has stored."""
    units = np.arange(state.first[-2], state.first[-1])
    return state.values[units, state.side[units], :N].T


# State ----------------------------------------------------------------------------------


def test_masks_are_judged_by_rows_from_all_over_the_data():
    few = problem()
    rows = {name: np.repeat(getattr(few, name), 500, axis=0) for name in ROW_FIELDS}
    many = changed(few, **rows)  # 20,000 rows, equal ones side by side
    bits, log_scale = np.arange(0, len(few.free), 2), np.zeros(2)
    expected = few.found(few.state(bits, log_scale)).energy
    np.testing.assert_allclose(many.found(many.state(bits, log_scale)).energy, expected, rtol=1e-6)


def test_bits_are_numbered_by_unit_inputs_first():
    state = problem().state(np.array([], dtype=int), np.zeros(2))
    # Units 0-2 are inputs, 3-8 and 9-13 hidden, 14 and 15 outputs.
    assert bit_of(state, 0, 3) == 0
    assert bit_of(state, -1, 3) == 3
    assert bit_of(state, 2, 4) == 6
    assert bit_of(state, 3, 9) == 24
    for bit in range(len(state.source)):
        assert bit_of(state, state.source[bit], state.target[bit]) == bit


def test_a_flip_connects_and_the_next_one_disconnects():
    state = problem().state(np.array([], dtype=int), np.zeros(2))
    nothing = picture(state)
    begin_move(state)
    for v, u in [(0, 3), (3, 9), (9, 14), (-1, 9)]:
        flip(state, bit_of(state, v, u))
    assert state.live[3]
    assert state.live[9]
    assert not state.live[4]
    assert state.bias[9] == state.value[bit_of(state, -1, 9)]
    assert state.outputs[3, 0] == 9
    undo(state)
    assert picture(state) == nothing


def test_the_sweep_prunes_what_a_removal_leaves_dead():
    state = problem().state(np.array([], dtype=int), np.zeros(2))
    begin_move(state)
    chain = [(0, 3), (-1, 3), (3, 9), (-1, 9), (9, 14), (1, 4), (4, 10), (10, 14)]
    for v, u in chain:
        flip(state, bit_of(state, v, u))
    before = picture(state)
    begin_move(state)
    flip(state, bit_of(state, 3, 9))
    sweep(state)
    assert kept(state) == sorted(bit_of(state, v, u) for v, u in chain[5:])
    undo(state)
    assert picture(state) == before


def test_a_unit_with_a_dense_bias_lives_without_inputs():
    always = np.zeros(sum(SIZES), bool)
    always[3] = True
    given = problem(always=always)
    state = given.state(np.array([], dtype=int), np.zeros(2))
    edges = [(3, 9), (9, 14)]
    bits = np.array([bit_of(state, v, u) for v, u in edges])
    state = given.state(bits, np.zeros(2))
    assert kept(state) == sorted(bits)
    given.set_rows(state, np.arange(N))
    refresh(state, N, given.eps)
    np.testing.assert_allclose(current(state), outputs_of(given, state), rtol=1e-4, atol=1e-5)


# Moves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("move", [swap, replace, remove, add, add_path, hand_over, redirect])
def test_moves_are_taken_back(move):
    state = filled(problem(), share=0.3)
    before, scales = picture(state), state.log_scale.copy()
    for _ in range(50):
        begin_move(state)
        move(state)
        sweep(state)
        undo(state)
        assert picture(state) == before
    assert (state.log_scale == scales).all()


@pytest.mark.parametrize(
    ("move", "change"), [(swap, 0), (replace, 0), (remove, -1), (add, 1), (redirect, 0)]
)
def test_moves_flip_as_many_bits_as_they_say(move, change):
    for seed in range(20):
        state = filled(problem(seed=seed), share=0.5)
        before = state.size[0]
        begin_move(state)
        assert not move(state) or state.size[0] == before + change


def test_only_free_bits_are_added_and_nothing_dead_stays():
    free = np.random.RandomState(2).rand(len(problem().free)) < 0.6
    given = problem(free=free)
    state = given.state(np.flatnonzero(free), np.zeros(2))
    for _ in range(500):
        begin_move(state)
        change_bits(state, 40, False)
        assert free[kept(state)].all()
        for u in range(state.first[1], state.first[-2]):
            assert state.live[u] or not (state.n_in[u] or state.n_out[u])


# Evaluation -----------------------------------------------------------------------------


def test_values_downstream_of_moves_are_those_of_a_full_forward():
    given = problem()
    state = filled(given)
    rng = np.random.RandomState(0)
    for _ in range(200):
        begin_move(state)
        if not change_bits(state, 60, False):
            continue
        n = plan(state)
        forward(state, n, 0, 17)
        forward(state, n, 17, N)
        if rng.rand() < 0.5:
            accept(state, n)
        else:
            undo(state)
        np.testing.assert_allclose(current(state), outputs_of(given, state), rtol=1e-3, atol=1e-4)


def test_the_energy_of_classes_is_that_of_a_smoothed_softmax():
    given = problem()
    state = filled(given)
    logits = outputs_of(given, state) * np.exp(state.log_scale)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (p / p.sum(axis=1, keepdims=True) * given.targets).sum(axis=1)
    expected = np.average(-np.log(0.98 * p + 0.02 / 2), weights=given.row_weight)
    assert energy(state, N) == pytest.approx(expected, rel=1e-4)


def test_the_energy_of_targets_is_the_error_after_the_best_positive_factor():
    given = problem(is_classifier=False)
    state = filled(given)
    f, y, w = outputs_of(given, state), given.targets, given.row_weight[:, None]
    factor = np.maximum((w * f * y).sum(axis=0) / (w * f * f).sum(axis=0), 0)
    expected = np.average((y - factor * f) ** 2, axis=0, weights=given.row_weight).sum()
    assert energy(state, N) == pytest.approx(expected, rel=1e-4)


# Acceptance and schedule ----------------------------------------------------------------


def test_a_bad_move_is_refused_by_its_first_rows_and_a_doubtful_one_by_all():
    rng = np.random.RandomState(0)
    given = changed(
        problem(),
        X=rng.randn(1000, 3).astype(np.float32),
        targets=np.eye(2, dtype=np.float32)[rng.randint(2, size=1000)],
        row_weight=np.ones(1000, np.float32),
    )
    state = given.state(np.arange(len(given.free)), np.zeros(2))
    given.set_rows(state, np.arange(1000))
    refresh(state, 1000, given.eps)
    state.log_scale[:] = 3
    begin_move(state)
    losses = [state.losses[state.size[3]].copy(), None]
    accepted, change = is_accepted(state, 0, 1000, given.eps, 0.0)
    assert not accepted
    losses[1] = state.losses[1 - state.size[3]].copy()
    assert change == pytest.approx((losses[1] - losses[0])[:128].mean(), rel=1e-4)
    accepted, change = is_accepted(state, 0, 1000, given.eps, change)
    change_of_all = (state.losses[1 - state.size[3]] - losses[0]).mean()
    assert change == pytest.approx(change_of_all, rel=1e-4)
    assert is_accepted(state, 0, 1000, given.eps, change_of_all + 1e-6)[0]
    assert not is_accepted(state, 0, 1000, given.eps, change_of_all - 1e-6)[0]


def test_only_improvements_are_accepted_at_temperature_0_and_all_moves_at_infinity():
    given = problem()
    rates = {}
    for T in (1e-12, 1e12):
        state = filled(given)
        before = energy(state, N)
        step = Step(500, (T, T), (60.0, 60.0), 30, False, N)
        after, rates[T] = anneal(state, 0, step, given.eps)
        assert after == pytest.approx(energy(state, N), rel=1e-4)
        if T < 1:
            assert after <= before
        assert 30 <= state.size[0] <= 60
    assert rates[1e12] == 1
    assert rates[1e-12] < 0.5


def test_no_factor_drifts_away_from_the_others():
    state = filled(problem())
    start = state.log_scale.mean()
    spread = []
    for _ in range(2000):
        rescale(state)
        spread.append(np.ptp(state.log_scale))
    # Twice the limit, for two outputs; without it, they are at once much further from each other.
    assert 3 < max(spread) <= 4
    # All factors together are free.
    assert abs(state.log_scale.mean() - start) > 2
    # What is far away may come back, but not go further.
    state.log_scale[:] = 0, 20
    for _ in range(2000):
        rescale(state)
    assert np.ptp(state.log_scale) < 20


def test_the_schedule_makes_all_moves_and_ends_at_the_ticket():
    plan = [*steps(1_000_000, 800, 130, 300, 5000, 1.0)]
    assert len(plan) == 50
    assert sum(step.n_moves for step in plan) == 1_000_000
    assert plan[0].max_kept[0] == 800
    assert plan[-1].max_kept == (130, 130)
    # Ten times the inverse temperature, but all rows at most.
    assert plan[0].n_rows == round(10 / plan[0].temperature[1]) < plan[-1].n_rows == 5000
    assert plan[0].temperature[0] == pytest.approx(0.016)
    assert plan[-1].temperature[1] == pytest.approx(2e-4)
    for step, after in pairwise(plan):
        assert step.max_kept[1] == pytest.approx(after.max_kept[0])
        assert step.temperature[1] == pytest.approx(after.temperature[0])


def test_a_small_ticket_grows_to_a_large_one():
    assert max_kept(0.0, 1000, 300, 2000) == 1000
    assert max_kept(0.15, 1000, 300, 2000) == pytest.approx(300)
    assert max_kept(0.6, 1000, 300, 2000) == pytest.approx(300)
    assert max_kept(1.0, 1000, 300, 2000) == pytest.approx(2000)
    *_, last = steps(100_000, 1000, 2000, 300, 5000, 1.0)
    assert last.temperature[1] == pytest.approx(temperature(1, 300))
    assert last.grows


def test_no_idle_unit_comes_to_life_in_a_ticket_that_grows():
    given = problem()
    state = filled(given, share=0.2)
    live = state.live.copy()
    step = Step(2000, (1e12, 1e12), (60.0, 60.0), 1, True, N)
    anneal(state, 0, step, given.eps)
    # Connections may be handed over to idle units.
    assert state.live.sum() <= live.sum()


def test_temperatures_fall_with_the_number_of_kept_bits():
    assert temperature(0, 520) == pytest.approx(temperature(0, 130) / 4)
    assert temperature(1, 520) == pytest.approx(temperature(1, 130) / 8)


def test_a_chain_improves_on_its_start_and_repeats_itself():
    given = problem()
    start = given.start(np.arange(len(given.free)), np.zeros(2))
    plan = [*steps(5000, len(start.bits), 20, 20, N, 1.0)]
    one, same, other = (run_chain(given, start, plan, seed, bool) for seed in (0, 0, 1))
    assert one.bits.tolist() == same.bits.tolist()
    assert one.energy == same.energy != other.energy
    # Guessing costs log 2, .69.
    assert one.energy < 0.5 < start.energy
    assert [row["n_moves"] for row in one.trace] == [*range(100, 5001, 100)]


def test_a_chain_begins_with_all_bits_if_the_start_is_on_no_path():
    given = problem()
    start = given.start(np.array([0]), np.zeros(2))
    assert len(start.bits) == len(given.free)
    assert start.energy == pytest.approx(energy(filled(given, 1.1), N), rel=0.5)


# Successive halving ---------------------------------------------------------------------


def found(n_bits, energy):
    """A mask of so many bits."""
    return Found(np.arange(n_bits), np.zeros(2), np.zeros(60, bool), energy)


def test_masks_of_the_size_come_before_those_above_it():
    masks = [found(5, 0.1), found(4, 0.3), found(3, 0.2)]
    masks.sort(key=lambda each: rank(each, 4))
    assert [each.energy for each in masks] == [0.2, 0.3, 0.1]


@pytest.mark.parametrize(
    ("n_chains", "alive", "ends"),
    [
        (1, [1], [10]),
        (2, [2, 1], [5, 10]),
        (5, [5, 3, 2, 1], [2, 5, 7, 10]),
        (8, [8, 4, 2, 1], [2, 5, 7, 10]),
    ],
)
def test_the_better_half_goes_on_after_each_stage(monkeypatch, n_chains, alive, ends):
    plan, calls = [*steps(10, 4, 4, 4, N, 1.0)][:10], []

    def ended(problem, start, part, seed, is_stopped):
        # Each chain lowers its energy by the same, so that the order stays that of the seeds.
        calls.append((start.energy, part, seed))
        return found(4, start.energy - 1 + (seed / 2**31 if start.energy == 100 else 0))

    monkeypatch.setattr("sklearn_tickets._annealing._halving.run_chain", ended)
    settings = {"n_chains": n_chains, "n_jobs": 1, "rng": np.random.RandomState(0)}
    best = run_chains(problem(), found(4, 100), plan, is_stopped=bool, **settings)
    first = min(seed for energy, _, seed in calls if energy == 100)
    assert best.energy == 100 - len(alive) + first / 2**31
    parts = [plan[i:j] for i, j in pairwise([0, *ends])]
    assert [sum(part == made for _, made, _ in calls) for part in parts] == alive


# Pruner ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("sparsity", [0.3, 0.9])
def test_the_number_of_kept_parameters_is_exact_and_weights_stay_frozen(kind, sparsity):
    X, y = small_data()
    y = y if kind == "classifier" else X[:, 0] - X[:, 1]
    settings = QUICK | {"sparsity": sparsity, "n_moves": 20_000}
    pruner = AnnealingPruner(make_net(kind), **settings)
    pruner.set_params(prune_bias=True).fit(X, y)
    assert pruner.mask_.n_kept == round((1 - sparsity) * pruner.mask_.n_parameters)
    for name, value in pruner.estimator_.module_.named_parameters():
        initial = pruner.initial_state_[name] * pruner.mask_[name]
        assert torch.equal(value.detach(), initial)


def test_the_result_is_the_same_for_any_number_of_threads():
    settings = QUICK | {"n_chains": 3}
    masks = [
        AnnealingPruner(make_net("classifier"), n_jobs=n_jobs, **settings).fit(*small_data()).mask_
        for n_jobs in (1, 2)
    ]
    assert masks[0] == masks[1]


@pytest.mark.filterwarnings("ignore:AnnealingPruner left no path")
@pytest.mark.parametrize(
    ("excess", "energy", "is_start"), [(1, 0.0, True), (0, 9.0, True), (0, 0.0, False)]
)
def test_the_start_is_kept_where_annealing_is_worse(monkeypatch, excess, energy, is_start):
    starts = []

    def ended(problem, start, steps, **settings):
        n_kept = round(steps[-1].max_kept[1])
        starts.append(start)
        bits = np.flatnonzero(problem.free)[-n_kept - excess :]
        return Found(bits, start.log_scale, start.idle, energy, ({"energy": energy},))

    monkeypatch.setattr("sklearn_tickets._annealing.run_chains", ended)
    pruner = AnnealingPruner(make_net("classifier"), n_start=1, **QUICK).fit(*small_data())
    assert pruner.rounds_[0]["history"][-1]["energy"] == energy
    assert len(starts[0].bits) <= pruner.mask_.n_kept
    first = EdgePopupPruner(make_net("classifier"), sparsity=0.9, mask_epochs=2, random_state=0)
    first.fit(*small_data())
    # What is on no path may differ, and so may the scales of the outputs.
    outputs = (each.strong_output(small_data()[0]) for each in (pruner, first))
    one, other = (each / (np.linalg.norm(each, axis=0) + 1e-9) for each in outputs)
    assert np.allclose(one, other, atol=1e-5) == is_start


@pytest.mark.filterwarnings("ignore:AnnealingPruner left no path")
@pytest.mark.parametrize(
    ("kind", "n_small", "grows"),
    [
        ("classifier", None, False),
        ("regressor", None, True),
        ("classifier", 9, True),
        ("regressor", 99, False),
    ],
)
def test_only_the_tickets_of_regressors_grow_unless_told_otherwise(
    monkeypatch, kind, n_small, grows
):
    ends = []

    def ended(problem, start, steps, **settings):
        ends.append(steps[-1])
        return start

    monkeypatch.setattr("sklearn_tickets._annealing.run_chains", ended)
    monkeypatch.setattr("sklearn_tickets.pruners._annealing.SMALL_OF_REGRESSORS", 10)
    X, y = small_data()
    y = y if kind == "classifier" else X[:, 0] - X[:, 1]
    pruner = AnnealingPruner(make_net(kind), n_small=n_small, **QUICK).fit(X, y)
    assert ends[0].grows == grows
    assert ends[0].max_kept[1] == pytest.approx(pruner.mask_.n_kept)


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_interrupt_ends_the_chains_with_the_mask_so_far_or_is_raised(monkeypatch, is_kept):
    n_steps = 0

    def interrupted(*args):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 3:
            signal.raise_signal(signal.SIGINT)
        return anneal(*args)

    monkeypatch.setattr("sklearn_tickets._annealing._chain.anneal", interrupted)
    # Other tests run programs in this process, which may have left handlers of their own.
    handler = signal.default_int_handler
    signal.signal(signal.SIGINT, handler)
    settings = QUICK | {"n_moves": 1_000_000, "keep_on_interrupt": is_kept, "sparsity": 0.5}
    pruner = AnnealingPruner(make_net("classifier"), **settings)
    with nullcontext() if is_kept else pytest.raises(KeyboardInterrupt):
        pruner.fit(*small_data())
    assert n_steps == 3
    assert signal.getsignal(signal.SIGINT) is handler
    if is_kept:
        history = [row for row in pruner.rounds_[0]["history"] if "energy" in row]
        assert [row["n_moves"] for row in history] == [20_000, 40_000, 60_000]
        assert pruner.mask_.n_kept == round(0.5 * pruner.mask_.n_parameters)


def test_what_the_initial_mask_prunes_stays_pruned():
    net = make_net("classifier")
    full = TicketMask.ones_like(MLP(6, 2, hidden=(32,)))
    mask = full.shrink({n: torch.rand(k.shape) for n, k in full.items()}, 0.5, rng=0)
    found = AnnealingPruner(net, initial_mask=mask, **QUICK).fit(*small_data()).mask_
    assert found & mask == found


def test_the_weights_that_fit_are_kept():
    # y = 6 x1 - 3 x3; the other weights are of no use, at any factor of the output.
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    module = nn.Sequential(nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[2.0, 5.0, -1.0, 4.0]]))
    net = make_net("regressor", module=ModuleTemplate(module))
    pruner = AnnealingPruner(net, **QUICK | {"sparsity": 0.5}).fit(X, 6 * X[:, 0] - 3 * X[:, 2])
    assert pruner.mask_["0.weight"].tolist() == [[True, False, True, False]]


def test_the_annealed_factors_read_the_ticket_no_worse_than_estimated_ones():
    X, y = small_data()
    pruner = AnnealingPruner(make_net("classifier"), **QUICK | {"n_moves": 20_000}).fit(X, y)
    outputs = pruner.strong_output(X)
    estimated = (outputs * classification_scale(outputs, y)).argmax(axis=1)
    assert (pruner.strong_predict(X) == y).sum() >= (estimated == y).sum()


def test_a_single_logit_is_told_from_a_constant():
    X, y = small_data()
    net = make_net("classifier")
    binary = NeuralNetBinaryClassifier(net.module, train_split=None, verbose=0, max_epochs=2)
    pruner = AnnealingPruner(binary, **QUICK | {"sparsity": 0.8, "n_moves": 20_000})
    pruner.fit(X, y)
    assert pruner.score(X, y) > 0.85


def test_other_networks_and_several_labels_are_refused_before_anything_runs():
    net = make_net("classifier", module=ConvNet)
    assert_refused(AnnealingPruner(net, **QUICK), small_images(), "not supported|plain Linear")
    normed = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    net = make_net("classifier", module=ModuleTemplate(normed))
    assert_refused(AnnealingPruner(net, **QUICK), small_data(), "'0' that is no plain Linear")
    labels = AnnealingPruner(multilabel_net(), **QUICK)
    assert_refused(labels, multilabel_data(), "one class per row.*BCEWithLogitsLoss")
    pruner = AnnealingPruner(make_net("classifier"), exclude=("*1.weight",), **QUICK)
    assert_refused(pruner, small_data(), r"exclude=.*'layers.1.weight' dense")
    pruner = AnnealingPruner(make_net("classifier"), scope="layer", **QUICK)
    assert_refused(pruner, small_data(), "scope")


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "sklearn_tickets.pruners._annealing.find_spec",
        lambda name: None if name == "numba" else find(name),
    )
    pruner = AnnealingPruner(make_net("classifier"), **QUICK)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-tickets\[fast\]'"):
        pruner.fit(*small_data())
