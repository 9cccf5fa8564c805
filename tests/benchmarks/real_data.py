"""Every pruner with its default parameters on four data sets of scikit-learn.

``python tests/benchmarks/real_data.py [pruner ...]`` (names of classes) prints a Markdown table,
medians (lowest - highest) over seeds 0 to 2, accuracy or, on diabetes, R2: a quarter is held out
for testing, features (and diabetes' targets) are standardized, MLP with two hidden layers of 100
units, Adam at 3e-3, batch size 32, 30 epochs, four fifths of the weights removed. Pruners that do
not train their tickets by default (``train_ticket=False``) are measured by ``strong_predict``.
``GivenMaskPruner`` has no mask and is the dense net; ``RandomPruner`` is the control of trained
tickets and, untrained, of strong ones.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from _common import make_classifier, prepare_worker, print_header, print_row, spread
from joblib import Parallel, delayed
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet, NeuralNetRegressor

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import RandomPruner
from sklearn_tickets.pruners.base import BasePruner, SparsityPruner
from sklearn_tickets.utils import all_pruners

SEEDS = range(3)
SPARSITY = 0.8
DATA = {
    "digits": load_digits,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "diabetes": load_diabetes,
}
SETTINGS = {"optimizer": torch.optim.Adam, "lr": 3e-3, "batch_size": 32, "max_epochs": 30}


def load(name: str, seed: int) -> list[np.ndarray]:
    """Load standardized data: three quarters for training, and a quarter for testing."""
    X, y = DATA[name](return_X_y=True)
    classes = None if name == "diabetes" else y
    X, X_test, y, y_test = train_test_split(X, y, stratify=classes, random_state=seed)
    scaler = StandardScaler().fit(X)
    if classes is None:
        y, y_test = (y - y.mean()) / y.std(), (y_test - y.mean()) / y.std()
    return [scaler.transform(X), scaler.transform(X_test), y, y_test]


def make_net(name: str) -> NeuralNet:
    """Make the net for a data set."""
    module = partial(MLP, hidden=(100, 100))
    if name == "diabetes":
        shuffled = {"iterator_train__shuffle": True, "train_split": None, "verbose": 0}
        return NeuralNetRegressor(module, **shuffled, **SETTINGS)
    return make_classifier(module, **SETTINGS)


def measure(cls: type[BasePruner], name: str, seed: int, **params: object) -> float:
    """Measure the quality of a pruner's result on test data."""
    prepare_worker()
    X, X_test, y, y_test = load(name, seed)
    pruner = cls(make_net(name), random_state=seed, **params)
    if issubclass(cls, SparsityPruner):
        pruner.set_params(sparsity=SPARSITY)
    pruner.fit(X, y)
    predict = pruner.predict if pruner.train_ticket else pruner.strong_predict
    metric = r2_score if name == "diabetes" else accuracy_score
    return metric(y_test, predict(X_test))


def rows() -> Iterator[tuple[str, type[BasePruner], dict[str, object]]]:
    """Yield the label, the class and the parameters of each row."""
    for name, cls in all_pruners():
        yield name, cls, {}
    yield "RandomPruner, untrained", RandomPruner, {"train_ticket": False}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pruners", nargs="*")
    chosen = parser.parse_args().pruners
    print_header("pruner", *DATA)
    for label, cls, params in rows():
        if chosen and label not in chosen:
            continue
        runs = (delayed(measure)(cls, name, seed, **params) for name in DATA for seed in SEEDS)
        found = np.reshape(Parallel(n_jobs=-1)(runs), (len(DATA), len(SEEDS)))
        print_row(label, *(spread(values, ".3f") for values in found))
