"""A module's prunable parameters, its evaluation mode for a block, and calls with other ones."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_EVALUATIONS = threading.RLock()

NORMALIZATION_LAYERS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
)


def plain_module(module: nn.Module) -> nn.Module:
    """Return the module behind ``torch.compile``, whose parameters have their plain names."""
    return getattr(module, "_orig_mod", module)


def functional_call(module: nn.Module, tensors: Mapping[str, Tensor], *inputs: Tensor) -> Tensor:
    """Call a module with other tensors in place of some of its parameters and buffers.

    It is ``torch.func.functional_call`` but for a layer that has several names in the module:
    torch replaces the tensors of such a layer twice, and then puts the first replacement back.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    tensors : mapping of str to Tensor
        The replacements, by any name of a parameter or buffer. They replace it wherever it is
        shared.
    *inputs : Tensor
        The inputs.

    Returns
    -------
    output : Tensor
        The output.
    """
    named = chain(
        module.named_parameters(remove_duplicate=False),
        module.named_buffers(remove_duplicate=False),
    )
    replaced = {id(own): tensors[name] for name, own in named if name in tensors}
    once = {
        f"{path}.{name}".lstrip("."): replaced[id(own)]
        for path, layer in module.named_modules()
        for name, own in (layer._parameters | layer._buffers).items()
        if id(own) in replaced
    }
    return torch.func.functional_call(module, once, inputs, tie_weights=False)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put every layer in evaluation mode for a block, then back in its own mode.

    The flags and `functional_call` change the module temporarily, so threads take turns.
    """
    with _EVALUATIONS:
        was_training = {layer: layer.training for layer in module.modules()}
        module.eval()
        try:
            yield
        finally:
            for layer, flag in was_training.items():
                layer.training = flag


def check_own_weights(module: nn.Module) -> None:
    """Check that layers use their parameters as they are.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    Raises
    ------
    ValueError
        If a layer computes its weight from other parameters, by a parametrization or a hook.
        A mask over those would not prune the weight.
    """
    module = plain_module(module)
    for path, layer in module.named_modules():
        # `torch.nn.utils` turns the weight into an attribute that a hook computes.
        is_hooked = bool(layer._forward_pre_hooks) and any(
            isinstance(value, Tensor) for value in vars(layer).values()
        )
        if is_hooked or is_parametrized(layer):
            names = ", ".join(name for name, _ in layer.named_parameters())
            raise ValueError(
                f"The layer {path!r} of {type(module).__name__} computes a weight from its "
                f"parameters ({names}), so pruning these would not prune the weight. Make it a "
                "plain weight with torch.nn.utils.parametrize.remove_parametrizations, "
                "torch.nn.utils.remove_weight_norm, torch.nn.utils.remove_spectral_norm or "
                "torch.nn.utils.prune.remove."
            )


def prunable_parameters(
    module: nn.Module, *, prune_bias: bool = False, exclude: Iterable[str] = ()
) -> dict[str, nn.Parameter]:
    """List the parameters that a pruner may remove.

    Weights are parameters with two or more axes, except those of normalization layers. Biases
    are the one-axis parameters of layers that own such a weight; a layer owns the parameters
    in its lists and dictionaries of parameters, too. A shared parameter is listed once. Frozen
    parameters are listed like others.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    prune_bias : bool, default=False
        Whether biases are listed as well.
    exclude : iterable of str, default=()
        Names, or glob patterns of names (``"head.*"``), to leave out. What is the name of a
        parameter is not read as a pattern. A shared parameter is left out by any of its names.

    Returns
    -------
    parameters : dict of str to torch.nn.Parameter
        In the order of ``module.named_parameters()``.

    Raises
    ------
    ValueError
        If an entry of `exclude` matches no parameter, nothing is left to prune, or a layer
        computes its weight from other parameters.
    """
    module, exclude = plain_module(module), tuple(exclude)
    check_own_weights(module)
    # With all names of a shared parameter.
    named = dict(module.named_parameters(remove_duplicate=False))
    excluded = set()
    for pattern in exclude:
        matches = [pattern] if pattern in named else [n for n in named if fnmatchcase(n, pattern)]
        if not matches:
            raise ValueError(
                f"exclude={pattern!r} matches no parameter. The parameters are: {', '.join(named)}."
            )
        excluded |= {named[name] for name in matches}
    owners = {_owner(module, name) for name, parameter in named.items() if parameter.ndim > 1}
    prunable = {
        name: parameter
        for name, parameter in module.named_parameters()
        if (owner := _owner(module, name)) in owners
        and not isinstance(owner, NORMALIZATION_LAYERS)
        and (parameter.ndim > 1 or (prune_bias and parameter.ndim == 1))
        and parameter not in excluded
    }
    if not prunable:
        raise ValueError(
            f"{type(module).__name__} has no prunable parameters (weights with two or more "
            f"axes outside normalization layers) left by exclude={exclude!r}."
        )
    return prunable


def _owner(module: nn.Module, name: str) -> nn.Module:
    """Return the layer that a parameter belongs to, behind lists and dictionaries of them."""
    path = name.rpartition(".")[0]
    while isinstance(module.get_submodule(path), nn.ParameterList | nn.ParameterDict):
        path = path.rpartition(".")[0]
    return module.get_submodule(path)
