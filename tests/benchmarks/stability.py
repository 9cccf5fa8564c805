"""Why tickets win, on digits: stability, rewinding, and what happens if one interferes.

Run ``python tests/benchmarks/stability.py`` for everything (about an hour on one core), or name the
sections: ``instability rewinding causality signs``. A fifth of the training labels are random:
without, digits are too easy for training to be unstable. Every line is the mean over seeds 0 to 4
and half the width of its 95 % interval (Student's t).
"""

import argparse
from collections.abc import Iterable

import numpy as np
import torch
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sklearn_tickets._network import infer
from sklearn_tickets.inspection import instability_analysis, round_connectivity
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import LeNet300100
from sklearn_tickets.pruners import GivenMaskPruner, IterativeMagnitudePruner
from sklearn_tickets.training import RepelOptima

SEEDS = range(5)
SMALL, LARGE = 16, 128
EPOCHS = 20
# A fifth of the weights goes in every round.
N_ROUNDS = 24
SHOWN = (0, 3, 6, 9, 12, 15, 18, 20, 22, 24)

X, y = load_digits(return_X_y=True)
X, X_TEST, y, Y_TEST = train_test_split(
    (X / 16).astype(np.float32), y, test_size=1 / 3, stratify=y, random_state=0
)
_rng = np.random.RandomState(0)
y = np.where(_rng.uniform(size=len(y)) < 0.2, _rng.randint(10, size=len(y)), y)


def make_net(batch_size: int, warm_up: int = 0, callbacks=()) -> NeuralNetClassifier:
    """LeNet-300-100 at a rate that is high for small batches, and falls along a cosine.

    It may rise over a few epochs first.
    """
    n_batches = -(-len(X) // batch_size)

    def rate(step: int) -> float:
        rise = min(1.0, (step + 1) / (warm_up * n_batches + 1))
        return rise * (1 + np.cos(np.pi * step / (EPOCHS * n_batches))) / 2

    cosine = LRScheduler(LambdaLR, lr_lambda=rate, step_every="batch")
    return NeuralNetClassifier(
        LeNet300100,
        module__init="he",
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.1,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[cosine, *callbacks],
    )


def interval(values: Iterable[float]) -> str:
    """Mean and half the width of its 95 % interval."""
    values = np.array(list(values))
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.3f} ± {half:.3f}"


def accuracy(pruner, state=None) -> float:
    """On the test data."""
    outputs = infer(pruner.estimator_.module_, X_TEST, state)
    return float(np.mean(outputs.argmax(axis=1) == Y_TEST))


def study(title: str, net: NeuralNetClassifier, controls) -> None:
    """Accuracy against density of the tickets in one setting, and of their controls."""
    curves: dict[str, list[list[float]]] = {"ticket": [], "angle to the next round": []}
    for seed in SEEDS:
        pruner = IterativeMagnitudePruner(
            net,
            sparsity=1 - 0.8**N_ROUNDS,
            n_rounds=N_ROUNDS,
            store_rounds=True,
            random_state=seed,
        ).fit(X, y)
        # Round t + 1 trains under the mask of round t, and the last training is the ticket's own.
        states = [record["state"] for record in pruner.rounds_]
        states.append(pruner.estimator_.module_.state_dict())
        masks = [TicketMask.ones_like(pruner.estimator_.module_)]
        masks += [record["mask"] for record in pruner.rounds_]
        curves["ticket"].append([accuracy(pruner, states[t]) for t in SHOWN])
        angles = round_connectivity(pruner, X_TEST, Y_TEST, n_points=2).angular_distance.to_numpy()
        following = [*np.diag(angles, 1), np.nan]
        curves["angle to the next round"].append([following[t] for t in SHOWN])
        for name, change in controls.items():
            curves.setdefault(name, []).append(
                [
                    accuracy(
                        GivenMaskPruner(
                            net, random_state=seed, **change(masks[t], states[t], seed)
                        ).fit(X, y)
                    )
                    for t in SHOWN
                ]
            )
    print(f"\n{title}\n\n| density | {' | '.join(curves)} |\n|{'---|' * (len(curves) + 1)}")
    for row, t in enumerate(SHOWN):
        cells = [interval(values) for values in np.array(list(curves.values()))[:, :, row]]
        print(f"| {0.8**t:.4f} | {' | '.join(cells)} |", flush=True)


def elsewhere(mask, state, seed):
    """The mask on other initial weights."""
    return {"mask": mask, "reinitialize": True}


def shuffled(mask, state, seed):
    """As many weights in every layer, others."""
    return {"mask": mask.shuffled(seed)}


def trained_signs(mask, state, seed):
    """The mask and the signs that its weights had after training, magnitudes drawn anew."""
    return {"mask": mask, "reinitialize": True, "signs": state}


def instability() -> None:
    """Barrier between two copies that part after k epochs, on test data."""
    epochs = (0, 1, 2, 5, 10, 15)
    nets = {f"batch size {size}": make_net(size) for size in (SMALL, 32, 64, LARGE, 256)}
    nets[f"batch size {SMALL}, rate .02"] = make_net(SMALL).set_params(lr=0.02)
    nets[f"batch size {SMALL}, warm-up"] = make_net(SMALL, warm_up=5)
    print(f"\n| setting | {' | '.join(f'k = {k}' for k in epochs)} | error |\n|{'---|' * 8}")
    for name, net in nets.items():
        rows = instability_analysis(
            net,
            X,
            y,
            start_epochs=epochs,
            n_pairs=len(SEEDS),
            X_test=X_TEST,
            y_test=Y_TEST,
            random_state=0,
        )
        cells = [interval(rows.loc[rows["start_epoch"] == k, "barrier"]) for k in epochs]
        print(f"| {name} | {' | '.join(cells)} | {rows['error_a'].median():.3f} |", flush=True)


def rewinding() -> None:
    """Tickets rewound to initialization against the same masks on other weights."""
    one = {"re-initialized": elsewhere}
    both = one | {"shuffled": shuffled}
    study(f"Unstable: batch size {SMALL}", make_net(SMALL), controls=both)
    study(f"Stable: batch size {LARGE}", make_net(LARGE), controls=both)
    slow = make_net(SMALL).set_params(lr=0.02)
    study(f"Batch size {SMALL}, rate .02", slow, controls=one)
    warm = make_net(SMALL, warm_up=5)
    study(f"Batch size {SMALL}, five epochs of warm-up", warm, controls=one)


def causality() -> None:
    """What repelling and attracting do, ten times as strongly as published.

    Networks that start from the same wide initialization point in almost the same direction,
    where the penalty is flat: it takes 20 to make solutions orthogonal, for which 2 was enough.
    """
    repel = make_net(LARGE, callbacks=[RepelOptima(20.0)])
    study(f"Batch size {LARGE}, repelled", repel, controls={"re-initialized": elsewhere})
    attract = make_net(SMALL, callbacks=[RepelOptima(-10.0)])
    study(f"Batch size {SMALL}, attracted", attract, controls={"re-initialized": elsewhere})


def signs() -> None:
    """What of a ticket is in its mask, its signs and its magnitudes."""
    parts = {"mask and signs": trained_signs, "mask, random signs": elsewhere}
    study(f"Batch size {LARGE}", make_net(LARGE), controls=parts)


if __name__ == "__main__":
    sections = {f.__name__: f for f in (instability, rewinding, causality, signs)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[*sections, []], default=list(sections))
    for section in parser.parse_args().sections or sections:
        sections[section]()
