"""`Objective`: a loss over rows of data; `Quadratic`: its Gauss-Newton model at a network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import torch
from torch import Tensor

from sklearn_tickets._curvature._sparse_chain import SparseChain

# The loss of outputs of shape (n_samples, n_outputs), given X, y and the sample weights.
Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]

# Part of the diagonal of a curvature that is added before it is inverted.
DAMPING = 1e-4
_MOST_DAMPING = 1e15
# Numbers of a Jacobian in memory at a time.
_CHUNK = 2**21


@dataclass(frozen=True, eq=False)
class Objective:
    r"""A loss over rows of data, which depends on each row's outputs alone, and a penalty.

    Parameters
    ----------
    loss : callable
        The loss of outputs, a Tensor of shape (), given X, y and the sample weights.
    X : float64 Tensor of shape (n_samples, n_inputs)
        The inputs.
    y : Tensor of shape (n_samples, ...)
        The targets.
    sample_weight : Tensor of shape (n_samples,) or None
        The weights of the rows.
    ridge : float
        Weight r of the penalty :math:`\tfrac{r}{2} \sum w^2` on the kept entries.
    """

    loss: Loss
    X: Tensor
    y: Tensor
    sample_weight: Tensor | None
    ridge: float

    def sample(self, n_samples: int, rng: torch.Generator) -> Self:
        """Draw rows, at most all."""
        rows = torch.randperm(len(self.X), generator=rng)[:n_samples]
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], sample_weight=weight)

    def value(self, chain: SparseChain) -> float:
        """Compute the loss of a network, and its penalty."""
        with torch.no_grad():
            loss = self.loss(chain.outputs(self.X), self.X, self.y, self.sample_weight)
        return float(loss) + self.penalty(chain)

    def penalty(self, chain: SparseChain) -> float:
        """Compute the penalty of a network."""
        return float(chain.vector.square().sum()) * self.ridge / 2

    def derivatives(self, outputs: Tensor) -> tuple[float, Tensor, Tensor]:
        """Differentiate the loss twice with respect to the outputs.

        Parameters
        ----------
        outputs : Tensor of shape (n_samples, n_outputs)
            The outputs.

        Returns
        -------
        value : float
            The loss.
        slope : Tensor of shape (n_samples, n_outputs)
            Its gradient.
        curvature : Tensor of shape (n_samples, n_outputs, n_outputs)
            Its second derivatives; those between different rows are 0.
        """
        outputs = outputs.detach().requires_grad_()
        with torch.enable_grad():
            value = self.loss(outputs, self.X, self.y, self.sample_weight)
            (slope,) = torch.autograd.grad(value, outputs, create_graph=True)
            curvature = torch.zeros(*slope.shape, slope.shape[1], dtype=slope.dtype)
            if slope.requires_grad:
                for i, total in enumerate(slope.sum(dim=0)):
                    (column,) = torch.autograd.grad(
                        total, outputs, retain_graph=True, materialize_grads=True
                    )
                    curvature[:, :, i] = column
        return float(value.detach()), slope.detach(), curvature


@dataclass(frozen=True, eq=False)
class Quadratic:
    r"""A model of the loss around a network,

    .. math:: L(w + d) \approx L + g^T d + \tfrac{1}{2} d^T H d.

    Parameters
    ----------
    value : float
        The loss L.
    gradient : Tensor of shape (n,)
        Its gradient g with respect to the kept entries.
    hessian : Tensor of shape (n_rows, n)
        The Gauss-Newton matrix H, or some of its rows.
    diagonal : Tensor of shape (n,)
        The diagonal of the whole matrix.
    """

    value: float
    gradient: Tensor
    hessian: Tensor
    diagonal: Tensor

    @classmethod
    def of(
        cls, objective: Objective, chain: SparseChain, rows: Tensor | slice = slice(None)
    ) -> Self:
        r"""Expand a loss at a network.

        With Jacobians :math:`J_i` of the outputs of sample i, and second derivatives
        :math:`S_i` of the loss with respect to them,
        :math:`H = \sum_i J_i^T S_i J_i`.

        Parameters
        ----------
        objective : Objective
            The loss.
        chain : SparseChain
            The network.
        rows : slice or bool Tensor of shape (n,), default=slice(None)
            The rows of H to compute.

        Returns
        -------
        model : Quadratic
        """
        value, slope, curvature = objective.derivatives(chain.outputs(objective.X))
        # Single precision is twice as fast, and damping is far above its rounding.
        single = replace(chain, tables=tuple(table.float() for table in chain.tables))
        inputs, slope, curvature = objective.X.float(), slope.float(), curvature.float()
        n = len(chain.vector)
        gradient, diagonal = torch.zeros(2, n)
        hessian = torch.zeros(n, n)[rows]
        n_samples = max(1, _CHUNK // (n * slope.shape[1]))
        for part in torch.arange(len(slope)).split(n_samples):
            jacobian = single.jacobian(inputs[part])
            curved = torch.einsum("icd,dni->cni", curvature[part], jacobian)
            for row, curved_row, slopes in zip(jacobian, curved, slope[part].T, strict=True):
                gradient += row @ slopes
                hessian += row[rows] @ curved_row.T
                diagonal += torch.linalg.vecdot(row, curved_row)
        return cls(
            value + objective.penalty(chain),
            gradient.double() + objective.ridge * chain.vector,
            hessian.double() + objective.ridge * torch.eye(n, dtype=torch.float64)[rows],
            diagonal.double() + objective.ridge,
        )

    def damped(self, damping: float) -> Tensor:
        """Return H with a part of its diagonal added, which is positive if the part is large."""
        floor = 1e-6 * self.diagonal.abs().max() + 1e-30
        return self.hessian + torch.diag(damping * (self.diagonal.clamp_min(0) + floor))

    def factor(self, damping: float) -> Tensor:
        """Return the Cholesky factor of the damped H, of a more damped one where rounding asks.

        Parameters
        ----------
        damping : float
            Part of the diagonal to add.

        Returns
        -------
        factor : Tensor of shape (n, n)
            Lower triangular.

        Raises
        ------
        ValueError
            If H is not finite.
        """
        while damping < _MOST_DAMPING:
            factor, failed = torch.linalg.cholesky_ex(self.damped(damping))
            if not failed:
                return factor
            damping *= 10
        raise ValueError(
            "The curvature of the training loss is not finite. Lower the learning rate of "
            "estimator, or scale X and y."
        )
