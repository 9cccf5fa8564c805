"""Checks that a net predicts what its module computes, from each row alone.

A pruner evaluates the module itself: in float64 unless it is large, and with other weights than
the net's. These checks refuse a net for which that would give other numbers than the net does.
"""

from typing import Any

import numpy as np
import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.dataset import unpack_data
from skorch.utils import to_numpy
from torch import nn

from sklearn_tickets._network import as_tensor, check_own_weights, evaluating, infer, plain_module
from sklearn_tickets._random import seeded
from sklearn_tickets.pruners.base._readings import class_codes
from sklearn_tickets.pruners.base._targets import is_multilabel

# What a pruner does itself, with the place where a change of it would take effect.
_REPLACED = {
    ("infer", "evaluation_step", "forward", "forward_iter"): "the module's forward",
    ("predict", "predict_proba"): "the module's forward, or predict_nonlinearity",
    ("score",): "a scorer (scoring=)",
    ("fit", "partial_fit"): "a transformer before the pruner, or a TransformedTargetRegressor",
    ("fit_loop", "run_single_epoch", "train_step"): "train_step_single, get_loss or a callback",
}
_NETS = (NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor)


def check_methods(net: NeuralNet) -> None:
    """Check that a net does not override methods that a pruner replaces.

    ========================================  =====================================================
    method of the net                         what becomes of an override
    ========================================  =====================================================
    ``infer``, ``evaluation_step``,           refused: outputs are those of the module, also at
    ``forward``, ``forward_iter``             other weights and in float64
    ``predict``, ``predict_proba``            refused: predictions are those of the outputs
    ``score``                                 refused: the pruner has its own
    ``fit``, ``partial_fit``                  refused: never called
    ``fit_loop``, ``run_single_epoch``,       refused: they notify the callbacks that hold masks,
    ``train_step``                            train gates and add penalties
    ``train_step_single``, ``get_loss``       honored in training; ``get_loss`` in scoring, too;
                                              refused with ``sample_weight``
    ``validation_step``                       honored: it computes the losses of `train_split`;
                                              refused with ``sample_weight``
    ``notify``, ``on_*``, ``initialize_*``    honored
    ``get_dataset``, ``get_iterator``         honored in training; refused if they change rows that
                                              are predicted, see `check_rows`
    ========================================  =====================================================

    Parameters
    ----------
    net : NeuralNet
        The net.

    Raises
    ------
    ValueError
        Names the method, and where to put what it does; or if the loss is not reduced to a
        number.
    """
    reduction = getattr(net.criterion_, "reduction", "mean")
    if reduction == "none" and not has_own(net, "get_loss"):
        raise ValueError(
            f"criterion__reduction={reduction!r} of estimator gives a loss for each row, which "
            "cannot be trained. Use 'mean' or 'sum', or reduce it in the net's get_loss."
        )
    for names, remedy in _REPLACED.items():
        for name in names:
            if has_own(net, name):
                raise ValueError(
                    f"estimator={type(net).__name__} has a {name} method of its own, which a "
                    f"pruner would not call. Put what it does into {remedy}."
                )


def has_own(net: NeuralNet, method: str) -> bool:
    """Whether a net overrides a method of skorch's class."""
    base: Any = next(each for each in type(net).__mro__ if each in _NETS)
    return method in vars(net) or getattr(type(net), method) is not getattr(base, method)


def check_rows(net: NeuralNet, X: np.ndarray) -> None:
    """Check that a net predicts from the rows that it is given.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : float32 ndarray of shape (n_samples, ...)
        A few rows.

    Raises
    ------
    ValueError
        If its `dataset` or `iterator_valid` changes them.
    """
    # A DataLoader draws a seed. With targets, arrays are sliced without one.
    with seeded(0, net.device):
        dataset = net.get_dataset(X, np.zeros(len(X), dtype=np.float32))
        batches = list(net.get_iterator(dataset, training=False))
    rows = [unpack_data(batch)[0] for batch in batches]
    are_tensors = bool(rows) and all(isinstance(each, torch.Tensor) for each in rows)
    if not (are_tensors and np.array_equal(to_numpy(torch.cat(rows)), X)):
        raise ValueError(
            f"dataset={net.dataset!r} or iterator_valid={net.iterator_valid!r} of estimator "
            "changes the rows of X, but a pruner predicts from X as it is. Put the change into a "
            "transformer before the pruner or into the module's forward."
        )


