"""`ModuleTemplate`: make a factory from an existing module."""

import copy

from torch import nn


class ModuleTemplate:
    """Make fresh copies of a module, including pretrained weights.

    skorch trains the module *instance* it is given and scikit-learn's ``clone`` copies
    its trained weights. A template is safe: the module is copied when the template is
    made and again at every call, so nothing trains the original.

    Parameters
    ----------
    module : torch.nn.Module
        The module to copy.

    Raises
    ------
    TypeError
        If `module` is not a ``torch.nn.Module`` instance.

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
                "function that makes modules needs no template: pass it to the net directly."
            )
        self._module = copy.deepcopy(module)

    def __call__(self) -> nn.Module:
        return copy.deepcopy(self._module)

    def __deepcopy__(self, memo: dict) -> "ModuleTemplate":
        # It is immutable, so that clones of a net can share it.
        return self

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self._module.parameters())
        return f"ModuleTemplate({type(self._module).__name__}, {count:,} parameters)"
