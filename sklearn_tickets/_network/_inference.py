"""Forward passes: a network's outputs, hidden features and batch statistics.

Small networks compute in float64, so that no row depends on the others in its batch, not even in
its last bits. From a million parameters on, this costs more than it proves: convolutions take eight
times as long. Such networks compute in their own dtype, in batches that fit a processor's cache.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches, gen_even_slices
from torch import Tensor, nn

from sklearn_tickets._network._module import evaluating, functional_call, plain_module
from sklearn_tickets._network._rows import Rows, as_tensor

_LARGE = 1_000_000
# Rows in a batch and, of large networks, numbers in its rows: on a CPU, and on other devices.
_MAX_ROWS, _CACHED, _ON_DEVICE = 1024, 2**17, 2**20


def is_large(module: nn.Module) -> bool:
    """Whether a module has a million parameters or more, and computes in its own dtype.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    Returns
    -------
    is_large : bool
    """
    return sum(parameter.numel() for parameter in module.parameters()) >= _LARGE


@torch.no_grad()
def infer(module: nn.Module, X: Rows, state: Mapping[str, Tensor] | None = None) -> np.ndarray:
    """Compute a module's outputs, in float64 unless it is large.

    A module whose forward makes float32 tensors of its own, such as the initial state of a
    recurrent layer, runs in float32; a large one in its own dtype.

    Parameters
    ----------
    module : torch.nn.Module
        The network, run in evaluation mode. It is not changed.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        The inputs.
    state : mapping of str to Tensor, default=None
        Weights and buffers to use instead of the module's own.

    Returns
    -------
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        Outputs with one axis become a single column.

    Raises
    ------
    ValueError
        If the module does not return one row of outputs per row of X.
    """
    module = plain_module(module)
    batches = [*gen_batches(len(X), rows_per_batch(module, X))]
    with evaluating(module):
        outputs, _ = _run(module, X, batches, state or {})
    by_row = []
    for rows, output in zip(batches, outputs, strict=True):
        n_rows = rows.stop - rows.start
        # A module that squeezes its outputs has no axis of rows if there is only one.
        if n_rows > 1 and output.shape[:1] != (n_rows,):
            raise ValueError(
                f"{type(module).__name__} returns outputs of shape {tuple(output.shape)} for "
                f"{n_rows} rows. The first axis must be that of the rows."
            )
        by_row.append(output.reshape(n_rows, -1))
    return torch.cat(by_row).cpu().double().numpy()


@torch.no_grad()
def normalization_statistics(
    module: nn.Module, X: Rows, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Estimate the running statistics of batch normalization for other weights.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        The inputs to average over.
    state : mapping of str to Tensor
        Weights and buffers to use instead of the module's own.

    Returns
    -------
    statistics : dict of str to Tensor
        The buffers of the normalization layers, on the CPU; empty if there are none.
    """
    module = plain_module(module)
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats
    }
    if not layers:
        return {}
    fresh = {
        f"{path}.{name}".lstrip("."): torch.full_like(buffer, name.endswith("var"))
        for path, layer in layers.items()
        for name, buffer in layer.named_buffers()
    }
    batches = [*gen_even_slices(len(X), -(-len(X) // rows_per_batch(module, X)))]
    with evaluating(module):
        momenta = {layer: layer.momentum for layer in layers.values()}
        for layer in layers.values():
            layer.training, layer.momentum = True, None  # None averages over all batches
        try:
            _, tensors = _run(module, X, batches, {**state, **fresh})
        finally:
            for layer, momentum in momenta.items():
                layer.momentum = momentum
    return {name: tensors[name].cpu() for name in fresh}


def rows_per_batch(module: nn.Module, X: Rows) -> int:
    """Choose how many rows are passed through a module at a time.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        The inputs.

    Returns
    -------
    n_rows : int
        1024; of a large network at least 128, or 32 images, and more only if they are small.
    """
    if not is_large(module):
        return _MAX_ROWS
    on_cpu = next(module.parameters()).device.type == "cpu"
    n_rows = (_CACHED if on_cpu else _ON_DEVICE) // max(1, prod(X.shape[1:]))
    # Matrix products of few rows mostly wait for the weights; images have many pixels.
    return min(_MAX_ROWS, max(128 if X.ndim == 2 else 32, n_rows))


def _run(
    module: nn.Module, X: Rows, batches: Sequence[slice], state: Mapping[str, Tensor]
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return the outputs for all batches, and the weights and buffers after the last one."""
    if is_large(module):
        own = next(p.dtype for p in module.parameters() if p.is_floating_point())
        return _run_in(own, module, X, batches, state)
    try:
        return _run_in(torch.float64, module, X, batches, state)
    except Exception:
        # The forward mixes in float32 tensors of its own, or the device has no float64. Layers
        # report this in different ways; any other error is raised again below.
        return _run_in(torch.float32, module, X, batches, state)


def _run_in(
    dtype: torch.dtype,
    module: nn.Module,
    X: Rows,
    batches: Sequence[slice],
    state: Mapping[str, Tensor],
) -> tuple[list[Tensor], dict[str, Tensor]]:
    device = next(module.parameters()).device

    def converted(name: str, own: Tensor, *, copy: bool) -> Tensor:
        value = state.get(name, own)
        return value.to(device, dtype if own.is_floating_point() else None, copy=copy)

    # These name a tied parameter once, and include buffers that no state dictionary has. The
    # forward may write to buffers; one that writes to its parameters was refused in `fit`.
    tensors = {
        name: converted(name, own, copy=False) for name, own in module.named_parameters()
    } | {name: converted(name, own, copy=True) for name, own in module.named_buffers()}
    outputs = [
        functional_call(module, tensors, as_tensor(X[rows]).to(device, dtype, copy=True))
        for rows in batches
    ]
    return outputs, tensors


def hidden_features(module: nn.Module, X: Rows, names: Iterable[str]) -> np.ndarray:
    """Read the input of the last executed layer that owns one of the named parameters.

    If the network uses a parameter without calling its owner, or calls it with anything but
    one row per row of X, the owner is the closest layer around it, in the end the network.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        The inputs.
    names : iterable of str
        Names of parameters, such as a mask's.

    Returns
    -------
    hidden : float32 ndarray of shape (n_samples, n_hidden)
        The input, flattened.
    """
    module = plain_module(module)
    chains = {name: _layers_around(name) for name in names}
    paths = {path for chain in chains.values() for path in chain}
    with evaluating(module):
        # An axis whose length follows the number of rows is the axis of the rows.
        two, three = (_layer_inputs(module, X[[0] * n], paths) for n in (2, 3))
        by_row = [
            path
            for path, read in three.items()
            if path in two and (two[path].shape[:1], read.shape[:1]) == ((2,), (3,))
        ]
        owners = {next(path for path in chain if path in by_row) for chain in chains.values()}
        last = [path for path in by_row if path in owners][-1]
        # One batch at a time, as the inputs read are those of the last one.
        batches = gen_batches(len(X), rows_per_batch(module, X))
        hidden = [_layer_inputs(module, X[rows], {last})[last] for rows in batches]
    return torch.cat([read.reshape(len(read), -1) for read in hidden]).numpy()


def _layers_around(name: str) -> list[str]:
    """Return the paths of the layers that contain a parameter, from its owner to the network."""
    parts = name.split(".")[:-1]
    return [".".join(parts[:n]) for n in range(len(parts), -1, -1)]


def _layer_inputs(module: nn.Module, X: Rows, paths: Iterable[str]) -> dict[str, Tensor]:
    """Return the last input of each layer, as float32 on the CPU, in the order of these calls."""
    inputs: dict[str, Tensor] = {}

    def record(path: str, layer: nn.Module, args: Any, kwargs: Any) -> None:
        inputs.pop(path, None)
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if given:
            # A copy, because the forward may work in place.
            inputs[path] = given[0].detach().to("cpu", torch.float32, copy=True)

    hooks = [
        module.get_submodule(path).register_forward_pre_hook(
            partial(record, path), with_kwargs=True
        )
        for path in paths
    ]
    try:
        infer(module, X)
    finally:
        for hook in hooks:
            hook.remove()
    return inputs
