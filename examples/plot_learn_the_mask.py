"""
Learn the mask, not the weights
===============================

A *strong* ticket works without training its weights: the mask alone solves the task. Gradient
descent on the mask can search for such a ticket among random weights. Here, a ticket is planted,
so there is one to be found.
"""

# %%
# Search for a strong ticket
# --------------------------
# ``EdgePopupPruner`` freezes the weights and learns a score for each of them. SNIP scores the same
# weights once; the random mask is the control.
import matplotlib.pyplot as plt

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import strong_accuracy
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GivenMaskPruner,
    RandomPruner,
    SNIPPruner,
)

planted = PlantedTicketGenerator("circle", width=100, random_state=0).generate(1500)
X, y = planted.X, planted.y
X_test, y_test = planted.sample(5000, random_state=0)
net = planted.make_net(max_epochs=10)

densities = [0.5, 0.2, 0.1, 0.05]
settings = {"prune_bias": True, "train_ticket": False, "random_state": 0}
strong = {
    cls.__name__: [
        strong_accuracy(cls(net, sparsity=1 - density, **settings).fit(X, y), X_test, y_test)
        for density in densities
    ]
    for cls in (EdgePopupPruner, SNIPPruner, RandomPruner)
}
ticket = GivenMaskPruner(net, planted.mask, train_ticket=False).fit(X, y)

# %%
# Nine tenths of the weights can be removed, and the rest of the random network still separates the
# classes, although no weight was trained. The planted ticket is a sixteenth of that size.
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, values in strong.items():
    ax.plot(densities, values, marker="o", label=name)
ax.plot(planted.mask.density, strong_accuracy(ticket, X_test, y_test), "k*", ms=12, label="planted")
ax.set(xscale="log", xlabel="density", ylabel="accuracy, untrained")
ax.legend()
plt.show()

# %%
# Train weights and mask together
# -------------------------------
# Continuous sparsification determines the density itself, controlled by the initial scores. The
# subnetwork that it keeps is then trained from the initial weights: a *weak* ticket.
initial = [-0.2, -0.1, 0.0, 0.1, 0.2]
found = [
    ContinuousSparsificationPruner(
        net, sparsity=None, mask_init=value, penalty=1.0, prune_bias=True, random_state=0
    ).fit(X, y)
    for value in initial
]

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
left.plot(initial, [pruner.mask_.density for pruner in found], marker="o")
left.set(xlabel="mask_init", ylabel="density")
right.plot(
    [pruner.mask_.density for pruner in found],
    [pruner.score(X_test, y_test) for pruner in found],
    marker="o",
)
right.set(xlabel="density", ylabel="accuracy, trained")
plt.show()
