"""Tickets of image networks on digits: planted from training, and found by every pruner.

Run ``python tests/benchmarks/images.py`` for everything (half an hour on one core), or name
the sections: ``vgg pruners``.
"""

import argparse
import time
from itertools import product

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.datasets import PlantedModule, plant_ticket
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import VGG, LeNet5, ResNet, initialize
from sklearn_tickets.pruners import LearningRateRewindingPruner, MagnitudePruner, SynFlowPruner
from sklearn_tickets.utils import all_pruners

SEEDS = range(3)


def digits(seed: int) -> list[np.ndarray]:
    """Images and labels for training, and a third for testing."""
    X, y = load_digits(return_X_y=True)
    images = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    X, X_test, y, y_test = train_test_split(
        images, y, test_size=1 / 3, stratify=y, random_state=seed
    )
    return [X, X_test, y, y_test]


def make_net(module, **params) -> NeuralNetClassifier:
    """A net with the settings of all sections."""
    return NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=32,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **params,
    )


def answers(factory: PlantedModule, mask: TicketMask, X: np.ndarray) -> np.ndarray:
    """Classes that the masked host sees, untrained."""
    module = factory(output_scale=True).eval()
    mask.apply_(module)
    with torch.no_grad():
        return module(torch.from_numpy(X)).argmax(dim=1).numpy()


def vgg() -> None:
    """A ticket of one percent, found in one VGG and planted in another, twice as wide."""
    print(
        "\n| ticket of | seed | dense | ticket | planted, untrained | other class | shuffled |",
        end="",
    )
    print(" kept | planted | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    net = make_net(VGG, max_epochs=20, module__depth=16, module__width=0.25)
    pruners = {
        "SynFlow": SynFlowPruner(net, sparsity=0.99, schedule="one-cycle"),
        "learning-rate rewinding": LearningRateRewindingPruner(
            net, sparsity=0.99, n_rounds=8, round_epochs=8, final_epochs=20
        ),
    }
    for name, seed in product(pruners, SEEDS):
        X, X_test, y, y_test = digits(seed)
        dense = MagnitudePruner(net, sparsity=0, random_state=seed).fit(X, y)
        pruner = clone(pruners[name]).set_params(random_state=seed).fit(X, y)
        torch.manual_seed(seed)
        host = VGG(1, 8, 10, depth=16, width=0.5, batch_norm=False)
        initialize(host, "nonzero-bias", bias_scale=0.06)
        began = time.perf_counter()
        factory = plant_ticket(pruner, host, random_state=seed)
        seconds = time.perf_counter() - began

        found = answers(factory, factory.ticket, X_test)
        control = factory.ticket.shuffled(seed)
        cells = [
            name,
            seed,
            f"{dense.score(X_test, y_test):.4f}",
            f"{pruner.score(X_test, y_test):.4f}",
            f"{accuracy_score(y_test, found):.4f}",
            np.sum(found != pruner.predict(X_test)),
            f"{accuracy_score(y_test, answers(factory, control, X_test)):.4f}",
            f"{pruner.mask_.n_kept:,} of {pruner.mask_.n_parameters:,}",
            f"{factory.ticket.n_kept:,} of {factory.ticket.n_parameters:,}",
            f"{seconds:.2f}",
        ]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def pruners() -> None:
    """Accuracy of every pruner at a tenth of the weights, read untrained and trained."""
    print("\n| network | pruner | strong | trained | s |\n|---|---|---|---|---|")
    for module, n_seeds in ((LeNet5, 3), (ResNet, 1)):
        net = make_net(module, max_epochs=10)
        for name, pruner_class in all_pruners():
            if module is ResNet and name in ("GeneticPruner", "LearningRateRewindingPruner"):
                continue  # they train or evaluate too many networks
            rows = []
            for seed in range(n_seeds):
                X, X_test, y, y_test = digits(seed)
                pruner = pruner_class(net, random_state=seed)
                if "sparsity" in pruner.get_params(deep=False):
                    pruner.set_params(sparsity=0.9)
                began = time.perf_counter()
                pruner.set_params(train_ticket=True).fit(X, y)
                seconds = time.perf_counter() - began
                strong = accuracy_score(y_test, pruner.strong_predict(X_test))
                rows.append((strong, pruner.score(X_test, y_test), seconds))
            strong, trained, seconds = np.median(rows, axis=0)
            print(
                f"| {module.__name__} | {name} | {strong:.3f} | {trained:.3f} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    sections = {"vgg": vgg, "pruners": pruners}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[*sections, []], default=list(sections))
    for section in parser.parse_args().sections or sections:
        sections[section]()
