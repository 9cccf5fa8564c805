"""`Host`: a frozen network as annealing sees it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sklearn_tickets._chain import read_mlp
from sklearn_tickets._network import as_tensor, infer, plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base import Run, scale_and_temperature

if TYPE_CHECKING:
    from sklearn_tickets._annealing import Problem


@dataclass(frozen=True, eq=False)
class Host:
    """The frozen network, and the order of its parameters in a chain's bits.

    Parameters
    ----------
    state : dict of str to Tensor
        The initial weights.
    mask : TicketMask
        What may be kept.
    layers : list of str
        Names of the layers from inputs to outputs.
    n_constant : int
        1 if there is a single logit, before which a chain has an output that is always 0.
    """

    state: dict[str, Tensor]
    mask: TicketMask
    layers: list[str]
    n_constant: int

    @classmethod
    def of(cls, run: Run) -> "Host":
        """Read the network of a fit."""
        module, n_features = plain_module(run.net.module_), math.prod(run.X.shape[1:])
        layers = read_mlp(module, n_features, "estimator's module")
        state = {name: value.cpu() for name, value in run.start.module.items()}
        is_single = run.classes is not None and len(state[f"{layers[-1]}.weight"]) == 1
        return cls(state, run.mask, layers, int(is_single))

    def tables(self, by_name: Mapping[str, Tensor]) -> list[NDArray]:
        """Return what a mapping has on each layer, by unit: its inputs and its bias, or 0."""
        tables = []
        for name in self.layers:
            weight = by_name[f"{name}.weight"].numpy()
            bias = by_name.get(f"{name}.bias")
            last = np.zeros(len(weight), weight.dtype) if bias is None else bias.numpy()
            tables.append(np.hstack([weight, last[:, None]]))
        tables[-1] = np.pad(tables[-1], ((self.n_constant, 0), (0, 0)))
        return tables

    def join(self, by_name: Mapping[str, Tensor]) -> NDArray:
        """Return the entries of a mapping in the order of the bits."""
        return np.concatenate([table.ravel() for table in self.tables(by_name)])

    def split(self, bits: NDArray) -> dict[str, NDArray]:
        """Return the entries of bits that the mask covers, by name."""
        tables = self.tables(self.state)
        by_name: dict[str, NDArray] = {}
        parts = np.split(bits, np.cumsum([table.size for table in tables])[:-1])
        for name, table, part in zip(self.layers, tables, parts, strict=True):
            n_constant = self.n_constant if name == self.layers[-1] else 0
            entries = part.reshape(table.shape)[n_constant:]
            by_name |= {f"{name}.weight": entries[:, :-1], f"{name}.bias": entries[:, -1]}
        return {name: by_name[name] for name in self.mask}

    def problem(self, run: Run, eps: float) -> "Problem":
        """Describe what the chains are to solve."""
        from sklearn_tickets._annealing import Problem

        tables = self.tables(self.state)
        biases = {name: f"{name}.bias" for name in self.layers}
        has_constant = [biases[n] in self.state and biases[n] not in self.mask for n in biases]
        n_samples = len(run.X)
        weight = np.ones(n_samples) if run.sample_weight is None else run.sample_weight
        if run.classes is None:
            y = run.y.reshape(n_samples, -1).astype(float)
            mean = np.average(y, axis=0, weights=weight)
            size = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight) * y.shape[1])
            targets = y / np.where(size > 0, size, 1)
        else:
            targets = np.eye(len(run.classes))[run.y.astype(int)]
        return Problem(
            weights=[table[:, :-1] for table in tables],
            biases=[table[:, -1] for table in tables],
            free=self.join(self.mask),
            always=np.repeat(
                [False, *has_constant],
                [tables[0].shape[1] - 1, *map(len, tables)],
            ),
            X=as_tensor(run.X[:]).numpy().reshape(n_samples, -1),
            targets=targets.astype(np.float32),
            row_weight=weight.astype(np.float32),
            is_classifier=run.classes is not None,
            eps=eps,
        )

    def log_scale(self, run: Run, start: TicketMask) -> NDArray[np.float64]:
        """Return the log-scales of the outputs to begin with: those of a strong ticket, or more."""
        outputs = infer(run.net.module_, run.X, start.apply(run.start.module))
        outputs = np.pad(outputs, ((0, 0), (self.n_constant, 0)))
        if run.classes is None:
            return np.zeros(outputs.shape[1])
        y = run.y.astype(int)
        scale, temperature = scale_and_temperature(run.net, outputs, y, run.sample_weight)
        # Where the start is of no use yet, the best logits are 0, and nothing would matter.
        sizes = np.abs(outputs * scale).mean(axis=1)
        size = np.average(sizes, weights=run.sample_weight) or 1.0
        return np.log(scale / min(temperature, size / math.e))
