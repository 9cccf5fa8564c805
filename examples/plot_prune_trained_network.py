"""
Prune a network that is already trained
=======================================

Wrap the trained module in a ``ModuleTemplate`` and pass it to a pruner: the module is copied,
pruned at its trained weights and fine-tuned. The original is not changed.
"""

# %%
# A trained network
# -----------------
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, RandomPruner

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

torch.manual_seed(0)
module = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
inputs, targets = torch.from_numpy(X_train), torch.from_numpy(y_train)
for _ in range(200):
    optimizer.zero_grad()
    nn.functional.cross_entropy(module(inputs), targets).backward()
    optimizer.step()

# %%
# Prune and fine-tune
# -------------------
# ``round_epochs=0``, the default, scores the trained weights without training them first;
# ``final_epochs`` is the number of epochs of fine-tuning.
net = NeuralNetClassifier(
    ModuleTemplate(module),
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=3e-3,
    batch_size=32,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)
# Each round trains the network and prunes a part of it.
sparsities = [0.5, 0.8, 0.9, 0.95]
in_rounds = {"n_rounds": 3, "round_epochs": 5, "rewind_epoch": None, "final_epochs": 10}
procedures = {
    "magnitude, single-shot": (MagnitudePruner, {"final_epochs": 10}),
    "magnitude, in rounds": (MagnitudePruner, in_rounds),
    "random, single-shot": (RandomPruner, {"final_epochs": 10}),
}
accuracy = {
    name: [
        cls(net, sparsity=sparsity, random_state=0, **settings)
        .fit(X_train, y_train)
        .score(X_test, y_test)
        for sparsity in sparsities
    ]
    for name, (cls, settings) in procedures.items()
}
# The dense network gets the same fine-tuning.
dense = GivenMaskPruner(net, final_epochs=10, random_state=0).fit(X_train, y_train)

# %%
# Single-shot pruning of four fifths of the trained weights costs two points of accuracy if the
# largest weights are kept. Pruning 95 % costs seven points in rounds, and 23 single-shot.
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, values in accuracy.items():
    ax.plot(sparsities, values, marker="o", label=name)
ax.axhline(dense.score(X_test, y_test), ls="--", c="k", label="dense")
ax.set(xlabel="sparsity", ylabel="accuracy")
ax.legend()
plt.show()
