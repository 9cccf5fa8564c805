"""`Problem`: what pruners run on, and `PlantedProblem`, whose ticket is known."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from skorch import NeuralNet

from sklearn_tickets.benchmark._runs import SeekData
from sklearn_tickets.datasets import PlantedTicket
from sklearn_tickets.masks import TicketMask


class Problem(ABC):
    """Data, a network, and masks that are known.

    Attributes
    ----------
    seed : int
        The seed of the pruners.
    data : SeekData
        The data, in a part for training and one for testing, and the ticket, if one is planted.
    prune_bias : bool
        Whether biases are pruned like weights.
    """

    seed: int
    data: SeekData
    prune_bias: bool

    @abstractmethod
    def make_net(self, **parameters: Any) -> NeuralNet:
        """Make an unfitted net, with these parameters instead of its own."""

    @abstractmethod
    def references(self) -> Iterator[tuple[str, NeuralNet, TicketMask]]:
        """Yield the name, net and mask of each reference."""


class PlantedProblem(Problem):
    """A planted ticket, which consists of weights and biases."""

    prune_bias = True

    def __init__(self, planted: PlantedTicket) -> None:
        # Hold out the last tenth of the samples.
        n_train = len(planted.X) - len(planted.X) // 10
        self._planted = planted
        self.seed = planted.generator.random_state
        self.data = SeekData(
            X_train=planted.X[:n_train],
            y_train=planted.y[:n_train],
            X_test=planted.X[n_train:],
            y_test=planted.y[n_train:],
            ticket=planted.mask,
        )

    def make_net(self, **parameters: Any) -> NeuralNet:
        return self._planted.make_net(**parameters)

    def references(self) -> Iterator[tuple[str, NeuralNet, TicketMask]]:
        ticket, net = self._planted.mask, self.make_net()
        yield "planted", net, ticket
        yield "dense", net, ticket | ~ticket
        if (self._planted.output_scale != 1).any():
            yield "scaled", self.make_net(output_scale=True), ticket
        yield "shuffled", net, ticket.shuffled(self.seed)
        yield "constant", net, only_output_bias(ticket)


def only_output_bias(mask: TicketMask) -> TicketMask:
    """Keep the last parameter of a mask alone, so that outputs do not depend on inputs."""
    *_, output_bias = mask
    return TicketMask(
        {name: torch.full_like(kept, name == output_bias) for name, kept in mask.items()}
    )
