"""`Readout`: a network that ends in what the methods of its pruner make of the outputs."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sklearn_tickets._network import check_same_outputs
from sklearn_tickets.pruners.base import apply_nonlinearity, class_codes

# The methods of a pruner that compute what a file does.
_METHODS = {"raw": "_outputs", "probabilities": "predict_proba", "labels": "predict"}


class Readout(nn.Module):
    """A network, followed by what a pruner's ``predict`` and ``predict_proba`` do with its outputs.

    Parameters
    ----------
    network : torch.nn.Module
        The pruner's network, or one of the same outputs.
    pruner : fitted pruner
        Its ``output_scale_`` and ``temperature_`` apply if the ticket is untrained.
    outputs : sequence of {"raw", "probabilities", "labels"}
        What to compute: the logits or regression outputs, the probabilities of the classes, and
        the class numbers of the predicted labels.
    """

    scale: Tensor | None

    def __init__(self, network: nn.Module, pruner: Any, outputs: Sequence[str]) -> None:
        super().__init__()
        self.network, self.pruner, self.outputs = network, pruner, outputs
        scale = torch.from_numpy(pruner.output_scale_ / pruner.temperature_).float()
        self.register_buffer("scale", scale if pruner._is_untrained() else None)

    def forward(self, X: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs, in the order of their names."""
        outputs = self.network(X)
        raw = outputs[:, None] if outputs.ndim == 1 else outputs
        if self.scale is not None:
            raw = raw * self.scale
        return tuple(self._read(name, raw) for name in self.outputs)

    def _read(self, name: str, raw: Tensor) -> Tensor:
        if name == "probabilities":
            return apply_nonlinearity(self.pruner.estimator_, raw)
        return class_codes(self.pruner.estimator, raw) if name == "labels" else raw

    def check(self, X: Tensor, name: str) -> None:
        """Check that the methods of the pruner, which work in float64, compute the same.

        `name` is what to call the network in error messages.
        """
        copied = Readout(copy.deepcopy(self.network), self.pruner, self.outputs).eval()
        names = f"{name} in float32", f"outputs={self.outputs!r} of the pruner"
        check_same_outputs(copied, self._by_methods, X, names)

    def _by_methods(self, X: Tensor) -> list[Tensor]:
        with warnings.catch_warnings(action="ignore"):  # X has no feature names
            found = {name: getattr(self.pruner, _METHODS[name])(X.numpy()) for name in self.outputs}
        tensors = as_tensors(found, getattr(self.pruner, "classes_", None))
        return [each.float() if each.is_floating_point() else each for each in tensors]


def as_tensors(outputs: Mapping[str, NDArray[Any]], classes: Any) -> list[Tensor]:
    """Convert named outputs to tensors, labels to class numbers."""
    return [
        torch.from_numpy(np.searchsorted(classes, values) if name == "labels" else values)
        for name, values in outputs.items()
    ]
