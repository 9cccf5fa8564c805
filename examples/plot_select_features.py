"""
Select features with a ticket
=============================

Which features does y depend on? A pruned network reads few of them. Here, the answer is known: the
data have twenty features of pure noise, at random places among the two that matter.
"""

# %%
# Two features matter
# -------------------
# The classes are the four rings of a circular target, so that no feature is linearly related to
# them. ``planted.input_support`` marks the features that matter.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_selection import SelectFromModel, mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import GivenMaskPruner, LearningRateRewindingPruner

generator = PlantedTicketGenerator("circle", n_noise_features=20, random_state=0)
planted = generator.generate(2000)
X, y = planted.X, planted.y
X_test, y_test = planted.sample(5000, random_state=0)
print(f"features {np.flatnonzero(planted.input_support)} of {X.shape[1]} matter")

# %%
# Train, prune, and see what is left
# ----------------------------------
# Learning-rate rewinding removes 99.5 % of the weights, in few and short rounds for this example.
# ``feature_importances_`` is the share of each feature in the flow of the weights' magnitudes
# through the network. For comparison, the same network is trained without pruning.
net = planted.make_net(lr=1e-2, batch_size=64)
settings = {"final_epochs": 10, "schedule": "one-cycle", "random_state": 0}
models = {
    "logistic regression": LogisticRegression(),
    "dense network": GivenMaskPruner(net, **settings),
    "pruned network": LearningRateRewindingPruner(
        net, sparsity=0.995, n_rounds=10, prune_bias=True, **settings
    ),
}
for model in models.values():
    model.fit(X, y)
importances = {
    "logistic regression": np.linalg.norm(models["logistic regression"].coef_, axis=0),
    "mutual information": mutual_info_classif(X, y, random_state=0),
    "dense network": models["dense network"].feature_importances_,
    "pruned network": models["pruned network"].feature_importances_,
}

# %%
# Select the important features
# -----------------------------
# Features of more than average importance are selected, which is what ``SelectFromModel`` does.
rows = {
    name: {
        "recall": recall_score(planted.input_support, values >= values.mean()),
        "precision": precision_score(planted.input_support, values >= values.mean()),
    }
    for name, values in importances.items()
}
for name, model in models.items():
    rows[name]["accuracy"] = model.score(X_test, y_test)
print(pd.DataFrame(rows).T.round(3))

# %%
# Logistic regression selects half of the features, as their weights are noise. Mutual information
# finds the two, because either of them alone tells something about the class. So do the networks,
# but the dense one still reads the noise, and is less accurate. The pruned network needs no
# threshold: ``get_support`` marks the features that it reads at all.
pruned = models["pruned network"]
print(f"the dense network reads {models['dense network'].get_support().sum()} features,")
print(f"the pruned network reads features {pruned.get_support(indices=True)}")
SelectFromModel(pruned, prefit=True).transform(X).shape

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
colors = np.where(planted.input_support, "C3", "0.6")
for ax, (name, values) in zip(axes, importances.items(), strict=True):
    ax.bar(np.arange(len(values)), values / values.sum(), color=colors)
    ax.axhline(1 / len(values), c="k", ls="--", lw=0.8)
    ax.set(title=name, xlabel="feature")
axes[0].set_ylabel("share of the importance")
plt.show()
