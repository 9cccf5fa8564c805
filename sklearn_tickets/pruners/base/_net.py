"""The net that a pruner trains: a clone of the user's net, checked against the data."""

import inspect
import math
import warnings

import numpy as np
import torch
from sklearn.base import clone
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn
from torch.utils.data import DataLoader

from sklearn_tickets._network import infer, plain_module
from sklearn_tickets.pruners.base._module_checks import (
    channels_last_hint,
    check_methods,
    check_nonlinearity,
    check_parameters,
    check_rows,
    try_out,
)
from sklearn_tickets.pruners.base._targets import is_multilabel
from sklearn_tickets.training import batch_iterator

# Random weights, ever larger, with all of which outputs must look like probabilities.
_N_TRIALS = 32


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
        Class labels or regression targets.
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
        If the net's module is an instance or requires sizes that are not inferred, the loss of
        a classifier takes probabilities, or its threshold is none.

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
    if isinstance(net, NeuralNetBinaryClassifier) and not 0 <= net.threshold <= 1:
        raise ValueError(
            f"estimator has threshold={net.threshold!r}, which must be a probability of the second "
            "class, from 0 to 1: pass threshold=0.5."
        )
    if estimator.initialized_:
        warnings.warn(
            "estimator is already fitted, but a pruner starts from a fresh copy of its module. To "
            "prune the trained weights, pass a net around ModuleTemplate(estimator.module_).",
            stacklevel=5,
        )
    if is_multilabel(net) and getattr(net.train_split, "stratified", False):
        raise ValueError(
            "estimator's train_split is stratified by class, skorch's default, but a row of y has "
            "several labels: pass train_split=skorch.dataset.ValidSplit(5), or None."
        )
    sizes = {"n_features": math.prod(X.shape[1:]), "n_outputs": _n_outputs(net, y, classes)}
    if X.ndim == 4 and not channels_last_hint(X):
        sizes["n_channels"] = X.shape[1]
        if X.shape[2] == X.shape[3]:
            sizes["image_size"] = X.shape[3]
    missing = [
        name
        for name, parameter in inspect.signature(net.module).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and not hasattr(net, f"module__{name}")
    ]
    if not sizes.keys() >= {"n_channels", "image_size"} & {*missing}:
        raise ValueError(
            f"estimator's module takes images, but X has rows of shape {X.shape[1:]}. Set "
            "module__n_channels and module__image_size of estimator, or give X the shape "
            f"(n_samples, n_channels, image_size, image_size){channels_last_hint(X)}."
        )
    unknown = [name for name in missing if name not in sizes]
    if unknown:
        raise ValueError(
            f"estimator's module requires {', '.join(unknown)}: set "
            f"{', '.join(f'module__{name}' for name in unknown)} of estimator. Only n_features, "
            "n_outputs, n_channels and image_size are inferred from the data."
        )
    net.set_params(**{f"module__{name}": sizes[name] for name in missing})
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
        target = f"y of shape {y.shape}"
        if classes is not None and not is_multilabel(net):
            target = f"y with {len(classes)} classes"
        raise ValueError(
            f"estimator's module {name} returns outputs of shape (n_samples, {outputs.shape[1]}); "
            f"{target} and {type(net).__name__} need (n_samples, {expected})."
        )
    by_output = expected == 1 or is_multilabel(net)
    are_probabilities = _are_sigmoids if by_output else _are_softmax
    if classes is not None and are_probabilities(outputs):
        # With these weights it may be by chance.
        rng = torch.Generator().manual_seed(0)
        parameters = dict(plain_module(net.module_).named_parameters())
        trials = (
            {k: size * torch.randn(p.shape, generator=rng) for k, p in parameters.items()}
            for size in np.logspace(0, 3, _N_TRIALS)
        )
        if all(are_probabilities(infer(net.module_, rows, trial)) for trial in trials):
            function = "logsigmoid or sigmoid" if by_output else "log_softmax or softmax"
            raise ValueError(
                f"estimator's module {name} has a {function} inside: its outputs are (log-)"
                "probabilities. Remove it; modules return logits, and skorch turns them into "
                "probabilities in predict_proba."
            )


def _are_sigmoids(outputs: np.ndarray) -> bool:
    """Whether finite outputs look like probabilities, one by one, or their logarithms."""
    outputs = outputs[np.isfinite(outputs).all(axis=1)]
    return bool((outputs <= 0).all() or ((outputs >= 0) & (outputs <= 1)).all())


def _are_softmax(outputs: np.ndarray) -> bool:
    """Whether finite outputs look like the classes' probabilities, or their logarithms."""
    outputs = outputs[np.isfinite(outputs).all(axis=1)]
    probabilities = outputs if (outputs >= 0).all() else np.exp(np.minimum(outputs, 1))
    return np.allclose(probabilities.sum(axis=1), 1)


def _n_outputs(net: NeuralNet, y: np.ndarray, classes: np.ndarray | None) -> int:
    """Return the required number of outputs: one per class or target, one logit if binary."""
    if classes is None:
        return math.prod(y.shape[1:])
    if not isinstance(net, NeuralNetBinaryClassifier):
        return len(classes)
    if len(classes) > 2:
        raise ValueError(
            f"estimator is a NeuralNetBinaryClassifier, but y has {len(classes)} classes; use "
            "NeuralNetClassifier."
        )
    return 1
