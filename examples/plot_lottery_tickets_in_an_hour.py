"""
The lottery ticket hypothesis in an hour
========================================

A lesson for a laptop: what a lottery ticket is, how to find one, and how to tell that it is one.
It has four exercises, with solutions. On real data nobody knows the answers; here the ticket is
planted, so that every answer can be checked. Download the notebook at the end of this page, and
stop at each exercise before you read on.
"""

# %%
# A needle in a haystack
# ----------------------
# Somebody hid a small network in a large random one. The small one sorts points into the four
# rings of a target. Its connections are the ``mask``: which of the large network's parameters it
# consists of.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.inspection import TicketMaskDisplay
from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.metrics import ticket_chance_level, ticket_overlap_score
from sklearn_tickets.pruners import (
    GivenMaskPruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    RandomPruner,
)

planted = PlantedTicketGenerator("circle", width=50, random_state=0).generate(2000)
X, y, truth = planted.X, planted.y, planted.mask
X_test, y_test = planted.sample(10_000, random_state=1)

_, (ax, network) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
ax.scatter(*X[:1500].T, c=y[:1500], s=6)
ax.set_aspect("equal")
TicketMaskDisplay.from_masks(None, truth, kind="network", ax=network)
truth

# %%
# A strong ticket
# ---------------
# The large network has not been trained. Keep all of its parameters, and it guesses. Keep only
# those of the ticket, at the random values that they have, and it knows the rings. Nothing was
# trained: somebody chose *which* random weights to keep.
net = planted.make_net(lr=1e-2, batch_size=64)
untrained = {"train_ticket": False, "random_state": 0}
pd.Series(
    {
        "all parameters": GivenMaskPruner(net, **untrained).fit(X, y).score(X_test, y_test),
        "the ticket": GivenMaskPruner(net, truth, **untrained).fit(X, y).score(X_test, y_test),
    },
    name="accuracy without training",
)

# %%
# **Exercise 1.** Is that so special? Keep as many parameters at random, and measure their
# accuracy. ``truth.sparsity`` is the fraction that the ticket removes.
#
# *Solution.* Twenty random masks of this size are no better than guessing: most cut every path
# from the inputs to the outputs. That is why random search finds no tickets.
random_accuracies = []
with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
    for seed in range(20):
        control = RandomPruner(
            net, sparsity=truth.sparsity, prune_bias=True, train_ticket=False, random_state=seed
        )
        random_accuracies.append(control.fit(X, y).score(X_test, y_test))
print(
    f"best of 20: {max(random_accuracies):.3f}; largest class: {np.bincount(y).max() / len(y):.3f}"
)

# %%
# A weak ticket
# -------------
# The hypothesis of Frankle and Carbin is about training: a large network contains a small one
# that, trained *from the same initial weights*, does as well as the whole. Their way to find it
# is iterative magnitude pruning: train, remove the smallest weights, set the others back to
# their initial values, and repeat.
settings = {"prune_bias": True, "random_state": 0, "schedule": "one-cycle"}
densities = (0.3, 0.1, 0.05)
curves = {}
for density in densities:
    imp = IterativeMagnitudePruner(
        net, sparsity=1 - density, n_rounds=4, round_epochs=8, final_epochs=20, **settings
    ).fit(X, y)
    at_once = MagnitudePruner(
        net, sparsity=1 - density, round_epochs=8, final_epochs=20, **settings
    ).fit(X, y)
    chance = RandomPruner(net, sparsity=1 - density, final_epochs=20, **settings).fit(X, y)
    curves[density] = {
        "iterative magnitude pruning": imp.score(X_test, y_test),
        "magnitude, at once": at_once.score(X_test, y_test),
        "random mask": chance.score(X_test, y_test),
    }
curves = pd.DataFrame(curves).T
ax = curves.plot(marker="o", logx=True, xlabel="density", ylabel="accuracy", figsize=(7, 4))
ax.invert_xaxis()
curves.round(3)

# %%
# **Exercise 2.** Is it the mask, or the initial weights? Train the mask of the last ``imp`` from
# other initial weights, and shuffle it within its layers. (``GivenMaskPruner`` takes a mask, and
# ``reinitialize=True``; masks have ``shuffled``.)
#
# *Solution.* These are the controls of every claim about a ticket. What they reach is due to the
# sizes of the layers, or to the structure; only what goes beyond is due to the ticket's own
# weights.
training = {"final_epochs": 20, "schedule": "one-cycle", "random_state": 0}
with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
    controls = {
        "the ticket": GivenMaskPruner(net, imp.mask_, **training),
        "other initial weights": GivenMaskPruner(net, imp.mask_, reinitialize=True, **training),
        "shuffled mask": GivenMaskPruner(net, imp.mask_.shuffled(0), **training),
    }
    accuracies = {name: each.fit(X, y).score(X_test, y_test) for name, each in controls.items()}
pd.Series(accuracies, name="accuracy").round(3)

# %%
# Was it found?
# -------------
# **Exercise 3.** You know the truth. Did iterative magnitude pruning find the planted ticket?
# Compare ``imp.mask_`` with ``truth`` by ``ticket_overlap_score``, and with what chance gives.
#
# *Solution.* The overlap is about what chance gives. The pruner found *another* ticket. A large
# network has many; that one was planted does not make it the easiest to find.
pd.Series(
    {
        "overlap": ticket_overlap_score(truth, imp.mask_),
        "by chance": ticket_chance_level(truth, imp.mask_),
    }
).round(3)

# %%
# As small as the truth
# ---------------------
# **Exercise 4.** How small can a pruner get? The planted ticket shows that ``truth.density`` is
# enough. Try it with iterative magnitude pruning, and then with a pruner that does not rewind
# the weights.
#
# *Solution.* Without rewinding, many short rounds get down to the planted size. But the result
# is a *sparse network*, not a ticket: its weights were trained all the time, and its mask with
# the initial weights need not be worth anything.
with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
    small = {
        "iterative magnitude pruning": IterativeMagnitudePruner(
            net, sparsity=truth.sparsity, n_rounds=6, round_epochs=8, final_epochs=20, **settings
        ),
        "learning-rate rewinding": LearningRateRewindingPruner(
            net, sparsity=truth.sparsity, prune_bias=True, random_state=0
        ),
    }
    accuracies = {name: each.fit(X, y).score(X_test, y_test) for name, each in small.items()}
accuracies["planted, untrained"] = planted.ticket_score
pd.Series(accuracies, name="accuracy").round(3)

# %%
# What to take home
# -----------------
# * A ticket is a mask *and* the initial weights it keeps. Claims need controls for both.
# * A strong ticket needs no training, a weak ticket is trained from its initial weights, and a
#   sparse network was never set back.
# * On real data, the smallest ticket is unknown. Planting one makes "how small could it be" a
#   question with an answer.
plt.show()