def check_parameters(net: NeuralNet, X: np.ndarray) -> None:
    """Check that all parameters of a net's module are plain float32 tensors, and its state tensors.

    Lazy layers are initialized first.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : float32 ndarray of shape (n_samples, ...)
        A few rows.

    Raises
    ------
    ValueError
        If a parameter has another dtype or layout, the state has anything but tensors, or a
        layer computes its weight from its parameters.
    """
    module = plain_module(net.module_)
    if any(map(nn.parameter.is_lazy, module.parameters())):
        with evaluating(module), torch.no_grad():
            module(as_tensor(X).to(net.device))
    for name, parameter in module.named_parameters():
        if (parameter.dtype, parameter.layout) != (torch.float32, torch.strided):
            raise ValueError(
                f"The parameter {name!r} of estimator's module {type(module).__name__} is "
                f"{parameter.dtype} ({parameter.layout}), but pruners train in float32: convert X "
                "and y, and call .float() on the module. Make constants buffers, and reset "
                "torch.set_default_dtype(torch.float32)."
            )
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise ValueError(
                f"The state of estimator's module {type(module).__name__} has the entry {name!r}, "
                f"a {type(value).__name__}, but only tensors can be copied and returned to. Let "
                "get_extra_state return a tensor, or make it a buffer; what never changes can be "
                "an attribute."
            )
    check_own_weights(module)


def check_nonlinearity(net: NeuralNet, n_outputs: int) -> None:
    """Check that a net's own `predict_nonlinearity` does not change its predictions.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    n_outputs : int
        The number of outputs of its module.

    Raises
    ------
    ValueError
        If it changes a regression output, or the prediction of any logits.
    """
    if not callable(net.predict_nonlinearity):
        return
    logits = torch.randn(500, n_outputs, generator=torch.Generator().manual_seed(0))
    changed = to_numpy(net.predict_nonlinearity(logits[:, 0] if n_outputs == 1 else logits))
    if isinstance(net, NeuralNetRegressor):
        expected = logits.numpy().reshape(changed.shape)
    elif is_multilabel(net):
        changed, expected = changed > 0.5, class_codes(net, logits.numpy()) == 1
    elif n_outputs == 1:
        changed = changed[:, 1] > net.threshold
        expected = class_codes(net, logits.double().numpy()) == 1
    else:
        changed, expected = changed.argmax(axis=1), class_codes(net, logits.numpy())
    if not np.array_equal(changed, expected):
        raise ValueError(
            f"predict_nonlinearity={net.predict_nonlinearity!r} of estimator changes predictions, "
            "but a pruner predicts from the outputs and uses it for probabilities only. Put what "
            "it does into the module's forward."
        )


def try_out(net: NeuralNet, X: np.ndarray) -> np.ndarray:
    """Compute the outputs of a net's module, and check that they depend on each row alone.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : float32 ndarray of shape (n_samples, ...)
        A few rows.

    Returns
    -------
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        The outputs in evaluation mode.

    Raises
    ------
    ValueError
        If the module fails, returns anything but one tensor with one row per row of X, draws
        random numbers in evaluation mode, or mixes rows.
    """
    module = plain_module(net.module_)
    name = type(module).__name__
    try:
        with evaluating(module), torch.no_grad():
            # As in training: a copy in float32.
            output = module(as_tensor(X).to(net.device, copy=True))
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"it is a {type(output).__name__}")
        # The last ones: in a recurrent layer over rows, the first depend on no others.
        half = X[len(X) // 2 :]
        outputs, fewer = infer(module, X), infer(module, half)
    except Exception as error:
        raise ValueError(
            f"estimator's module {name} does not return a single tensor for X with rows of shape "
            f"{X.shape[1:]}{channels_last_hint(X)}: {error}"
        ) from error
    if _are_close(outputs[-len(half) :], fewer):
        return outputs
    if _are_close(outputs, infer(module, X)):
        raise ValueError(
            f"estimator's module {name} returns other outputs for a row when other rows are in "
            "its batch, so predictions would depend on the rows that are asked for. Let "
            "normalization use running statistics (track_running_stats=True), and keep the first "
            "axis that of the rows."
        )
    raise ValueError(
        f"estimator's module {name} returns other outputs for the same rows at a second call in "
        "evaluation mode. It must not draw random numbers there (functional.dropout needs "
        "training=self.training), nor remember the rows of earlier calls."
    )


def _are_close(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether outputs agree up to the rounding of float32."""
    scale = np.abs(first).max(initial=0.0, where=np.isfinite(first))
    return first.shape == second.shape and np.allclose(
        first, second, rtol=0, atol=1e-3 * scale, equal_nan=True
    )


def channels_last_hint(X: np.ndarray) -> str:
    """Say how to turn images around whose channels seem to be the last axis."""
    is_last = X.ndim == 4 and X.shape[3] <= 4 < min(X.shape[1:3])
    return " (channels come first: pass X.transpose(0, 3, 1, 2))" if is_last else ""
