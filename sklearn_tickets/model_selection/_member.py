"""`Member`: a training that can be part of a stack."""

import copy
import pickle
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import torch
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    Callback,
    EpochScoring,
    EpochTimer,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
)
from skorch.dataset import ValidSplit
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from sklearn_tickets._fingerprint import fingerprint
from sklearn_tickets._network import infer, plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training import ArrayBatches, HoldMask, Training

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class CannotStackError(Exception):
    """Says why a training cannot be part of a stack."""


@dataclass(frozen=True)
class Member:
    """A training that is about to begin, and everything that a stack needs to know about it.

    Attributes
    ----------
    training : Training
        The training of an initialized net, from its current weights.
    mask : TicketMask
        The weights to keep in the net's module.
    batches : ArrayBatches
        The data.
    stream : Tensor
        The state of torch's random stream, from which the order of the batches is drawn.
    settings : dict
        The settings of the optimizer, including the learning rate.
    state : dict of int to dict
        The state of the optimizer, by the indices of the parameters; empty at first.
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
    def net(self) -> NeuralNet:
        """The net that is trained."""
        return self.training.net

    @property
    def fingerprint(self) -> str:
        """Equal for trainings with the same result, among those with the same `key`.

        Candidates of a search often differ in what matters only later, such as the sparsity.
        """
        module, training = self.net.module_, self.training
        tensors = [*module.parameters(), *module.buffers(), *self.batches.tensors, self.stream]
        # Each mask learns for itself.
        learner = training.learner and id(training.learner)
        return fingerprint(
            (tensors, self.state, self.mask, self.settings, training.penalty, learner)
        )

    @classmethod
    def of(cls, training: Training) -> Self:
        """Read a training, or raise a CannotStackError."""
        net, learner = training.net, training.learner
        _check(training)
        dataset, held_out = net.get_split_datasets(training.rows, training.y)
        batches = net.get_iterator(dataset, training=True)
        is_other = held_out is not None and type(net.get_iterator(held_out)) is not ArrayBatches
        if is_other or type(batches) is not ArrayBatches:
            raise CannotStackError("batches come from another iterator")
        _, settings = net.get_params_for_optimizer("optimizer", net.get_all_learnable_params())
        state = net.optimizer_.state_dict()["state"]
        past = {
            (index, name): value.item() if value.ndim == 0 else None
            for index, values in state.items()
            for name, value in values.items()
            if isinstance(value, Tensor)
        }
        criterion = net.criterion_
        # Pickles of tensors differ though their numbers are equal.
        numbers: dict[int, Any] = {id(b): b.numpy(force=True) for b in criterion.buffers()}
        try:
            key = pickle.dumps(
                (
                    (
                        skeleton(net.module_),
                        copy.deepcopy(criterion, numbers),
                        type(net.optimizer_),
                        net.device,
                    ),
                    [(each.shape[1:], each.dtype) for each in batches.tensors],
                    # Masks are not learned on last batches of different sizes.
                    len(batches) if learner is None else len(batches.X),
                    (batches.batch_size, batches.shuffle, training.n_epochs, training.schedule),
                    past,
                    learner and learner.kind,
                    is_scored(training),
                )
            )
        except Exception as error:
            raise CannotStackError("the module cannot be pickled for comparison") from error
        [mask] = [callback.mask for _, callback in net.callbacks_ if type(callback) is HoldMask]
        return cls(training, mask, batches, torch.get_rng_state(), settings, state, key)


def is_scored(training: Training) -> bool:
    """Whether a callback scores the outputs of each step for its training rows."""
    callbacks = [callback for _, callback in training.net.callbacks_]
    return any(type(callback) is EpochScoring and callback.on_train for callback in callbacks)


def is_watched(training: Training) -> bool:
    """Whether the network is needed at the end of each epoch, and not only of the last one."""
    return bool(training.net.train_split) or is_scored(training)


def n_bytes(training: Training) -> int:
    """Estimate the memory of a training in a stack, with its data twice.

    Of each epoch that is watched, there are copies of the weights and of up to three numbers for
    each gate, and of the outputs and targets that are scored.
    """
    kept_per_epoch = 0
    if is_watched(training):
        kept_per_epoch += (1 if training.learner is None else 4) * n_weight_bytes(training)
    if is_scored(training):
        n_outputs = infer(training.net.module_, training.X[:1]).size
        kept_per_epoch += training.y.nbytes + len(training.X) * n_outputs * 4
    data = 2 * (training.X.nbytes + training.y.nbytes)
    return n_step_bytes(training) + training.n_epochs * kept_per_epoch + data


def n_step_bytes(training: Training) -> int:
    """Estimate what each step of a training reads and writes, besides the batch.

    This is five times the weights: with gradients, two moments and the mask. Learning a mask
    takes seven times the weights in addition: scores, two moments, and what gates return.
    """
    return (5 if training.learner is None else 12) * n_weight_bytes(training)


def n_weight_bytes(training: Training) -> int:
    """Count the memory of the weights."""
    return sum(p.numel() * p.element_size() for p in training.net.module_.parameters())


def skeleton(module: nn.Module) -> nn.Module:
    """Copy a module in training mode, without the numbers in its parameters and buffers."""
    tensors = [*module.parameters(), *module.buffers()]
    numberless: dict[int, Any] = {id(tensor): tensor.to("meta") for tensor in tensors}
    for parameter in module.parameters():
        numberless[id(parameter)] = nn.Parameter(
            numberless[id(parameter)], requires_grad=parameter.requires_grad
        )
    if hasattr(module, "ticket"):
        # A planted network does not use its ticket in the forward.
        numberless[id(module.ticket)] = ()
    return copy.deepcopy(module, numberless).train()


def _check(training: Training) -> None:
    """Raise a CannotStackError if a setting of the net rules out stacking."""
    net = training.net
    module, criterion, optimizer = net.module_, net.criterion_, net.optimizer_
    layers = list(module.modules())
    callbacks = [type(each) for _, each in net.callbacks_ if not _is_reader(each, net)]
    others = ", ".join(kind.__name__ for kind in callbacks if kind is not HoldMask)
    obstacles = {
        "the net's class is not one of skorch's own": (
            type(net) not in (NeuralNetClassifier, NeuralNetRegressor)
        ),
        f"the net has callbacks that do more than read an epoch's results: {others}": (
            callbacks != [HoldMask]
        ),
        "the pruner defines the training itself": bool(training.callbacks),
        "a mask is learned on a GPU": training.learner is not None and net.device != "cpu",
        "the net has a train_split that may differ from time to time, unlike ValidSplit with "
        "whole numbers or a random_state": not _is_repeatable(net.train_split),
        "epochs are scored, and rows have weights": (
            is_watched(training) and training.sample_weight is not None
        ),
        "the module is compiled": plain_module(module) is not module,
        "the module has hooks": any(getattr(layer, hook) for layer in layers for hook in _HOOKS),
        "the criterion is not CrossEntropyLoss, BCEWithLogitsLoss or MSELoss with a reduction": (
            type(criterion) not in (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss)
            or criterion.reduction == "none"
        ),
        "the optimizer is not SGD, Adam or AdamW with one group of parameters": (
            type(optimizer) not in (SGD, Adam, AdamW) or len(optimizer.param_groups) > 1
        ),
    }
    for obstacle, is_there in obstacles.items():
        if is_there:
            raise CannotStackError(obstacle)


def _is_reader(callback: Callback, net: NeuralNet) -> bool:
    """Whether a callback only reads the record of an epoch, or the network at its end."""
    if type(callback) is EpochScoring:
        uses_caching = callback.use_caching if net.use_caching == "auto" else net.use_caching
        # Other predictions than those of the steps may draw a seed.
        return bool(uses_caching)
    return type(callback) in (EpochTimer, PassthroughScoring, PrintLog, ProgressBar)


def _is_repeatable(split: Any) -> bool:
    """Whether a train_split holds out the same rows each time."""
    return not split or (
        type(split) is ValidSplit
        and (
            isinstance(split.random_state, Integral)
            or (isinstance(split.cv, Real) and float(split.cv).is_integer())
        )
    )
