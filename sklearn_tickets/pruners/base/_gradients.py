"""Gradients of the training loss at the weights of a masked network, over all data."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sklearn_tickets._network import (
    Rows,
    as_tensor,
    evaluating,
    functional_call,
    plain_module,
    row_sizes,
    rows_per_batch,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._rounds import Run
from sklearn_tickets.pruners.base._shared_gradients import look_up
from sklearn_tickets.training import weighted_loss

_PLAIN_NETS = (NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor)

Array: TypeAlias = NDArray[Any]
Scores: TypeAlias = dict[str, Tensor]


def masked_leaves(net: NeuralNet, mask: TicketMask) -> Scores:
    """Copy the parameters that a mask covers as leaves of a new graph.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    mask : TicketMask
        The mask.

    Returns
    -------
    leaves : dict of str to Tensor
        Values by name; pruned entries are 0.
    """
    state = mask.apply({n: p.detach() for n, p in plain_module(net.module_).named_parameters()})
    return {name: state[name].requires_grad_() for name in mask}


def check_loss(net: NeuralNet, X: Array, y: Array) -> None:
    """Check that a regression's loss of the largest inputs and targets is finite.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : ndarray of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets, as the loss takes them.

    Raises
    ------
    ValueError
        If it is not, at the initial weights.
    """
    if is_classifier(net):
        return
    sizes = [row_sizes(values) for values in (X, y)]
    rows = np.unique([size.argsort()[-8:] for size in sizes])
    target = torch.as_tensor(y[rows]).to(net.device)
    with evaluating(net.module_), torch.no_grad():
        # A copy: a criterion may count its calls.
        loss = copy.deepcopy(net.criterion_)(net.infer(X[rows]), target)
    if not loss.isfinite().all():
        raise ValueError(
            f"The loss of estimator, {type(net.criterion_).__name__}, is {loss.mean():g} at the "
            f"initial weights, as X or y is too large: |X| <= {sizes[0].max():.3g}, |y| <= "
            f"{sizes[1].max():.3g}. Scale X with StandardScaler in a Pipeline, and y with it in a "
            "TransformedTargetRegressor."
        )


@dataclass(frozen=True, eq=False)
class BatchLosses:
    """Losses of batches that sum to the loss of all rows, at given parameters.

    The module runs in evaluation mode on copies of its buffers, so that scoring draws no
    random number and leaves the statistics of normalization layers unchanged.

    Parameters
    ----------
    net : NeuralNet
        Provides the module and the loss.
    parameters : mapping of str to Tensor
        Values that replace the module's parameters.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets, as the loss takes them.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        The weights, as the loss takes them.
    temperature : float, default=1.0
        Divisor of the outputs.
    batch_size : int or None, default=None
        Number of rows in a batch; None takes 512, or fewer if the network is large.

    Yields
    ------
    loss : Tensor of shape ()
        Loss of a batch; a mean is multiplied by its share of the rows.
    """

    net: NeuralNet
    parameters: Mapping[str, Tensor]
    X: Rows
    y: Array
    sample_weight: Array | None = None
    temperature: float = 1.0
    batch_size: int | None = None

    def __iter__(self) -> Iterator[Tensor]:
        net, X = self.net, self.X
        module = plain_module(net.module_)
        is_sum = getattr(net.criterion_, "reduction", "mean") == "sum"
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        targets = as_tensor(self.y)
        weights = None if self.sample_weight is None else as_tensor(self.sample_weight)
        size = self.batch_size or min(512, rows_per_batch(module, X))
        for rows in torch.arange(len(X)).split(size):
            # Other kernels of attention cannot be differentiated twice.
            with evaluating(module), sdpa_kernel(SDPBackend.MATH):
                inputs = as_tensor(X[rows.numpy()]).to(net.device)
                target = targets[rows].to(net.device)
                state = {**self.parameters, **buffers}
                output = functional_call(module, state, inputs) * (1 / self.temperature)
                if target.is_floating_point():
                    output = output.reshape(target.shape)
                if weights is None:
                    loss = net.get_loss(output, target, X=inputs)
                else:
                    loss = weighted_loss(net.criterion_, output, target, weights[rows])
            yield loss if is_sum else loss * (len(rows) / len(X))

    @property
    def content(self) -> Any:
        """All that the losses depend on; None for a net whose loss may depend on more.

        A module or criterion that says itself what is pickled may leave something out.
        """
        net = self.net
        parts = [part for each in (net.module_, net.criterion_) for part in each.modules()]
        pickles_itself = any(
            getattr(type(part), name) is not getattr(nn.Module, name)
            for part in parts
            for name in ("__getstate__", "__reduce__", "__reduce_ex__")
        )
        if type(net) not in _PLAIN_NETS or pickles_itself:
            return None
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return own | {"net": (type(net), net.module_, net.criterion_, net.device)}


def gradient(
    value: Tensor, parameters: Mapping[str, Tensor], *, create_graph: bool = False
) -> Scores:
    """Differentiate a scalar.

    Parameters
    ----------
    value : Tensor of shape ()
        The scalar.
    parameters : mapping of str to Tensor
        The tensors to differentiate with respect to.
    create_graph : bool, default=False
        Whether the gradient itself can be differentiated.

    Returns
    -------
    gradient : dict of str to Tensor
        Gradient by name; 0 for a parameter that the scalar does not depend on.
    """
    parts = torch.autograd.grad(
        value,
        list(parameters.values()),
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return dict(zip(parameters, parts, strict=True))


def total_gradient(parameters: Mapping[str, Tensor], terms: Iterable[Tensor]) -> Scores:
    """Sum the gradients of scalars, with one graph in memory at a time.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        The tensors to differentiate with respect to.
    terms : iterable of Tensor
        The scalars, such as `BatchLosses`.

    Returns
    -------
    gradient : dict of str to Tensor
        Gradient of the sum by name.
    """

    def compute() -> Scores:
        total = {name: torch.zeros_like(value) for name, value in parameters.items()}
        for term in terms:
            for name, part in gradient(term, parameters).items():
                total[name] += part
        return total

    if isinstance(terms, BatchLosses) and terms.parameters is parameters:
        return look_up(terms.content, compute)
    return compute()


def scoring_sample(run: Run, n_samples: int | None) -> tuple[Rows, Array, Array | None]:
    """Draw rows to score on, equally often from all classes if each row has one.

    Parameters
    ----------
    run : Run
        The fit, with all rows.
    n_samples : int or None
        Number of rows to draw, from torch's random stream; None takes all rows.

    Returns
    -------
    X : ndarray, Tensor or SparseRows
        The inputs of the drawn rows; sparse ones are dense unless all rows are taken.
    y : ndarray
        The targets.
    sample_weight : ndarray or None
        The weights, if there are any.
    """
    X, y, sample_weight = run.X, run.y, run.sample_weight
    if n_samples is None:
        return X, y, sample_weight
    rows = torch.randperm(len(y)).numpy()
    if run.classes is not None and y.ndim == 1:
        labels = pd.Series(y[rows])
        rows = rows[np.argsort(labels.groupby(labels).cumcount(), kind="stable")]
    rows = rows[:n_samples]
    return X[rows], y[rows], None if sample_weight is None else sample_weight[rows]
