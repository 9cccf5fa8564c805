"""A module's prunable parameters, and its evaluation mode for the length of a block."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import nn

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


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put every layer in evaluation mode for a block, then back in its own mode.

    The flags and ``functional_call`` change the module temporarily, so threads take turns.
    """
    with _EVALUATIONS:
        was_training = {layer: layer.training for layer in module.modules()}
        module.eval()
        try:
            yield
        finally:
            for layer, flag in was_training.items():
                layer.training = flag


def prunable_parameters(
    module: nn.Module, *, prune_bias: bool = False, exclude: Iterable[str] = ()
) -> dict[str, nn.Parameter]:
    """List the parameters that a pruner may remove.

    Weights are parameters with two or more axes, except those of normalization layers. Biases
    are the one-axis parameters of layers that own such a weight. A shared parameter is listed
    once.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    prune_bias : bool, default=False
        Whether biases are listed as well.
    exclude : iterable of str, default=()
        Glob patterns (``"head.*"``) of names to leave out.

    Returns
    -------
    parameters : dict of str to torch.nn.Parameter
        In the order of ``module.named_parameters()``.

    Raises
    ------
    ValueError
        If a pattern of `exclude` matches no parameter, or nothing is left to prune.
    """
    module, exclude = plain_module(module), tuple(exclude)
    names = [name for name, _ in module.named_parameters()]
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"exclude={pattern!r} matches no parameter. The parameters are: {', '.join(names)}."
            )
    owners = {
        path
        for path, layer in module.named_modules()
        if not isinstance(layer, NORMALIZATION_LAYERS)
        and any(p.ndim > 1 for p in layer.parameters(recurse=False))
    }
    prunable = {
        name: parameter
        for name, parameter in module.named_parameters()
        if name.rpartition(".")[0] in owners
        and (parameter.ndim > 1 or (prune_bias and parameter.ndim == 1))
        and not any(fnmatchcase(name, pattern) for pattern in exclude)
    }
    if not prunable:
        raise ValueError(
            f"{type(module).__name__} has no prunable parameters (weights with two or more "
            f"axes outside normalization layers) left by exclude={exclude!r}."
        )
    return prunable
