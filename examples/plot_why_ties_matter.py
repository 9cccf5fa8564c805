"""
Why ties matter
===============

Scores are often equal: those of constant weights, of dead units, or of parameters that no gradient
reaches. The way in which a pruner breaks ties determines how many parameters it keeps, and can make
it win a benchmark that it should lose.
"""

# %%
# Thresholds miss the target density
# ----------------------------------
# Half of a thousand parameters with equal scores are to be kept. A threshold keeps all or none.
import matplotlib.pyplot as plt
import numpy as np
import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import ticket_recall_score

n = 1000
scores = torch.ones(1, n)
threshold = scores.median()
dense = TicketMask({"weight": np.ones((1, n))})
kept = {
    "score > threshold": int((scores > threshold).sum()),
    "score >= threshold": int((scores >= threshold).sum()),
    "TicketMask.shrink": dense.shrink({"weight": scores}, density=0.5, rng=0).n_kept,
}
print(kept)

# %%
# Breaking ties by position leaks information
# -------------------------------------------
# Keeping the first of equal scores gives the right number. But if a ticket is planted in the first
# units, or if masks are compared with each other, the order of the parameters is information that
# is not in the scores: recall is perfect, although the chance level is 10 %.
truth = TicketMask({"weight": (np.arange(n) < 100)[None]})
by_position = np.zeros(n)
by_position[np.argsort(-scores[0].numpy(), kind="stable")[:100]] = 1
first = TicketMask({"weight": by_position[None]})
at_random = [dense.shrink({"weight": scores}, density=0.1, rng=seed) for seed in range(200)]
recall = [ticket_recall_score(truth, mask) for mask in at_random]
print(f"by position: {ticket_recall_score(truth, first):.2f}, at random: {np.mean(recall):.3f}")

# %%
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.hist(recall, bins=np.arange(0.02, 0.2, 0.01), label="ties broken at random")
ax.axvline(0.1, c="k", ls="--", label="chance")
ax.axvline(1.0, c="C3", label="ties broken by position")
ax.set(xlabel="recall of the planted ticket", ylabel="seeds (of 200)")
ax.legend()
plt.show()
