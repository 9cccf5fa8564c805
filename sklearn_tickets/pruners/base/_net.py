"""The net that a pruner trains: a clone of the user's net, checked against the data."""

import inspect
import math
import warnings

import numpy as np
from sklearn.base import clone
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn
from torch.utils.data import DataLoader

from sklearn_tickets._network import plain_module
from sklearn_tickets.pruners.base._module_checks import (
    check_methods,
    check_nonlinearity,
    check_parameters,
    check_rows,
    try_out,
)
from sklearn_tickets.training import batch_iterator


def make_net(
    estimator: NeuralNet, X: np.ndarray, y: np.ndarray, classes: np.ndarray | None
) -> NeuralNet:
    """Clone `estimator`, and infer the missing sizes of its module from the data.

    Parameters
    ----------
    estimator : NeuralNet
        The user's net, which is not modified.
    X : float32 ndarray of shape (n_samples, n_features) or (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class codes or float32 regression targets.
    classes : ndarray of shape (n_classes,) or None
        Class labels; None for regression.

    Returns
    -------
    net : NeuralNet
        Not yet initialized. The default DataLoader is replaced by `batch_iterator`, and a net
        that is not verbose has no callback that prints.

    Raises
    ------
    ValueError
        If the net's module is an instance, or the loss of a classifier takes probabilities.

    Warns
    -----
    UserWarning
        If the net is already fitted, because its weights are not used.
    """
    net = clone(estimator)
    if isinstance(net.module, nn.Module):
        raise ValueError(
            f"estimator's module is an instance of {type(net.module).__name__}, which training "
            "would change. Pass its class, a factory, or ModuleTemplate(module)."
        )
    criterion = net.criterion if isinstance(net.criterion, type) else type(net.criterion)
    if isinstance(net, NeuralNetClassifier) and issubclass(criterion, nn.NLLLoss):
        raise ValueError(
            "estimator's criterion is NLLLoss, skorch's default, which takes the logarithm of "
            "the outputs. Modules return logits here: pass criterion=torch.nn.CrossEntropyLoss, "
            "and remove any softmax or log_softmax from the module."
        )
    if isinstance(net, NeuralNetBinaryClassifier) and issubclass(criterion, nn.BCELoss):
        raise ValueError(
            "estimator's criterion is BCELoss, which takes probabilities. Modules return logits "
            "here: pass criterion=torch.nn.BCEWithLogitsLoss, and remove the sigmoid."
        )
    if estimator.initialized_:
        warnings.warn(
            "estimator is already fitted, but a pruner starts from a fresh copy of its module. To "
            "prune the trained weights, pass a net around ModuleTemplate(estimator.module_).",
            stacklevel=5,
        )
    sizes = {
        "n_features": math.prod(X.shape[1:]),
        "n_outputs": _n_outputs(net, y, classes),
        "n_channels": X.shape[1] if X.ndim == 4 else None,
        "image_size": X.shape[3] if X.ndim == 4 else None,
    }
    signature = inspect.signature(net.module).parameters
    for name, size in sizes.items():
        required = name in signature and signature[name].default is inspect.Parameter.empty
        if required and not hasattr(net, f"module__{name}"):
            if size is None:
                raise ValueError(
                    f"estimator's module takes images, but X has rows of shape {X.shape[1:]}. Set "
                    "module__n_channels and module__image_size of estimator, or give X the shape "
                    "(n_samples, n_channels, image_size, image_size)."
                )
            net.set_params(**{f"module__{name}": size})
    is_silent = not net.verbose and net.callbacks != "disable"
    if is_silent and not any(name.startswith("callbacks__print_log") for name in vars(net)):
        # The callback formats a table after every epoch, even if it is not printed.
        net.set_params(callbacks__print_log=None)
    for iterator in ("iterator_train", "iterator_valid"):
        if getattr(net, iterator) is DataLoader:
            net.set_params(**{iterator: batch_iterator})
    return net


def check_module(net: NeuralNet, X: np.ndarray, y: np.ndarray, classes: np.ndarray | None) -> None:
    """Check on a few rows that the outputs of a net match the targets.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X, y, classes : ndarray
        As for `make_net`.

    Raises
    ------
    ValueError
        If X does not match the module, its outputs do not match y, they are probabilities, or
        the net would predict anything but these outputs.
    """
    name, rows = type(plain_module(net.module_)).__name__, X[:8]
    check_methods(net)
    check_rows(net, rows)
    check_parameters(net, rows)
    outputs = try_out(net, rows)
    check_nonlinearity(net, outputs.shape[1])
    expected = _n_outputs(net, y, classes)
    if outputs.shape[1] != expected:
        target = f"y of shape {y.shape}" if classes is None else f"y with {len(classes)} classes"
        raise ValueError(
            f"estimator's module {name} returns outputs of shape (n_samples, {outputs.shape[1]}); "
            f"{target} and {type(net).__name__} need (n_samples, {expected})."
        )
    # The exponentials of log-probabilities sum to 1, too.
    probabilities = outputs if (outputs >= 0).all() else np.exp(np.minimum(outputs, 1))
    if (
        expected > 1
        and classes is not None
        and np.allclose(probabilities.sum(axis=1), 1, rtol=1e-9)
    ):
        raise ValueError(
            f"estimator's module {name} has a softmax inside (or a log_softmax): its outputs are "
            "probabilities. Remove it; modules return logits, and skorch applies the softmax in "
            "predict_proba."
        )


def _n_outputs(net: NeuralNet, y: np.ndarray, classes: np.ndarray | None) -> int:
    """Return the required number of outputs: one per class or target, one logit if binary."""
    if classes is None:
        return y.shape[1]
    if not isinstance(net, NeuralNetBinaryClassifier):
        return len(classes)
    if len(classes) > 2:
        raise ValueError(
            f"estimator is a NeuralNetBinaryClassifier, but y has {len(classes)} classes; use "
            "NeuralNetClassifier."
        )
    return 1
