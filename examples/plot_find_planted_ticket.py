"""
Find a planted ticket
=====================

On real data, nobody knows how small a good subnetwork can be. Here it is known: a ticket of 130
parameters is hidden in a random network of 20,904, and classic pruners search for it.
"""

# %%
# Plant a ticket
# --------------
# The task is to classify points into the four rings of a circular target. ``planted`` holds the
# data, a factory of the network, and the true ticket, and it draws as many test data as are wanted.
import matplotlib.pyplot as plt
import pandas as pd

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import strong_accuracy, ticket_chance_level, ticket_overlap
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, RandomPruner, SynFlowPruner

planted = PlantedTicketGenerator(task="circle", random_state=0).generate(n_samples=2000)
X_test, y_test = planted.sample(10_000, random_state=0)
planted.mask

# %%
# The planted ticket
# ------------------
# The mask alone, applied to weights that were not trained, solves the task: the planted ticket is
# a *strong* ticket.
truth = GivenMaskPruner(planted.make_net(), planted.mask, train_ticket=False, random_state=0)
truth.fit(planted.X, planted.y)
print(f"planted ticket, untrained: {strong_accuracy(truth, X_test, y_test):.3f}")

# %%
# Which pruner finds it?
# ----------------------
# Each pruner keeps a tenth of the network and then trains this subnetwork. The baselines are the
# dense network and the frequency of the largest class.
candidates = {
    "random": RandomPruner,
    "magnitude": MagnitudePruner,
    "SynFlow": SynFlowPruner,
}
net = planted.make_net(max_epochs=10)
rows = {"largest class": {"trained": (y_test == 3).mean()}}
rows["dense"] = {
    "trained": GivenMaskPruner(net, random_state=0).fit(planted.X, planted.y).score(X_test, y_test)
}
for name, pruner_class in candidates.items():
    pruner = pruner_class(net, sparsity=0.9, prune_bias=True, random_state=0)
    pruner.fit(planted.X, planted.y)
    rows[name] = {
        "trained": pruner.score(X_test, y_test),
        "untrained": strong_accuracy(pruner, X_test, y_test),
        "overlap": ticket_overlap(pruner, X_test, y_test),
        "chance": ticket_chance_level(planted.mask, pruner.mask_),
    }
table = pd.DataFrame(rows).T
print(table.round(3))

# %%
# SynFlow finds a subnetwork that trains nearly as well as the dense network, magnitude pruning
# finds a worse one, and a random mask is poor. None of them finds *the* ticket: without training,
# their subnetworks do worse than always predicting the largest class, and they overlap with the
# planted ticket no more than a random mask of the same layer sizes does (chance). This is a single
# network; the benchmark, ``python -m sklearn_tickets --seed ...``, plants others.
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
table[["trained", "untrained"]].plot.bar(ax=axes[0], rot=0, title="accuracy")
axes[0].axhline(strong_accuracy(truth, X_test, y_test), ls="--", c="k", label="planted")
axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False)
found = table.loc[list(candidates), ["overlap", "chance"]]
found.plot.bar(ax=axes[1], rot=0, title="overlap with the planted ticket")
plt.show()
