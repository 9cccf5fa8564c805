"""Fit a pruner to a module of the zoo, and run the module by plain torch."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    MagnitudePruner,
    SNIPPruner,
    SynFlowPruner,
)

SPARSITY = 0.7
BATCH_SIZE, N_EPOCHS, LR = 16, 2, 0.02
PRUNERS = {
    "magnitude": (MagnitudePruner, {"n_rounds": 2, "round_epochs": 1}),
    "SNIP": (SNIPPruner, {}),
    "SynFlow": (SynFlowPruner, {"n_rounds": 10}),
    "continuous": (ContinuousSparsificationPruner, {"round_epochs": 2}),
}
NETS = {
    "classes": (NeuralNetClassifier, nn.CrossEntropyLoss),
    "binary": (NeuralNetBinaryClassifier, nn.BCEWithLogitsLoss),
    "number": (NeuralNetRegressor, nn.MSELoss),
    "numbers": (NeuralNetRegressor, nn.MSELoss),
}
# torch says so of the layer itself, pruned or not.
OF_TORCH = "LSTM with projections is not supported with oneDNN"


class RefusedError(Exception):
    """A ValueError where one is in order: before anything is trained, or by an export."""


def make_pruner(case, kind):
    """Make one of the pruners around a net of the case."""
    net_class, criterion = NETS[case.y]
    net = net_class(
        case.module,
        criterion=criterion,
        optimizer=torch.optim.Adam,
        lr=LR,
        batch_size=BATCH_SIZE,
        max_epochs=N_EPOCHS,
        train_split=None,
        verbose=0,
    )
    pruner_class, settings = PRUNERS[kind]
    return pruner_class(net, sparsity=SPARSITY, random_state=0, **settings)


@contextmanager
def counted_steps():
    """Count the steps of all optimizers in the block."""
    steps = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        yield steps
    finally:
        hook.remove()


def fit(case, kind):
    """Fit a pruner without warnings, except of a collapse; or raise a RefusedError."""
    X, y = case.data()
    given = X.copy()
    pruner = make_pruner(case, kind)
    with counted_steps() as steps, warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LayerCollapseWarning)
        warnings.filterwarnings("ignore", OF_TORCH)
        try:
            pruner.fit(X, y)
        except ValueError as error:
            if steps:
                late = f"refused after {len(steps)} steps of training: {error}"
                raise AssertionError(late) from error
            raise named_refusal(case, error) from error
    assert np.array_equal(X, given), "fit changed X"
    assert not case.mistake, "fitted, though no result is right"
    return pruner


def named_refusal(case, error):
    """Make a RefusedError of an error, which names the module, a layer or a parameter."""
    module = case.module()
    names = {type(layer).__name__ for layer in module.modules()}
    # A name without a dot, such as "head", may be there by chance.
    paths = (*module.named_parameters(), *module.named_modules())
    names |= {name for name, _ in paths if "." in name}
    is_named = any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in names)
    assert is_named, f"the refusal names neither the module nor a parameter: {error}"
    return RefusedError(str(error))


def plain(case, state):
    """Make a module of the case with the given state, in evaluation mode."""
    module = case.module()
    module.load_state_dict(state)
    return module.eval()


def dtype_of(module):
    """Return the dtype of a module's parameters."""
    return next(module.parameters()).dtype


@torch.no_grad()
def outputs(module, X):
    """Compute the outputs of a module for inputs in its own dtype, as a float64 array."""
    result = module(torch.tensor(X, dtype=dtype_of(module))).double().numpy()
    assert np.isfinite(result).all(), "outputs are not finite"
    return result


def rows_of(result, n_rows):
    """Give outputs the shape (n_rows, n_outputs)."""
    return result.reshape(n_rows, -1)


def targets(case, y):
    """Convert the targets of a case to the tensor that its loss takes."""
    if case.y.startswith("number"):
        return torch.tensor(y)
    codes = torch.tensor(np.unique(y, return_inverse=True)[1])
    return codes.float() if case.y == "binary" else codes


def train(case, module, mask):
    """Train a module as its net would, by plain torch, with pruned weights at 0."""
    X, y = case.data()
    module.train()
    parameters = dict(module.named_parameters())
    optimizer = torch.optim.Adam([p for p in parameters.values() if p.requires_grad], lr=LR)
    criterion = NETS[case.y][1]()

    @torch.no_grad()
    def hold():
        for name, kept in mask.items():
            parameters[name].mul_(kept)

    hold()
    inputs = torch.tensor(X, dtype=dtype_of(module))
    for _ in range(N_EPOCHS):
        for rows, own in zip(
            inputs.split(BATCH_SIZE), targets(case, y).split(BATCH_SIZE), strict=True
        ):
            optimizer.zero_grad()
            predicted = module(rows.clone())  # which may work in place
            if case.y != "classes":
                predicted = predicted.reshape(own.shape)
            criterion(predicted, own).backward()
            optimizer.step()
            hold()


def redrawn(case, pruner, seed):
    """Make a module of the case with the ticket's mask on random weights, without biases."""
    module = plain(case, pruner.initial_state_)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in pruner.mask_:
                drawn = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(2 * drawn * parameter[0].numel() ** -0.5 * pruner.mask_[name])
            elif "bias" in name.rpartition(".")[2]:
                parameter.zero_()
    module.requires_grad_()
    try:
        module.double()(torch.tensor(case.draw(), dtype=torch.float64))
    except RuntimeError:  # its forward makes tensors of single precision
        module.float()
    return module
