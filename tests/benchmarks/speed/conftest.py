"""Fixtures that time our code and a peer in turn, and print the ratios as Markdown tables.

Run all as ``OMP_NUM_THREADS=1 python -m pytest -q -rs tests/benchmarks/speed/bench_*.py`` (five
minutes on two cores), or any file alone. Requires pytest-benchmark, whose ``--benchmark-json``
saves every single time, and whose ``--benchmark-disable`` runs everything once.

On a shared machine, seconds mean little, but ratios of runs that follow each other are reliable: in
every round each contender has its turn, and each round gives one ratio. The tests assert that
results agree, and nothing about time.
"""

import time

import numpy as np
import pytest
import torch

COMPARED = "what | ours | peer | peer : ours (min - max) | goal | results differ by"
GROWN = "growth | at each size, least | line | farthest from it"
ROWS: dict[str, list[str]] = {COMPARED: [], GROWN: []}


def pytest_configure(config):
    # The tables below replace those of pytest-benchmark, which --benchmark-verbose prints.
    config.option.benchmark_quiet = True


def pytest_terminal_summary(terminalreporter):
    for head, rows in ROWS.items():
        if rows:
            rule = " | ".join(["---"] * len(head.split(" | ")))
            lines = [f"| {line} |" for line in (head, rule, *rows)]
            terminalreporter.write_line("\n" + "\n".join(lines))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    # Threads and processes of a search read the number from the environment only.
    if torch.get_num_threads() != 1:
        pytest.exit("Set OMP_NUM_THREADS=1 to use one thread in each process.", returncode=4)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Name the device on which networks are trained."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return request.param


def seconds(function):
    """Return the seconds that a call takes, and its result."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


@pytest.fixture
def take_turns(benchmark):
    """Measure several functions, one after the other in every round.

    `measure` calls a function, and returns a number and the function's result. Warm-up rounds,
    which load code, come first and do not count. pytest-benchmark itself times the last function.
    Returns the numbers, of shape (n_functions, n_rounds), and the results of the last round.
    """

    def run(functions, n_rounds, n_warm_ups=1, measure=seconds):
        numbers, results = [[] for _ in functions], [None] * len(functions)

        def turn(i):
            number, results[i] = measure(functions[i])
            numbers[i].append(number)

        def others():
            for i in range(len(functions) - 1):
                turn(i)

        last = len(functions) - 1
        benchmark.pedantic(turn, (last,), setup=others, rounds=n_rounds, warmup_rounds=n_warm_ups)
        benchmark.extra_info["turns"] = numbers
        return np.array(numbers)[:, -n_rounds:], results

    return run


@pytest.fixture
def compare(take_turns):
    """Add a row to the table: ours, a peer, and the difference between their results.

    The ratio is that of the medians; its range is that of the rounds. `difference` is computed
    from the peer's result and ours; the test fails if it is greater than `within`.
    """

    def run(what, ours, peer, difference, *, within, goal, unit="s", **turns):
        (theirs, own), results = take_turns([peer, ours], **turns)
        differ = float(difference(*results))
        assert differ <= within, f"{what}: results differ by {differ:.3g}"
        median, peers, ratios = np.median(own), np.median(theirs), theirs / own
        ROWS[COMPARED].append(
            f"{what} | {median:.3g} {unit} | {peers:.3g} {unit} | "
            f"{peers / median:.3g} ({ratios.min():.3g} - {ratios.max():.3g}) | {goal} | "
            f"{differ:.1g} (at most {within:g})"
        )

    return run


@pytest.fixture
def grow(take_turns):
    """Add a row to the table of growth: the same job at several sizes.

    The line a + b n is fitted by relative least squares: a is the fixed cost. There is no peer to
    divide by, so the minimum over the rounds is used.
    """

    def run(what, jobs, *, per, **turns):
        numbers, _ = take_turns(list(jobs.values()), **turns)
        sizes, least = np.array(list(jobs)), numbers.min(axis=1)
        slope, fixed = np.polyfit(sizes, least, 1, w=1 / least)
        farthest = np.abs((fixed + slope * sizes) / least - 1).max()
        each = ", ".join(f"{n}: {number / n:.3g}" for n, number in zip(sizes, least, strict=True))
        ROWS[GROWN].append(f"{what} | {each} {per} | {fixed:.2g} + {slope:.3g} n | {farthest:.0%}")

    return run
