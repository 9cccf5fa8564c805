"""
Search for a sparsity with two scorers
======================================

How sparse can the network be? A pruner can be tuned by ``GridSearchCV`` like any estimator. Here,
the scores are the accuracy of the sparse network and its overlap with the planted ticket.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import sparse_accuracy, ticket_overlap
from sklearn_tickets.pruners import SynFlowPruner

planted = PlantedTicketGenerator(task="circle", random_state=0).generate(n_samples=2000)
net = planted.make_net(max_epochs=5, lr=3e-3)

search = GridSearchCV(
    SynFlowPruner(net, n_rounds=20, prune_bias=True, random_state=0),  # faster than 100 rounds
    {"sparsity": [0.5, 0.9, 0.98]},
    scoring={"accuracy": sparse_accuracy, "overlap": ticket_overlap},
    refit="accuracy",
    cv=3,
    error_score="raise",
).fit(planted.X, planted.y)
search.best_estimator_.mask_

# %%
# Both scores are columns of ``cv_results_``. SynFlow does not use the data, so it finds the same
# mask on every fold, and only the accuracy varies. To average over *networks*, plant several with
# different values of ``random_state``.
columns = ["param_sparsity", "mean_test_accuracy", "std_test_accuracy", "mean_test_overlap"]
results = pd.DataFrame(search.cv_results_)[columns]
print(results.round(4).to_string(index=False))

# %%
density = 1 - results["param_sparsity"].astype(float)
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.errorbar(density, results["mean_test_accuracy"], results["std_test_accuracy"], marker="o")
ax.axvline(planted.mask.density, ls="--", c="k", label="density of the planted ticket")
ax.set(xscale="log", xlabel="density", ylabel="accuracy")
ax.legend()
plt.show()
