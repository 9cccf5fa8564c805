"""`train_together`: run trainings side by side, as one network where possible."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from sklearn.utils import gen_even_slices

from sklearn_tickets.model_selection._fit import Course
from sklearn_tickets.model_selection._make_stack import make_stack
from sklearn_tickets.model_selection._member import CannotStackError, Member, n_step_bytes
from sklearn_tickets.training import Training

LOGGER = logging.getLogger("sklearn_tickets")
# Smaller stacks are slower than skorch.
MIN_MEMBERS = 3
# Half of a processor's shared cache. Larger stacks are slower, as each step reads all weights.
_CACHE_BYTES = 2**24


class Log:
    """Logs what is said about stacks, each message of level INFO only once."""

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}

    def __call__(self, level: int, message: str) -> None:
        if level < logging.INFO or message not in self.messages:
            LOGGER.log(level, message)
        self.messages[message] = level


def train_together(sequences: Iterable[Generator[Training, None, None]]) -> None:
    """Run sequences of trainings side by side, in stacks where possible.

    Parameters
    ----------
    sequences : iterable of generator
        Each yields its trainings, of a net of its own, to be run before it resumes. Its random
        streams are its own as well.

    Raises
    ------
    Exception
        The error of the first sequence that fails.
    """
    courses: list[Course] = []
    try:
        for trainings in sequences:
            courses.append(Course(trainings))
        finish(courses, Log())
    finally:
        for course in courses:
            course.close()
    for course in courses:
        if course.error is not None:
            raise course.error


def finish(courses: Sequence[Course], log: Callable[[int, str], None]) -> None:
    """Run all trainings."""
    obstacles: dict[bytes, str | None] = {}
    while waiting := [course for course in courses if course.training is not None]:
        groups: dict[bytes, list[tuple[Course, Member]]] = defaultdict(list)
        for course in waiting:
            if not course.training.n_epochs:
                course.train()
                continue
            try:
                member = course.member(obstacles)
            except CannotStackError as error:
                log(logging.INFO, f"Trainings are not stacked: {error}.")
                course.train()
            else:
                groups[member.key].append((course, member))
        if len(waiting) >= MIN_MEMBERS > max(map(len, groups.values()), default=len(courses)):
            log(
                logging.INFO,
                f"Trainings are not stacked: fewer than {MIN_MEMBERS} have the same network, "
                "optimizer, loss, batch size and numbers of batches and epochs.",
            )
        for group in groups.values():
            for stack in _stacks(group):
                _train(stack, log)


def _stacks(group: list[tuple[Course, Member]]) -> Iterator[list[list[tuple[Course, Member]]]]:
    """Divide trainings into stacks that the cache holds, with equal trainings side by side."""
    group.sort(key=lambda pair: (repr(pair[1].settings), len(pair[1].batches.X)))
    equal = defaultdict(list)
    for pair in group:
        equal[pair[1].fingerprint].append(pair)
    different = [*equal.values()]
    first = group[0][1]
    n_stacks = 1
    if first.net.device == "cpu":
        n_stacks = -(-len(different) * n_step_bytes(first.training) // _CACHE_BYTES)
    n_stacks = max(1, min(n_stacks, len(different) // MIN_MEMBERS))
    for part in gen_even_slices(len(different), n_stacks):
        yield different[part]


def _train(stack: list[list[tuple[Course, Member]]], log: Callable[[int, str], None]) -> None:
    """Train as one network, as several if memory is short, or one by one.

    Each entry of the stack has the courses of one training.
    """
    courses = [course for pairs in stack for course, _ in pairs]
    if len(courses) < MIN_MEMBERS:
        for course in courses:
            course.train()
        return
    began = time.perf_counter()
    problem = None
    try:
        trained = make_stack([pairs[0][1] for pairs in stack]).train()
    except Exception as error:
        problem = str(error) or type(error).__name__
    # At this point, a stack that has failed no longer occupies memory.
    seconds = (time.perf_counter() - began) / len(courses)
    for course in courses:
        course.seconds += seconds
    if problem is None:
        log(logging.DEBUG, f"Trained {len(courses)} fits as one network.")
        for pairs, own in zip(stack, trained, strict=True):
            for course, member in pairs:
                if own is None:
                    course.train()
                else:
                    course.load(member, own)
    elif "memory" in problem.lower() and len(stack) > 1:
        log(logging.INFO, f"A stack of {len(courses)} fits is split: {problem}")
        half = len(stack) // 2
        _train(stack[:half], log)
        _train(stack[half:], log)
    else:
        log(logging.INFO, f"{len(courses)} fits are trained one by one: {problem}")
        for course in courses:
            course.train()
