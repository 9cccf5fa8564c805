"""
Use a pruner as a step of a Pipeline
====================================

A fitted pruner is also a transformer, like ``LinearDiscriminantAnalysis``: it maps its inputs to
the hidden representation of the ticket. Here, this representation is the input of a logistic
regression.
"""

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch import NeuralNetClassifier

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

net = NeuralNetClassifier(
    MLP,
    module__hidden=(64, 32),
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=3e-3,
    max_epochs=20,
    batch_size=32,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)

# %%
# The numbers of features and classes are taken from the data. The network is trained and pruned to
# a tenth of its weights; then the ticket is trained from its initial weights.
pipeline = make_pipeline(
    MinMaxScaler(),
    MagnitudePruner(net, sparsity=0.9, round_epochs=None, random_state=0),
    LogisticRegression(max_iter=1000),
).fit(X_train, y_train)
pruner = pipeline[1]
print(f"{pruner.mask_}: accuracy {pipeline.score(X_test, y_test):.3f}")

# %%
# The ticket does not read all pixels: ``input_support_`` says which ones it reads.
fig, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
axes[0].imshow(X_train.mean(axis=0).reshape(8, 8), cmap="gray_r")
axes[0].set_title("mean image")
axes[1].imshow(pruner.input_support_.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
axes[1].set_title(f"{pruner.input_support_.sum()} of 64 pixels read")
for ax in axes:
    ax.set_axis_off()
plt.show()
