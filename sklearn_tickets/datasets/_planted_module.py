"""`PlantedModule`: the factory of networks in which a ticket is planted."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import ScaledLinear


class PlantedModule:
    """A factory of networks with a planted ticket, all at the same initial weights.

    Pass it to a skorch net as its ``module``. It can be pickled, deep-copied and cloned,
    and nothing trains the weights it holds: every call returns a fresh copy.

    Parameters
    ----------
    host : torch.nn.Module
        The network, ticket included. It is copied.
    ticket : TicketMask
        The weights and biases that form the ticket; those of the last layer come last.
    output_scale : array-like of shape (n_outputs,)
        Factors that convert the ticket's outputs to the units of the task.

    Attributes
    ----------
    ticket : TicketMask
        As given.
    output_scale : ndarray of shape (n_outputs,)
        As given, in float64.

    See Also
    --------
    plant_ticket : Make a `PlantedModule` from a small and a large network.

    Examples
    --------
    >>> from sklearn_tickets.datasets import plant_ticket
    >>> from sklearn_tickets.datasets.tasks import ReluTask
    >>> from sklearn_tickets.models import MLP
    >>> host = MLP(n_features=1, n_outputs=1, hidden=(20, 20))
    >>> factory = plant_ticket(ReluTask().construct(depth=4), host, random_state=0)
    >>> factory
    PlantedModule(MLP, TicketMask(3 of 481 parameters))
    >>> factory().ticket
    TicketMask(3 of 481 parameters)
    """

    def __init__(self, host: nn.Module, ticket: TicketMask, output_scale: ArrayLike) -> None:
        self._host = copy.deepcopy(host)
        self.ticket = ticket
        self.output_scale = np.array(output_scale, dtype=np.float64)

    def __call__(self, output_scale: bool = False) -> nn.Module:
        """Make a network at the planted weights.

        Parameters
        ----------
        output_scale : bool, default=False
            Whether the network's last layer multiplies its outputs by the factors. The
            network has the same parameters either way.

        Returns
        -------
        module : torch.nn.Module
            With the ticket as its attribute ``ticket``.
        """
        module: Any = copy.deepcopy(self._host)
        module.ticket = self.ticket
        if output_scale:
            path, _, _ = list(self.ticket)[-1].rpartition(".")
            last = module.get_submodule(path)
            scale = torch.tensor(self.output_scale, dtype=last.weight.dtype)
            module.set_submodule(path, ScaledLinear(last, scale))
        return module

    def __deepcopy__(self, memo: dict) -> "PlantedModule":
        # It is immutable, so that clones of a net can share it.
        return self

    def __repr__(self) -> str:
        return f"PlantedModule({type(self._host).__name__}, {self.ticket!r})"
