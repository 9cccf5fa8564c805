"""Why tickets win, on digits: stability, rewinding, and the effect of interventions.

Run ``python tests/benchmarks/stability.py`` for all sections (about an hour on one core), or name
them: ``instability rewinding causality signs``. A fifth of the training labels are random: without
them, digits are too easy for training to be unstable. Every figure is the mean over seeds 0 to 4
and the half-width of its 95 % interval (Student's t).
"""

from collections.abc import Iterable

import numpy as np
import torch
from _common import make_classifier, print_header, print_row, run_sections
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
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
# Every round prunes a fifth of the weights.
N_ROUNDS = 24
SHOWN = (0, 3, 6, 9, 12, 15, 18, 20, 22, 24)

X, y = load_digits(return_X_y=True)
X, X_TEST, y, Y_TEST = train_test_split(
    (X / 16).astype(np.float32), y, test_size=1 / 3, stratify=y, random_state=0
)
_rng = np.random.RandomState(0)
y = np.where(_rng.uniform(size=len(y)) < 0.2, _rng.randint(10, size=len(y)), y)


def make_net(batch_size: int, warm_up: int = 0, callbacks=()) -> NeuralNetClassifier:
    """Make a LeNet-300-100 net with a rate that is high for small batches, and cosine decay.

    The rate may rise during a few epochs of warm-up first.
    """
    n_batches = -(-len(X) // batch_size)

    def rate(step: int) -> float:
        rise = min(1.0, (step + 1) / (warm_up * n_batches + 1))
        return rise * (1 + np.cos(np.pi * step / (EPOCHS * n_batches))) / 2

    cosine = LRScheduler(LambdaLR, lr_lambda=rate, step_every="batch")
    return make_classifier(
        LeNet300100,
        module__init="he",
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.1,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        callbacks=[cosine, *callbacks],
    )


def interval(values: Iterable[float]) -> str:
    """Format the mean and the half-width of its 95 % interval."""
    values = np.array(list(values))
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.3f} ± {half:.3f}"


def accuracy(pruner, state=None) -> float:
    """Compute the accuracy on the test data."""
    outputs = infer(pruner.estimator_.module_, X_TEST, state)
    return float(np.mean(outputs.argmax(axis=1) == Y_TEST))


def study(title: str, net: NeuralNetClassifier, controls) -> None:
    """Print the accuracy of tickets and of their controls in one setting, by density."""
    curves: dict[str, list[list[float]]] = {"ticket": [], "angle to the next round": []}
    for seed in SEEDS:
        pruner = IterativeMagnitudePruner(
            net,
            sparsity=1 - 0.8**N_ROUNDS,
            n_rounds=N_ROUNDS,
            store_rounds=True,
            random_state=seed,
        ).fit(X, y)
        # Round t + 1 trains under the mask of round t; the last training is that of the ticket.
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
    print(f"\n{title}\n")
    print_header("density", *curves)
    for row, t in enumerate(SHOWN):
        cells = (interval(values) for values in np.array(list(curves.values()))[:, :, row])
        print_row(f"{0.8**t:.4f}", *cells)


def reinitialized(mask, state, seed):
    """Use the mask on other initial weights."""
    return {"mask": mask, "reinitialize": True}


def shuffled(mask, state, seed):
    """Use as many weights in every layer, at random positions."""
    return {"mask": mask.shuffled(seed)}


def trained_signs(mask, state, seed):
    """Use the mask and the signs of its trained weights, with redrawn magnitudes."""
    return {"mask": mask, "reinitialize": True, "signs": state}


def instability() -> None:
    """Print the barrier, on test data, between two copies that part after k epochs."""
    epochs = (0, 1, 2, 5, 10, 15)
    nets = {f"batch size {size}": make_net(size) for size in (SMALL, 32, 64, LARGE, 256)}
    nets[f"batch size {SMALL}, rate .02"] = make_net(SMALL).set_params(lr=0.02)
    nets[f"batch size {SMALL}, warm-up"] = make_net(SMALL, warm_up=5)
    print()
    print_header("setting", *(f"k = {k}" for k in epochs), "error")
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
        cells = (interval(rows.loc[rows["start_epoch"] == k, "barrier"]) for k in epochs)
        print_row(name, *cells, f"{rows['error_a'].median():.3f}")


def rewinding() -> None:
    """Compare tickets rewound to initialization with the same masks on other weights."""
    one = {"re-initialized": reinitialized}
    both = one | {"shuffled": shuffled}
    study(f"Unstable: batch size {SMALL}", make_net(SMALL), controls=both)
    study(f"Stable: batch size {LARGE}", make_net(LARGE), controls=both)
    slow = make_net(SMALL).set_params(lr=0.02)
    study(f"Batch size {SMALL}, rate .02", slow, controls=one)
    warm = make_net(SMALL, warm_up=5)
    study(f"Batch size {SMALL}, five epochs of warm-up", warm, controls=one)


def causality() -> None:
    """Repel and attract optima, ten times as strongly as published.

    Networks that start from the same wide initialization point in almost the same direction,
    where the penalty is flat: a strength of 20 is needed to make solutions orthogonal, instead of
    the published 2.
    """
    repel = make_net(LARGE, callbacks=[RepelOptima(20.0)])
    study(f"Batch size {LARGE}, repelled", repel, controls={"re-initialized": reinitialized})
    attract = make_net(SMALL, callbacks=[RepelOptima(-10.0)])
    study(f"Batch size {SMALL}, attracted", attract, controls={"re-initialized": reinitialized})


def signs() -> None:
    """Compare the roles of a ticket's mask, signs and magnitudes."""
    parts = {"mask and signs": trained_signs, "mask, random signs": reinitialized}
    study(f"Batch size {LARGE}", make_net(LARGE), controls=parts)


if __name__ == "__main__":
    run_sections(__doc__.splitlines()[0], [instability, rewinding, causality, signs])
