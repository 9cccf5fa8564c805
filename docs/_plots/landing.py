"""Draw the planted ticket, and what a pruner found."""

import matplotlib.pyplot as plt

from sklearn_tickets import PlantedTicketGenerator
from sklearn_tickets.inspection import TicketMaskDisplay
from sklearn_tickets.pruners import LearningRateRewindingPruner

planted = PlantedTicketGenerator("circle", random_state=0).generate(4000)
pruner = LearningRateRewindingPruner(
    planted.make_net(lr=1e-2, batch_size=64),
    sparsity=planted.mask.sparsity,
    prune_bias=True,
    final_epochs=0,
    random_state=0,
).fit(planted.X, planted.y)
_, ax = plt.subplots(figsize=(9, 5), layout="constrained")
TicketMaskDisplay.from_estimator(pruner, kind="network", ax=ax)
