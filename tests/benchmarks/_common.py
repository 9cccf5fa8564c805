"""Helpers that the benchmark scripts share."""

import argparse
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, mean_squared_error
from skorch import NeuralNetClassifier

from sklearn_tickets.datasets import PlantedTicket, PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import PlantingTask
from sklearn_tickets.masks import LayerCollapseWarning

Data = tuple[NDArray, NDArray]


def prepare_worker() -> None:
    """Use one thread in this process, and do not warn of collapsed networks."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", LayerCollapseWarning)


def plant(task: str | PlantingTask, seed: int) -> tuple[PlantedTicket, Data, Data]:
    """Plant a ticket at depth 5 and width 100; return 9000 training and 1000 test samples."""
    planted = PlantedTicketGenerator(task, random_state=seed).generate(10_000)
    X, y = planted.X, planted.y
    return planted, (X[:9000], y[:9000]), (X[9000:], y[9000:])


def quality(task: str, y_true: NDArray, y_pred: NDArray) -> float:
    """Compute the accuracy on circle, and the mean squared error on regression tasks."""
    metric = accuracy_score if task == "circle" else mean_squared_error
    return metric(y_true, y_pred)


def make_classifier(
    module: type[torch.nn.Module] | Callable[..., torch.nn.Module], **params: object
) -> NeuralNetClassifier:
    """Make a silent net that trains on all data, shuffled, with the cross-entropy."""
    return NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **params,
    )


def print_header(*names: object) -> None:
    """Print the header of a Markdown table."""
    print_row(*names)
    print(f"|{'---|' * len(names)}", flush=True)


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def spread(values: ArrayLike, spec: str = ".3g") -> str:
    """Format the median of values, and their range in parentheses."""
    median, low, high = (format(f(values), spec) for f in (np.median, np.min, np.max))
    return f"{median} ({low} - {high})"


def run_sections(description: str, functions: Iterable[Callable[[], None]]) -> None:
    """Run the functions that are named on the command line, or all of them."""
    sections = {function.__name__: function for function in functions}
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("sections", nargs="*", choices=[*sections, []], default=[])
    for name in parser.parse_args().sections or sections:
        sections[name]()
