"""`ModuleTemplate`: make a factory from an existing module."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class ModuleTemplate:
    """Make fresh copies of a module, including pretrained weights.

    skorch trains the module *instance* it is given and scikit-learn's ``clone`` copies
    its trained weights. A template is safe: the module is copied when the template is
    made and again at every call, so nothing trains the original. Templates are pickled by
    value: a copy has the same ``joblib.hash``, and is on the CPU when loaded.

    Parameters
    ----------
    module : torch.nn.Module
        The module to copy.

    Raises
    ------
    TypeError
        If `module` is not a ``torch.nn.Module`` instance.
    ValueError
        If a parameter has no values: one of a lazy layer, or on the meta device. If a weight is
        computed from others, as by ``torch.nn.utils.prune``.

    Examples
    --------
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from sklearn_tickets.models import ModuleTemplate
    >>> module = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> net = NeuralNetClassifier(ModuleTemplate(module), criterion=nn.CrossEntropyLoss)
    >>> net.module
    ModuleTemplate(Sequential, 51 parameters)
    """

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"module must be a torch.nn.Module instance; got {module!r}. A class or "
                "function that makes modules needs no template: pass it to the net directly. "
                "Of a fitted skorch net, pass net.module_."
            )
        for name, parameter in module.named_parameters():
            if nn.parameter.is_lazy(parameter) or parameter.is_meta:
                raise ValueError(
                    f"module's parameter {name!r} has no values to copy. Call a module with lazy "
                    "layers on some rows first, and make no parameters on the meta device; or "
                    "pass the net a function that makes the module."
                )
        for path, layer in module.named_modules():
            for name, value in vars(layer).items():
                if isinstance(value, Tensor) and not value.is_leaf:
                    raise ValueError(
                        f"module's layer {path!r} has a tensor {name!r} that is computed from "
                        "others and cannot be copied. Make a weight plain with "
                        f"torch.nn.utils.prune.remove(layer, {name!r}), "
                        "torch.nn.utils.remove_weight_norm or remove_spectral_norm."
                    )
        self._module = copy.deepcopy(module)

    def __call__(self) -> nn.Module:
        return copy.deepcopy(self._module)

    def __deepcopy__(self, memo: dict) -> "ModuleTemplate":
        # It is immutable, so that clones of a net can share it.
        return self

    def __getstate__(self) -> dict[str, Any]:
        # torch pickles the addresses of tensors, too, which differ between equal modules.
        return {
            "skeleton": _with_tensors(self._module, _numberless),
            "numbers": [_numbers(tensor) for tensor in _tensors(self._module)],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        numbers = iter(state["numbers"])
        self._module = _with_tensors(
            state["skeleton"], lambda tensor: _filled(tensor, next(numbers))
        )

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self._module.parameters())
        return f"ModuleTemplate({type(self._module).__name__}, {count:,} parameters)"


def _tensors(module: nn.Module) -> list[Tensor]:
    """List all tensors of a module: parameters, buffers and plain attributes."""
    found = {
        id(value): value
        for layer in module.modules()
        for values in (layer._parameters, layer._buffers, vars(layer))
        for value in values.values()
        if isinstance(value, Tensor)
    }
    return list(found.values())


def _with_tensors(module: nn.Module, convert: Callable[[Tensor], Tensor]) -> nn.Module:
    """Copy a module with other tensors in place of its own."""
    others = {}
    for tensor in _tensors(module):
        other = convert(tensor.detach())
        if isinstance(tensor, nn.Parameter):
            other = nn.Parameter(other, requires_grad=tensor.requires_grad)
        others[id(tensor)] = other
    return copy.deepcopy(module, others)


def _numberless(tensor: Tensor) -> Tensor:
    """Make a tensor of the same dtype and shape without numbers."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _numbers(tensor: Tensor) -> np.ndarray:
    """Return the bytes of a tensor. NumPy lacks some of torch's dtypes."""
    return tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy()


def _filled(tensor: Tensor, numbers: np.ndarray) -> Tensor:
    """Make a tensor of the same dtype and shape from its bytes."""
    filled = torch.empty(tensor.shape, dtype=tensor.dtype)
    filled.flatten().view(torch.uint8).copy_(torch.tensor(numbers))
    return filled
