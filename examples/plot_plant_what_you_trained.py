"""
Plant a trained ticket in a convolutional network
=================================================

The built-in tasks with a known ticket are small and constructed by hand. ``plant_ticket`` makes a
planted problem from any network: prune a net on your own data, plant the result in a fresh, wider
host, and you know a ticket of that host that solves the task. Then see which pruner finds it.
"""

# %%
# A ticket for digits
# -------------------
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from sklearn_tickets.datasets import plant_ticket
from sklearn_tickets.inspection import DetectabilityDisplay
from sklearn_tickets.metrics import ticket_chance_level, ticket_precision_score
from sklearn_tickets.models import ConvNet
from sklearn_tickets.pruners import EdgePopupPruner, MagnitudePruner, SNIPPruner, SynFlowPruner

X, y = load_digits(return_X_y=True)
images = (X / 16).reshape(-1, 1, 8, 8).astype("float32")
X_train, X_test, y_train, y_test = train_test_split(
    images, y, train_size=900, test_size=450, random_state=0, stratify=y
)


def make_net(module, **params):
    return NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=2e-3,
        batch_size=32,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        **params,
    )


net = make_net(ConvNet, module__depth=2, max_epochs=4)
pruner = SynFlowPruner(net, sparsity=0.98, n_rounds=20, random_state=0).fit(X_train, y_train)
found = pruner.predict(X_test)
pruner.mask_, np.mean(found == y_test)

# %%
# The host
# --------
# The host is a fresh network of the same kind. Its biases are random, so that those of the ticket
# do not stand out. When everything except the ticket is removed, the host predicts the same classes
# as the trained network, although it was never trained on digits.
torch.manual_seed(1)
host = ConvNet(n_channels=1, image_size=8, n_outputs=10, depth=2, init="nonzero-bias")
planted = plant_ticket(pruner, host, random_state=0)
module = planted(output_scale=True)
module.ticket.apply_(module)
with torch.no_grad():
    classes = module(torch.from_numpy(X_test)).argmax(dim=1).numpy()
planted.ticket, np.mean(classes == y_test), np.mean(classes == found)

# %%
# Within a layer, the size of a weight says little about whether it is planted (hollow points near
# the gray bars). Biases of late layers reveal more, because a trained network has larger ones.
DetectabilityDisplay.from_planted(planted)
plt.show()

# %%
# Which pruner finds it?
# ----------------------
# Each pruner keeps as many parameters as the ticket has. None of them finds the ticket; the better
# ones find another subnetwork that solves the task. Chance is the expected precision of a random
# mask with as many parameters in every layer.
host_net = make_net(planted, max_epochs=4)
rows = {}
for pruner_class in (MagnitudePruner, SNIPPruner, SynFlowPruner, EdgePopupPruner):
    candidate = pruner_class(host_net, sparsity=planted.ticket.sparsity, prune_bias=True)
    candidate.set_params(train_ticket=True, random_state=0)
    if pruner_class is SynFlowPruner:
        candidate.set_params(n_rounds=20)  # faster than the default of 100
    candidate.fit(X_train, y_train)
    rows[pruner_class.__name__.removesuffix("Pruner")] = (
        ticket_precision_score(planted.ticket, candidate.mask_),
        ticket_chance_level(planted.ticket, candidate.mask_, ticket_precision_score),
        candidate.score(X_test, y_test),
    )
precision, chance, accuracy = np.transpose(list(rows.values()))

positions = np.arange(len(rows))
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
left.barh(positions, precision, color="#0072b2", label="found")
left.plot(chance, positions, "|", color="black", markersize=20, label="chance")
left.set(yticks=positions, yticklabels=rows, xlabel="precision", xlim=(0, 1))
left.legend()
right.barh(positions, accuracy, color="#e69f00")
right.axvline(np.mean(found == y_test), ls="--", c="black", label="the planted ticket")
right.set(xlabel="accuracy after training", xlim=(0, 1))
right.legend(loc="lower left")
plt.show()
