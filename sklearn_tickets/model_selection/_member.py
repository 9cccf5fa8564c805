"""`Member`: the training of a network as part of a stack, if it can be part of one."""

import copy
import pickle
from dataclasses import dataclass
from typing import Any

import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training import ArrayBatches, HoldMask, Training

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class CannotStackError(Exception):
    """Says why a training cannot be part of a stack."""


@dataclass(frozen=True)
class Member:
    """A training that is about to begin, and all that a stack must know of it.

    Attributes
    ----------
    training : Training
        Of an initialized net, at the weights to start from.
    mask : TicketMask
        What to keep of the net's module.
    batches : ArrayBatches
        The data.
    stream : Tensor
        The state of torch's random stream, from which the batches' order is drawn.
    settings : dict
        The optimizer's, learning rate included.
    state : dict of int to dict
        The optimizer's, by the parameters' indices; empty at the beginning.
    key : bytes
        Equal for trainings that can be stacked.
    """

    training: Training
    mask: TicketMask
    batches: ArrayBatches
    stream: Tensor
    settings: dict[str, Any]
    state: dict[int, dict[str, Any]]
    key: bytes

    @property
    def net(self):
        """The net that is trained."""
        return self.training.net

    @classmethod
    def of(cls, training: Training) -> "Member":
        """Look at a training, or raise a CannotStackError."""
        net = training.net
        _check(training)
        dataset, _ = net.get_split_datasets(training.X, training.y)
        batches = net.get_iterator(dataset, training=True)
        if type(batches) is not ArrayBatches:
            raise CannotStackError("batches come from another iterator")
        _, settings = net.get_params_for_optimizer("optimizer", net.get_all_learnable_params())
        state = net.optimizer_.state_dict()["state"]
        past = {
            (index, name): value.item() if value.ndim == 0 else None
            for index, values in state.items()
            for name, value in values.items()
            if isinstance(value, Tensor)
        }
        try:
            key = pickle.dumps(
                (
                    *(skeleton(net.module_), net.criterion_, type(net.optimizer_), net.device),
                    *(batches.X.shape, batches.X.dtype, batches.y.shape, batches.y.dtype),
                    *(batches.batch_size, batches.shuffle, training.n_epochs, training.schedule),
                    past,
                )
            )
        except Exception as error:
            raise CannotStackError("the module cannot be pickled, to be compared") from error
        [mask] = [callback.mask for _, callback in net.callbacks_ if type(callback) is HoldMask]
        return cls(training, mask, batches, torch.get_rng_state(), settings, state, key)


def n_bytes(training: Training) -> int:
    """Memory that a training takes as part of a stack.

    Twice the data and five times the weights: with gradients, two moments, and the mask.
    """
    weights = sum(p.numel() * p.element_size() for p in training.net.module_.parameters())
    return 5 * weights + 2 * (training.X.nbytes + training.y.nbytes)


def skeleton(module: nn.Module) -> nn.Module:
    """A copy of a module in training mode, without the numbers in its parameters and buffers."""
    tensors = [*module.parameters(), *module.buffers()]
    numberless: dict[int, Any] = {id(tensor): tensor.to("meta") for tensor in tensors}
    for parameter in module.parameters():
        numberless[id(parameter)] = nn.Parameter(
            numberless[id(parameter)], requires_grad=parameter.requires_grad
        )
    if hasattr(module, "ticket"):
        # A planted network knows its ticket; it computes the same without.
        numberless[id(module.ticket)] = ()
    return copy.deepcopy(module, numberless).train()


def _check(training: Training) -> None:
    """Raise a CannotStackError if something in a net's own settings stands against it."""
    net = training.net
    module, criterion, optimizer = net.module_, net.criterion_, net.optimizer_
    layers = list(module.modules())
    default = {name for name, _ in net.get_default_callbacks()}
    others = [callback for name, callback in net.callbacks_ if name not in default]
    obstacles = {
        "the net is of another class than skorch's own": (
            type(net) not in (NeuralNetClassifier, NeuralNetRegressor)
        ),
        "the net has callbacks": [type(callback) for callback in others] != [HoldMask],
        "the pruner has a training of its own": bool(training.callbacks),
        "the net has a train_split": bool(net.train_split),
        "the module is compiled": plain_module(module) is not module,
        "the module has hooks": any(getattr(layer, hook) for layer in layers for hook in _HOOKS),
        "the criterion is neither CrossEntropyLoss nor MSELoss, with a reduction": (
            type(criterion) not in (nn.CrossEntropyLoss, nn.MSELoss)
            or criterion.reduction == "none"
        ),
        "the optimizer is none of SGD, Adam and AdamW, for all parameters": (
            type(optimizer) not in (SGD, Adam, AdamW) or len(optimizer.param_groups) > 1
        ),
    }
    for obstacle, is_there in obstacles.items():
        if is_there:
            raise CannotStackError(obstacle)
