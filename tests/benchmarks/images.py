"""Tickets of image networks on digits: planted after training, sought, and found by every pruner.

Run ``python tests/benchmarks/images.py`` for all sections (an hour on one core), or name them:
``vgg seek pruners``.
"""

import time
from itertools import product

import numpy as np
import torch
from _common import make_classifier, print_header, print_row, run_sections
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from sklearn_tickets.datasets import PlantedModule, plant_ticket
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import ticket_chance_level, ticket_overlap_score
from sklearn_tickets.models import VGG, LeNet5, ResNet, initialize
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    RandomPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import BasePruner
from sklearn_tickets.utils import all_pruners

SEEDS = range(3)
# Of the VGG whose ticket is planted.
SOURCE = {"max_epochs": 20, "module__depth": 16, "module__width": 0.25}


def load_images(seed: int) -> list[np.ndarray]:
    """Load images and labels for training, and a third for testing."""
    X, y = load_digits(return_X_y=True)
    images = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    return train_test_split(images, y, test_size=1 / 3, stratify=y, random_state=seed)


def make_net(module, **params) -> NeuralNetClassifier:
    """Make a net with the settings of all sections."""
    return make_classifier(module, optimizer=torch.optim.Adam, lr=1e-3, batch_size=32, **params)


def predict_masked(factory: PlantedModule, mask: TicketMask, X: np.ndarray) -> np.ndarray:
    """Predict classes with the masked host, without training."""
    module = factory(output_scale=True).eval()
    mask.apply_(module)
    with torch.no_grad():
        return module(torch.from_numpy(X)).argmax(dim=1).numpy()


def plant(pruner: BasePruner, seed: int) -> PlantedModule:
    """Plant what a pruner found in a VGG of half the width without batch normalization."""
    torch.manual_seed(seed)
    host = VGG(1, 8, 10, depth=16, width=0.5, batch_norm=False)
    initialize(host, "nonzero-bias", bias_scale=0.06)
    return plant_ticket(pruner, host, random_state=seed)


def vgg() -> None:
    """Find a ticket of one percent in a VGG, and plant it in another one, twice as wide."""
    print()
    names = ["ticket of", "seed", "dense", "ticket", "planted, untrained", "other class"]
    print_header(*names, "shuffled", "kept", "planted", "s")
    net = make_net(VGG, **SOURCE)
    pruners = {
        "SynFlow": SynFlowPruner(net, sparsity=0.99, schedule="one-cycle"),
        "learning-rate rewinding": LearningRateRewindingPruner(
            net, sparsity=0.99, n_rounds=8, round_epochs=8, final_epochs=20
        ),
    }
    for name, seed in product(pruners, SEEDS):
        X, X_test, y, y_test = load_images(seed)
        dense = MagnitudePruner(net, sparsity=0, random_state=seed).fit(X, y)
        pruner = clone(pruners[name]).set_params(random_state=seed).fit(X, y)
        began = time.perf_counter()
        factory = plant(pruner, seed)
        seconds = time.perf_counter() - began

        found = predict_masked(factory, factory.ticket, X_test)
        control = predict_masked(factory, factory.ticket.shuffled(seed), X_test)
        print_row(
            name,
            seed,
            f"{dense.score(X_test, y_test):.4f}",
            f"{pruner.score(X_test, y_test):.4f}",
            f"{accuracy_score(y_test, found):.4f}",
            np.sum(found != pruner.predict(X_test)),
            f"{accuracy_score(y_test, control):.4f}",
            f"{pruner.mask_.n_kept:,} of {pruner.mask_.n_parameters:,}",
            f"{factory.ticket.n_kept:,} of {factory.ticket.n_parameters:,}",
            f"{seconds:.2f}",
        )


def seek() -> None:
    """Look for the ticket that was planted in a VGG: strong tickets of half its parameters."""
    print()
    names = ["seed", "pruner", "strong", "overlap", "by chance", "planted", "shuffled", "s"]
    print_header(*names)
    for seed in SEEDS:
        X, X_test, y, y_test = load_images(seed)
        source = SynFlowPruner(
            make_net(VGG, **SOURCE), sparsity=0.99, schedule="one-cycle", random_state=seed
        )
        factory = plant(source.fit(X, y), seed)
        truth = factory.ticket
        planted, shuffled = (
            accuracy_score(y_test, predict_masked(factory, mask, X_test))
            for mask in (truth, truth.shuffled(seed))
        )
        net = make_net(factory, max_epochs=10)
        for pruner_class in (EdgePopupPruner, RandomPruner):
            pruner = pruner_class(net, sparsity=0.5, prune_bias=True, random_state=seed)
            began = time.perf_counter()
            pruner.set_params(train_ticket=False).fit(X, y)
            seconds = time.perf_counter() - began
            print_row(
                seed,
                pruner_class.__name__,
                f"{accuracy_score(y_test, pruner.strong_predict(X_test)):.4f}",
                f"{ticket_overlap_score(truth, pruner.mask_):.4f}",
                f"{ticket_chance_level(truth, pruner.mask_):.4f}",
                f"{planted:.4f}",
                f"{shuffled:.4f}",
                f"{seconds:.0f}",
            )


def pruners() -> None:
    """Measure the accuracy of every pruner at a tenth of the weights, untrained and trained."""
    print()
    print_header("network", "pruner", "strong", "trained", "s")
    for module, n_seeds in ((LeNet5, 3), (ResNet, 1)):
        net = make_net(module, max_epochs=10)
        for name, pruner_class in all_pruners():
            if module is ResNet and name in ("GeneticPruner", "LearningRateRewindingPruner"):
                continue  # these train or evaluate too many networks
            rows = []
            for seed in range(n_seeds):
                X, X_test, y, y_test = load_images(seed)
                pruner = pruner_class(net, random_state=seed)
                if "sparsity" in pruner.get_params(deep=False):
                    pruner.set_params(sparsity=0.9)
                began = time.perf_counter()
                pruner.set_params(train_ticket=True).fit(X, y)
                seconds = time.perf_counter() - began
                strong = accuracy_score(y_test, pruner.strong_predict(X_test))
                rows.append((strong, pruner.score(X_test, y_test), seconds))
            strong, trained, seconds = np.median(rows, axis=0)
            qualities = f"{strong:.3f}", f"{trained:.3f}"
            print_row(module.__name__, name, *qualities, f"{seconds:.0f}")


if __name__ == "__main__":
    run_sections(__doc__.splitlines()[0], [vgg, seek, pruners])
