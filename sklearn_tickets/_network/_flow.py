"""The positive linear flow through a network: which paths connect inputs to outputs.

A network of non-negative weights without activation functions is a sum over its
input-to-output paths. Passing a batch of ones through it and differentiating answers two
questions for any architecture: how much flow passes through each parameter (SynFlow's score),
and which parameters lie on a path at all (the effective mask).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sklearn_tickets._network._module import evaluating, functional_call

_ACTIVATION_NAMES = (
    {"relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish"}
    | {"softplus", "softsign", "logsigmoid", "tanhshrink", "tanh", "sigmoid", "threshold"}
    | {"hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "dropout", "dropout1d"}
    | {"dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
)
_ACTIVATIONS: set[Callable[..., Any]] = {
    getattr(namespace, name + suffix)
    for namespace in (functional, torch, Tensor)
    for name in _ACTIVATION_NAMES
    for suffix in ("", "_")
    if hasattr(namespace, name + suffix)
}
_NORMALIZATIONS: set[Callable[..., Any]] = {
    getattr(functional, f"{kind}_norm") for kind in ("batch", "instance", "layer", "group", "rms")
}
_AFFINE: set[Callable[..., Any]] = {functional.linear} | {
    getattr(functional, f"{kind}{n}d") for kind in ("conv", "conv_transpose") for n in (1, 2, 3)
}
_MAX_POOLS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(namespace, f"max_pool{n}d"): getattr(functional, f"avg_pool{n}d")
    for namespace in (functional, torch)
    for n in (1, 2, 3)
}
_ADAPTIVE_MAX_POOLS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(functional, f"adaptive_max_pool{n}d"): getattr(functional, f"adaptive_avg_pool{n}d")
    for n in (1, 2, 3)
}
_SOFTMAXES: set[Callable[..., Any]] = {
    getattr(namespace, name)
    for namespace in (functional, torch, Tensor)
    for name in ("softmax", "log_softmax")
}


class PositiveFlow(TorchFunctionMode):
    """Run a module without activations, with normalization reduced to ``|gamma| x``.

    Parameters
    ----------
    trace : bool, default=False
        Whether the flow only has to show what is connected. A bias then flows only in units
        that the input reaches, and max pooling averages, so that gradients reach every
        position rather than only the largest.
    """

    def __init__(self, trace: bool = False) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _ACTIVATIONS or (self.trace and func in _SOFTMAXES):
            return args[0]
        if func in _NORMALIZATIONS:
            return _scale_only(func, *args, **kwargs)
        if self.trace and func in _AFFINE:
            return _gated(func, *args, **kwargs)
        if self.trace and func in _MAX_POOLS:
            return _averaged(func, *args, **kwargs)
        if self.trace and func in _ADAPTIVE_MAX_POOLS:
            return _ADAPTIVE_MAX_POOLS[func](args[0], args[1])
        return func(*args, **kwargs)


def _scale_only(func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Compute ``|gamma| x``, where gamma is the ``weight`` argument of `func`."""
    position = {functional.batch_norm: 2, functional.instance_norm: 2}.get(func, 1)
    gamma = args[position] if len(args) > position else kwargs.get("weight")
    if gamma is None:
        return x
    if func in (functional.layer_norm, functional.rms_norm):
        return x * gamma.abs()
    return x * gamma.abs().reshape(-1, *[1] * (x.ndim - 2))


def _gated(
    func: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Tensor:
    """Compute an affine map whose biases are added only in units that the input reaches."""
    flow = func(x, weight, None, *args, **kwargs)
    if bias is None:
        return flow
    if func is not functional.linear:
        bias = bias.reshape(-1, *[1] * (weight.ndim - 2))
    return flow + bias * (flow.detach() != 0)


def _averaged(
    func: Callable[..., Any],
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Average over each pooling window, including the holes of a dilated one."""
    window = (np.asarray(dilation) * (np.asarray(kernel_size) - 1) + 1).tolist()
    return _MAX_POOLS[func](x, window, stride or kernel_size, padding, ceil_mode)


def _additive_parameters(module: nn.Module) -> set[str]:
    """Find the names of biases: parameters that are added rather than multiplied.

    All one-axis parameters of a layer that owns a weight count as biases.
    """
    owners = {
        path
        for path, layer in module.named_modules()
        if any(value.ndim > 1 for value in layer.parameters(recurse=False))
    }
    names = set()
    for name, value in module.named_parameters():
        path, _, own = name.rpartition(".")
        if value.ndim < 2 and ("bias" in own or path in owners):
            names.add(name)
    return names


def positive_flow(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    X: Tensor,
    *,
    trace: bool = False,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Pass ones through `module` with non-negative `parameters`, and differentiate.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    parameters : mapping of str to Tensor
        Non-negative float64 values of some parameters. Of the others, biases are 0, and
        weights and scales enter with their absolute values.
    X : Tensor of shape (n_samples, ...)
        Gives the shape of one input. Its values are not used.
    trace : bool, default=False
        As in `PositiveFlow`.

    Returns
    -------
    total : float64 Tensor of shape ()
        The sum of the outputs, R.
    gradients : dict of str to float64 Tensor
        dR / d parameter for each of `parameters`.
    input_gradient : float64 Tensor of shape X.shape[1:]
        dR / d input.
    """
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    device = next(iter(leaves.values())).device
    with evaluating(module), torch.enable_grad():
        zero = _additive_parameters(module)
        state = {
            name: value.detach().double().abs() * (name not in zero)
            for name, value in module.named_parameters()
            if name not in leaves
        }
        buffers = {
            name: value.double() if value.is_floating_point() else value.clone()
            for name, value in module.named_buffers()
        }
        shape = (1, *X.shape[1:])
        ones = torch.ones(shape, dtype=torch.float64, device=device, requires_grad=True)
        with PositiveFlow(trace):
            output = functional_call(module, state | leaves | buffers, ones)
            total = output.sum()
    *gradients, input_gradient = torch.autograd.grad(
        total, [*leaves.values(), ones], allow_unused=True, materialize_grads=True
    )
    return total.detach(), dict(zip(leaves, gradients, strict=True)), input_gradient[0]


def trace_paths(
    module: nn.Module, kept: Mapping[str, Tensor], X: Tensor | np.ndarray
) -> tuple[dict[str, Tensor], Tensor]:
    """Find what lies on a path of kept weights from an input to an output.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed. Weights that `kept` does not name are kept.
    kept : mapping of str to bool Tensor
        A mask.
    X : Tensor or ndarray of shape (n_samples, ...)
        Gives the shape of an input. One row suffices.

    Returns
    -------
    parameters : dict of str to float64 Tensor
        Not 0 where a parameter lies on a path to an output.
    inputs : float64 Tensor of shape X.shape[1:]
        Not 0 where an input reaches an output.
    """
    with evaluating(module):
        additive = _additive_parameters(module)
        values = {
            # Dividing by the fan-in keeps the flow of deep, wide networks representable.
            name: (kept[name].to(value.device) if name in kept else torch.ones_like(value)).double()
            / max(1, value[0].numel() if value.ndim else 1)
            for name, value in module.named_parameters()
            if name in kept or name not in additive
        }
        _, parameters, inputs = positive_flow(module, values, torch.as_tensor(X[:1]), trace=True)
    return parameters, inputs
