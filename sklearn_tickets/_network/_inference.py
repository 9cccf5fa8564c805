"""Forward passes in float64: a network's outputs, hidden features and batch statistics."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_tickets._network._module import evaluating, plain_module

_BATCH = 1024


def as_tensor(array: np.ndarray | Tensor) -> Tensor:
    """Convert to a tensor, without a copy unless the array is read-only or not contiguous."""
    if isinstance(array, Tensor):
        return array
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


@torch.no_grad()
def infer(
    module: nn.Module, X: np.ndarray, state: Mapping[str, Tensor] | None = None
) -> np.ndarray:
    """Compute a module's outputs in float64, so that no row depends on the others in its batch.

    Parameters
    ----------
    module : torch.nn.Module
        The network, run in evaluation mode. It is not changed.
    X : ndarray of shape (n_samples, ...)
        The inputs.
    state : mapping of str to Tensor, default=None
        Weights and buffers to use instead of the module's own.

    Returns
    -------
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        Outputs with one axis become a single column.
    """
    module = plain_module(module)
    with evaluating(module):
        tensors = _in_float64(module, state or {})
        outputs = [
            torch.func.functional_call(
                module, tensors, (rows.to(_device(module), torch.float64, copy=True),)
            )
            for rows in as_tensor(X).split(_BATCH)
        ]
    stacked = torch.cat(outputs).cpu().numpy()
    return stacked.reshape(len(stacked), -1)


@torch.no_grad()
def normalization_statistics(
    module: nn.Module, X: np.ndarray, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Estimate the running statistics of batch normalization for other weights.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    X : ndarray of shape (n_samples, ...)
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
    n_batches = -(-len(X) // _BATCH)
    with evaluating(module):
        momenta = {layer: layer.momentum for layer in layers.values()}
        tensors = _in_float64(module, state)
        names = [
            f"{path}.{name}".lstrip(".")
            for path, layer in layers.items()
            for name, _ in layer.named_buffers()
        ]
        for name in names:
            tensors[name] = torch.full_like(tensors[name], name.endswith("var"))
        for layer in layers.values():
            layer.training, layer.momentum = True, None  # None averages over all batches
        try:
            for rows in as_tensor(X).tensor_split(n_batches):
                torch.func.functional_call(
                    module, tensors, (rows.to(_device(module), torch.float64),)
                )
        finally:
            for layer, momentum in momenta.items():
                layer.momentum = momentum
    return {name: tensors[name].cpu() for name in names}


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _in_float64(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Collect weights and buffers in float64, those of `state` if it has them."""
    # These name a tied parameter once, and include buffers that no state dictionary has.
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    return {
        name: state.get(name, value).to(
            _device(module), torch.float64 if value.is_floating_point() else None
        )
        for name, value in own.items()
    }


def hidden_features(module: nn.Module, X: np.ndarray, names: Iterable[str]) -> np.ndarray:
    """Read the input of the last executed layer that owns one of the named parameters.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    X : ndarray of shape (n_samples, ...)
        The inputs.
    names : iterable of str
        Names of parameters, such as a mask's.

    Returns
    -------
    hidden : float32 ndarray of shape (n_samples, n_hidden)
        The input, flattened.

    Raises
    ------
    ValueError
        If the network uses its weights without calling the layers that own them.
    """
    module = plain_module(module)
    inputs: list[Tensor] = []
    hidden = []
    with evaluating(module):
        hooks = [
            module.get_submodule(path).register_forward_pre_hook(
                lambda layer, args, kwargs: inputs.append([*args, *kwargs.values()][0]),
                with_kwargs=True,
            )
            for path in {name.rpartition(".")[0] for name in names}
        ]
        try:
            for start in range(0, len(X), _BATCH):
                infer(module, X[start : start + _BATCH])
                if not inputs:
                    raise ValueError(
                        f"{type(module).__name__} calls none of its layers with prunable weights, "
                        "so transform has no layer whose input it could return."
                    )
                hidden.append(inputs[-1].flatten(1).float().cpu().numpy())
                inputs.clear()
        finally:
            for hook in hooks:
                hook.remove()
    return np.concatenate(hidden)
