"""Optimizers of the scores of a mask: one call of a fused kernel in a step.

They do what torch's fused optimizers do. The loops around those take longer than the kernels, where
networks are small.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(eq=False)
class FusedOptimizer:
    """Base of optimizers of given tensors.

    Parameters
    ----------
    tensors : list of Tensor
        The tensors, updated in place.
    """

    tensors: list[Tensor]

    def step(self, gradients: list[Tensor], lr: float) -> None:
        """Update the tensors in place.

        Parameters
        ----------
        gradients : list of Tensor
            One for each tensor.
        lr : float
            The learning rate of this step.
        """
        raise NotImplementedError


@dataclass(eq=False)
class FusedAdam(FusedOptimizer):
    """Adam with the usual constants.

    Parameters
    ----------
    tensors : list of Tensor
        The tensors, updated in place.
    """

    means: list[Tensor] = field(init=False)
    squares: list[Tensor] = field(init=False)
    n_steps: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.means = [torch.zeros_like(tensor) for tensor in self.tensors]
        self.squares = [torch.zeros_like(tensor) for tensor in self.tensors]
        self.n_steps = torch.zeros((), device=self.tensors[0].device)

    def step(self, gradients: list[Tensor], lr: float) -> None:
        """Update the tensors."""
        self.n_steps += 1
        torch._fused_adam_(
            self.tensors,
            gradients,
            self.means,
            self.squares,
            [],
            [self.n_steps] * len(self.tensors),
            lr=lr,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


@dataclass(eq=False)
class FusedSGD(FusedOptimizer):
    """Gradient descent with momentum.

    Parameters
    ----------
    tensors : list of Tensor
        The tensors, updated in place.
    momentum : float
        The momentum.
    """

    momentum: float
    velocities: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.momentum:
            self.velocities = [torch.zeros_like(tensor) for tensor in self.tensors]

    def step(self, gradients: list[Tensor], lr: float) -> None:
        """Update the tensors."""
        torch._fused_sgd_(
            self.tensors,
            gradients,
            self.velocities,
            weight_decay=0.0,
            momentum=self.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
