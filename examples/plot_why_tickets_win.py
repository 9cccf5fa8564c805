"""
Why do tickets win? Stability, rewinding and rounds
===================================================

Iterative magnitude pruning trains a network, prunes its smallest weights, rewinds the rest to their
initial values, and repeats this. Why should the initial values matter? One answer is that each
round finds the solution of the previous round again if training is *stable*, that is, if its
outcome does not depend on its noise. If training is not stable, the initial values are worth no
more than others.
"""

# %%
# Two ways to train the same network
# ----------------------------------
# The learning rate is high for small batches; large batches make the same training stable. A fifth
# of the training labels are random: without them, digits are too easy for training to be unstable.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler

from sklearn_tickets.inspection import (
    InstabilityDisplay,
    RoundsDisplay,
    instability_analysis,
    round_connectivity,
)
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, IterativeMagnitudePruner

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    (X / 16).astype("float32"), y, test_size=1 / 3, random_state=0, stratify=y
)
rng = np.random.RandomState(0)
is_random = rng.uniform(size=len(y_train)) < 0.2
y_train = np.where(is_random, rng.randint(10, size=len(y_train)), y_train)
n_epochs = 10


def make_net(batch_size):
    return NeuralNetClassifier(
        MLP,
        module__hidden=(200, 100),
        module__init="he",
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.1,
        batch_size=batch_size,
        max_epochs=n_epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[LRScheduler("CosineAnnealingLR", T_max=n_epochs)],
    )


nets = {"batches of 16": make_net(16), "batches of 128": make_net(128)}

# %%
# Two copies share the first epochs and then see the data in different orders. If the error rises
# along the straight line between their final weights, noise has led them to different solutions.
settings = {"start_epochs": (0, 5), "n_pairs": 2, "random_state": 0}
InstabilityDisplay(
    {
        name: instability_analysis(net, X_train, y_train, X_test=X_test, y_test=y_test, **settings)
        for name, net in nets.items()
    }
).plot()
plt.show()

# %%
# Tickets and controls
# --------------------
# The control has the ticket's mask on other initial weights. With small batches it does as well as
# the ticket; with large batches it does not. (Large batches also mean fewer steps, which other
# weights would need most; docs/results/why.md separates the two effects by small batches at a lower
# rate.)
pruners = {
    name: IterativeMagnitudePruner(
        net, sparsity=0.95, n_rounds=4, store_rounds=True, train_ticket=False, random_state=0
    ).fit(X_train, y_train)
    for name, net in nets.items()
}


def accuracies(name, reinitialize):
    return [
        GivenMaskPruner(nets[name], record["mask"], reinitialize=reinitialize, random_state=0)
        .fit(X_train, y_train)
        .score(X_test, y_test)
        for record in pruners[name].rounds_[1:]
    ]


_, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained", sharey=True)
for ax, (name, pruner) in zip(axes, pruners.items(), strict=True):
    densities = [record["density"] for record in pruner.rounds_[1:]]
    ax.plot(densities, accuracies(name, False), "o-", color="#0072b2", label="ticket")
    ax.plot(densities, accuracies(name, True), "s--", color="#d55e00", label="re-initialized")
    ax.set(xscale="log", xlabel="density", title=name)
    ax.set_xticks(densities, [f"{density:.2g}" for density in densities])
    ax.minorticks_off()
axes[0].set_ylabel("accuracy")
axes[0].legend()
plt.show()

# %%
# Rounds
# ------
# When training is stable, no barrier separates neighboring rounds, and their weights point in more
# similar directions.
fig, axes = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
for row, (name, pruner) in zip(axes, pruners.items(), strict=True):
    display = RoundsDisplay(round_connectivity(pruner, X_test, y_test, X_train=X_train))
    for ax, quantity in zip(row, ("barrier", "angular_distance"), strict=True):
        display.plot(quantity, ax)
        ax.set_title(f"{name}: {quantity.replace('_', ' ')}")
plt.show()
