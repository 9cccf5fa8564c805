"""`SmallNetwork`: a module, its training loss and its mask, read as a `SparseChain`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import (
    NeuralNet,
    NeuralNetBinaryClassifier,
    NeuralNetClassifier,
    NeuralNetRegressor,
)
from torch import Tensor

from sklearn_tickets._chain import read_mlp
from sklearn_tickets._curvature._objective import Objective
from sklearn_tickets._curvature._sparse_chain import SparseChain
from sklearn_tickets._network import as_tensor, plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base import Run
from sklearn_tickets.training import weighted_loss

# Penalty on the sum of the rows' losses for classes, as strong as that of `LogisticRegression`.
# Without it, probabilities become 0 and 1, and second-order steps learn wrong labels by heart.
_RIDGE = 1.0
# A net with another loss may look at its module's weights, which are not those of the chain.
_NETS = NeuralNet, NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor
_LOSSES = {net.get_loss for net in _NETS}


@dataclass(frozen=True, eq=False)
class SmallNetwork:
    """A network whose live part can have its full matrix.

    Parameters
    ----------
    whole : TicketMask
        The mask before the first round: what may be kept.
    n_kept : int
        Number of its entries to keep in the end.
    layers : list of str
        Names of the layers from inputs to outputs.
    objective : Objective
        The training loss.
    """

    whole: TicketMask
    n_kept: int
    layers: list[str]
    objective: Objective

    @classmethod
    def of(cls, run: Run, max_exact: int) -> Self:
        """Read the network of a fit, and check that its live part can have its full matrix.

        Parameters
        ----------
        run : Run
            The fit.
        max_exact : int
            Largest number of parameters to keep.

        Returns
        -------
        network : SmallNetwork

        Raises
        ------
        ValueError
            If it cannot.
        """
        module, n_rows = plain_module(run.net.module_), len(run.X)
        layers = read_mlp(module, math.prod(run.X.shape[1:]), "estimator's module")
        for name, value in module.named_parameters():
            if not value.requires_grad:
                raise ValueError(f"{name!r} of estimator's module is frozen.")
            if value.ndim > 1 and name not in run.mask:
                raise ValueError(f"{name!r} is excluded from pruning.")
        if type(run.net).get_loss not in _LOSSES:
            raise ValueError(f"{type(run.net).__name__} has a loss of its own.")
        density = run.rounds.density(run.rounds.n_rounds)
        assert density is not None
        n_kept = sum(run.mask.counts(density))
        if n_kept > min(max_exact, n_rows):
            raise ValueError(
                f"{n_kept:,} parameters are to be kept, which is more than max_exact="
                f"{max_exact:,} or the {n_rows:,} rows of X."
            )
        X = as_tensor(run.X[:]).reshape(n_rows, -1).double()
        weight = None if run.sample_weight is None else as_tensor(run.sample_weight)

        def loss(output: Tensor, X: Tensor, y: Tensor, sample_weight: Tensor | None) -> Tensor:
            # Criterions may hold weights in single precision.
            output = output.float().to(run.net.device)
            output = output.reshape(y.shape if y.is_floating_point() else output.shape)
            if sample_weight is None:
                return run.net.get_loss(output, y, X=X)
            y, sample_weight = y.to(run.net.device), sample_weight.to(run.net.device)
            return weighted_loss(run.net.criterion_, output, y, sample_weight)

        is_sum = getattr(run.net.criterion_, "reduction", "mean") == "sum"
        ridge = 0.0 if run.classes is None else _RIDGE / (1 if is_sum else n_rows)
        objective = Objective(loss, X, as_tensor(run.y), weight, ridge)
        network = cls(run.mask, n_kept, layers, objective)
        criterion = type(run.net.criterion_).__name__
        try:
            _, _, curvature = network.objective.derivatives(network.chain(run).outputs(X))
        except RuntimeError as error:
            raise ValueError(f"{criterion} cannot be differentiated twice: {error}.") from error
        if not curvature.any():
            raise ValueError(f"the second derivatives of {criterion} are all 0.")
        return network

    def chain(self, run: Run) -> SparseChain:
        """Return the chain at the current weights and mask."""
        parameters = dict(plain_module(run.net.module_).named_parameters())
        values = {name: value.detach().double().cpu() for name, value in parameters.items()}
        free = {name: torch.ones_like(value, dtype=torch.bool) for name, value in values.items()}
        kept = self._tables(free | dict(run.mask))
        removable = self._tables({name: ~each for name, each in free.items()} | dict(self.whole))
        return SparseChain(self._tables(values), kept, removable).keep(kept)

    def load(self, run: Run, chain: SparseChain) -> dict[str, NDArray[np.bool_]]:
        """Copy the weights of a chain to the net, and return what it keeps by name."""
        with torch.no_grad():
            values = self._by_name(chain.tables)
            for name, parameter in plain_module(run.net.module_).named_parameters():
                parameter.copy_(values[name])
        kept = self._by_name(chain.kept)
        return {name: kept[name].numpy() for name in self.whole}

    def _tables(self, by_name: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Join weights and biases; those that a layer lacks are 0."""
        weights = [by_name[f"{name}.weight"] for name in self.layers]
        biases = [
            by_name.get(f"{name}.bias", weight.new_zeros(len(weight)))
            for name, weight in zip(self.layers, weights, strict=True)
        ]
        return tuple(map(torch.column_stack, zip(weights, biases, strict=True)))

    def _by_name(self, tables: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Take weights and biases apart."""
        return {
            f"{name}.{part}": entries
            for name, table in zip(self.layers, tables, strict=True)
            for part, entries in (("weight", table[:, :-1]), ("bias", table[:, -1]))
        }
