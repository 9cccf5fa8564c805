"""`Case`: a small module, the data it is trained on, and what is known of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

N_ROWS = 48
N_TOKENS = 7


def _mixed(rng):
    numbers = rng.standard_normal((N_ROWS, 6))
    numbers[:, :2] = rng.integers(N_TOKENS, size=(N_ROWS, 2))
    return numbers


INPUTS = {
    "vectors": lambda rng: rng.standard_normal((N_ROWS, 6)),
    "sequences": lambda rng: rng.standard_normal((N_ROWS, 5, 4)),
    "signals": lambda rng: rng.standard_normal((N_ROWS, 2, 12)),
    "images": lambda rng: rng.standard_normal((N_ROWS, 2, 6, 6)),
    "volumes": lambda rng: rng.standard_normal((N_ROWS, 1, 4, 4, 4)),
    "tokens": lambda rng: rng.integers(N_TOKENS, size=(N_ROWS, 6)),
    "mixed": _mixed,  # two columns of tokens, then numbers
}
TARGETS = {
    "classes": lambda signal: np.where(signal[:, 0] > 0, "up", "down"),
    "binary": lambda signal: np.where(signal[:, 0] > 0, "up", "down"),
    "number": lambda signal: signal[:, 0].astype(np.float32),
    "numbers": lambda signal: signal.astype(np.float32),
}


@dataclass(frozen=True)
class Case:
    """A module of the zoo.

    Parameters
    ----------
    module : callable
        The class or factory that a skorch net gets.
    X : str
        The kind of inputs, a key of `INPUTS`.
    y : str
        The kind of targets, a key of `TARGETS`. For "binary" the module has a single logit,
        for "numbers" it returns six regression outputs.
    refuses : frozenset of str
        What may end in a ValueError: "fit", the fit of a pruner by its name, "compact" and
        "onnx". Everything else has to work.
    mistake : bool
        Whether no right result exists, so that a fit has to refuse the module.
    exact : bool
        Whether every effective weight changes outputs: no operation is unusual.
    constants : bool
        Whether units that read nothing are not 0 even without biases. What reads such a unit
        is not effective, but changes outputs as a bias does.
    random : bool
        Whether training draws random numbers, as dropout does.
    """

    module: Callable[[], nn.Module]
    X: str
    y: str
    refuses: frozenset[str]
    mistake: bool
    exact: bool
    constants: bool
    random: bool

    def draw(self, seed=0):
        """Draw inputs of its kind."""
        return INPUTS[self.X](np.random.default_rng(seed)).astype(np.float32)

    def data(self):
        """Draw inputs, and targets that are linear in them or, as classes, the sign of that."""
        X = self.draw()
        rows = X.reshape(len(X), -1)
        rows = rows - rows.mean(axis=0)
        weights = np.random.default_rng(1).standard_normal((rows.shape[1], 6))
        return X, TARGETS[self.y](rows @ weights / np.sqrt(rows.shape[1]))


ZOO: dict[str, Case] = {}


def case(X, *, y="classes", refuses=(), mistake=False, exact=True, constants=False, random=False):
    """Decorate a class or factory that becomes a case under its own name."""

    def register(module):
        assert module.__name__ not in ZOO, f"two modules are called {module.__name__}"
        flags = frozenset(refuses), mistake, exact, constants, random
        ZOO[module.__name__] = Case(module, X, y, *flags)
        return module

    return register


def hidden():
    """Six inputs, one hidden layer, two outputs: a part of other modules."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def head(n_features):
    """Flatten maps, and read them by a linear layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_features, 2))
