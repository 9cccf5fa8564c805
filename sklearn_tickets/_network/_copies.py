"""Copies of a module that can be taken apart: in evaluation mode, with plain weights.

What is read from a module is what the forward methods of its layers compute. Whatever else runs
when a layer is called is refused, except for the tools of ``torch.nn.utils`` that compute a
weight from other parameters: their weights are read.
"""

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from sklearn_tickets._network._module import plain_module

# The hooks that compute a weight, the attribute with its name, and what makes it plain again.
_REMOVERS: dict[type, tuple[str, Callable[..., Any]]] = {
    WeightNorm: ("name", remove_weight_norm),
    SpectralNorm: ("name", remove_spectral_norm),
    prune.BasePruningMethod: ("_tensor_name", prune.remove),
}


def check_calls(module: nn.Module, name: str) -> None:
    """Check that a call of the module runs its layers' forward methods and nothing else.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    name : str
        What to call it in error messages, such as the name of the argument.

    Raises
    ------
    ValueError
        If a layer has forward hooks or a forward of its own, other than its class's, or is not
        initialized yet.
    """
    everywhere = [torch_module._global_forward_pre_hooks, torch_module._global_forward_hooks]
    for hook in (hook for hooks in everywhere for hook in hooks.values()):
        raise ValueError(
            f"The forward hook {hook!r} is registered for all modules, and what it does to the "
            f"outputs of {name} cannot be read. Remove it with the `remove` of its handle."
        )
    for path, layer in module.named_modules():
        where = f"{type(layer).__name__} {path!r} of {name}"
        if any(is_lazy(parameter) for parameter in layer.parameters(recurse=False)):
            raise ValueError(f"{where} is not initialized; call {name} once, on a row of inputs.")
        for hook in (*layer._forward_pre_hooks.values(), *layer._forward_hooks.values()):
            if not isinstance(hook, tuple(_REMOVERS)):
                raise ValueError(
                    f"{where} has the forward hook {hook!r}, whose effect on the outputs cannot be "
                    "read. Remove it with the `remove` of its handle, and write what it computes "
                    "into a forward method."
                )
        if "forward" in vars(layer):
            raise ValueError(
                f"{where} has a forward of its own, {vars(layer)['forward']!r}, which cannot be "
                "read. Write it as the method of a class."
            )


def evaluation_copy(module: nn.Module, name: str) -> nn.Module:
    """Copy a module, in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    name : str
        What to call it in error messages.

    Returns
    -------
    copied : torch.nn.Module
        A network of the same outputs that shares no memory with `module`.

    Raises
    ------
    ValueError
        As `check_calls` does.
    """
    module = plain_module(module)
    check_calls(module, name)
    # Weights that a hook computes from others cannot be copied with their gradient.
    computed = {
        id(value): value.detach().clone()
        for layer in module.modules()
        for value in vars(layer).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        return copy.deepcopy(module, computed).eval()
    except Exception as error:
        raise ValueError(f"{name}, {type(module).__name__}, cannot be copied: {error}.") from error


def with_plain_weights(module: nn.Module, name: str) -> nn.Module:
    """Copy a module, with a plain parameter for every weight that is computed from others.

    Parameters
    ----------
    module : torch.nn.Module
        The network, which may have layers with parametrizations, pruned by
        ``torch.nn.utils.prune``, or under weight or spectral normalization. It is not changed.
    name : str
        What to call it in error messages.

    Returns
    -------
    plain : torch.nn.Module
        A network of the same outputs, in evaluation mode.

    Raises
    ------
    ValueError
        As `check_calls` does.
    """
    plain = evaluation_copy(module, name)
    for layer in list(plain.modules()):
        for hook in list(layer._forward_pre_hooks.values()):
            for kind, (attribute, remove) in _REMOVERS.items():
                if isinstance(hook, kind):
                    remove(layer, getattr(hook, attribute))
        if parametrize.is_parametrized(layer):
            names = list(layer.parametrizations)  # type: ignore[arg-type]
            weights = {own: getattr(layer, own).detach().clone() for own in names}
            # Copies share their class, which torch's own function would change.
            layer.__class__ = parametrize.type_before_parametrizations(layer)
            del layer.parametrizations
            for own, weight in weights.items():
                setattr(layer, own, nn.Parameter(weight))
    return plain
