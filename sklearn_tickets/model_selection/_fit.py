"""`Fit`: an ordinary fit of a pruner, but the training of its ticket may be put off."""

import pickle
import time
from functools import partial
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from torch import nn
from torch.optim import SGD, Adam, AdamW

from sklearn_tickets._module import plain_module
from sklearn_tickets._rewind import train
from sklearn_tickets._train import HoldMask, _ArrayBatches, seeded
from sklearn_tickets.model_selection._stack import Stack, Trained, Training, skeleton
from sklearn_tickets.pruners import BasePruner

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def pruner_of(estimator: BaseEstimator) -> BasePruner | None:
    """The pruner that an estimator is, or that a pipeline ends in."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator if isinstance(estimator, BasePruner) else None


class Fit:
    """A fit that stops before the training of its ticket if that can be part of a stack.

    Parameters
    ----------
    estimator : estimator
        Fitted in place.
    obstacles : dict
        What stands against stacking trainings, by their keys, as far as known; None for
        nothing. Fits share it.

    Attributes
    ----------
    training : Training or None
        What is left to do.
    obstacle : str or None
        Why nothing was put off.
    error : Exception or None
        What the fit has failed with.
    seconds : float
        What it has taken so far.
    """

    def __init__(self, estimator: BaseEstimator, obstacles: dict[bytes, str | None]) -> None:
        self.estimator, self.obstacles = estimator, obstacles
        self.training: Training | None = None
        self.obstacle: str | None = None
        self.error: Exception | None = None
        self.seconds = 0.0

    def run(self, X: Any, y: Any) -> None:
        """Fit, up to the training of the ticket; keep the error if there is one."""
        began = time.perf_counter()
        pruner = pruner_of(self.estimator)
        try:
            if pruner is None or getattr(pruner, "_skl_callbacks", None):
                self.obstacle = "only pruners without callbacks of scikit-learn can be stacked"
                self.estimator.fit(X, y)
            else:
                self._run_deferring(pruner, X, y)
        except Exception as error:
            self.training, self.obstacle, self.error = None, None, error
        self.seconds += time.perf_counter() - began

    def _run_deferring(self, pruner, X, y):
        is_found = False
        self.obstacle = "the ticket is not trained"

        def record(t, *args):
            # The record of the last round: what is trained from now on is the ticket.
            nonlocal is_found
            is_found = t == pruner.n_rounds
            return type(pruner)._record(pruner, t, *args)

        def train_or_defer(net, X, y, until, *args, **kwargs):
            go_on = partial(type(pruner)._train, pruner, net, X, y, until, *args, **kwargs)
            if is_found:
                self.obstacle = self._defer(pruner, net, X, y, until, go_on)
            return None if self.training else go_on()

        pruner._record, pruner._train = record, train_or_defer
        try:
            self.estimator.fit(X, y)
        finally:
            del pruner._record, pruner._train

    def _defer(self, pruner, net, X, y, until, go_on):
        """Put off the training, or return why not."""
        if type(pruner)._train is not BasePruner._train:
            return "the pruner trains in a way of its own"
        obstacle = _obstacle(net)
        epochs = until - len(net.history)
        if obstacle or epochs <= 0:
            return obstacle or self.obstacle
        dataset, _ = net.get_split_datasets(X, y)
        batches = net.get_iterator(dataset, training=True)
        if type(batches) is not _ArrayBatches:
            return "batches come from another iterator"
        _, settings = net.get_params_for_optimizer("optimizer", net.get_all_learnable_params())
        try:
            key = pickle.dumps(
                (
                    *(skeleton(net.module_), net.criterion_, type(net.optimizer_), net.device),
                    *(batches.X.shape, batches.X.dtype, batches.y.shape, batches.y.dtype),
                    *(batches.batch_size, batches.shuffle, epochs, pruner.schedule),
                )
            )
        except Exception:
            return "the module cannot be pickled, to be compared"
        [mask] = [c.mask for _, c in net.callbacks_ if isinstance(c, HoldMask)]
        training = Training(
            net, mask, batches, torch.get_rng_state(), epochs, settings, pruner.schedule, key
        )
        if key not in self.obstacles:
            self.obstacles[key] = _try_out(training)
        if self.obstacles[key] is None:
            self.training = training
            self._go_on, self._train = go_on, partial(train, net, X, y, until)
        return self.obstacles[key]

    def finish(self, trained: Trained | None) -> None:
        """Take over the weights that training has led to; without, train now."""
        assert self.training is not None
        training, net = self.training, self.training.net
        began = time.perf_counter()
        try:
            if trained is None:
                with seeded(0, net.device):
                    torch.set_rng_state(training.stream)
                    self._go_on()
            else:
                # Everything around the loop over epochs is as ever: history, checks, callbacks.
                net.fit_loop = partial(_replay, training, trained)
                try:
                    self._train()
                finally:
                    del net.fit_loop
        except Exception as error:
            self.error = error
        self.training = None
        self.seconds += time.perf_counter() - began

    def hand_out(self) -> BaseEstimator:
        """The estimator, which lets itself be set up and fitted once more, to no effect."""
        estimator = self.estimator

        def fit(X, y=None):
            del estimator.set_params, estimator.fit
            if self.error is not None:
                raise self.error
            return estimator

        estimator.set_params, estimator.fit = lambda **parameters: estimator, fit
        return estimator


def _obstacle(net: NeuralNet) -> str | None:
    """What in a net's own settings stands against stacking it."""
    module, criterion, optimizer = net.module_, net.criterion_, net.optimizer_
    layers = list(module.modules())
    default = {name for name, _ in net.get_default_callbacks()}
    others = [c for name, c in net.callbacks_ if name not in default]
    obstacles = {
        "the net is of another class than skorch's own": (
            type(net) not in (NeuralNetClassifier, NeuralNetRegressor)
        ),
        "the net has callbacks": [type(c) for c in others] != [HoldMask],
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
        "the optimizer goes on from an earlier training": bool(optimizer.state),
    }
    return next((obstacle for obstacle, is_there in obstacles.items() if is_there), None)


def _try_out(training: Training) -> str | None:
    """What keeps torch from passing a few rows through a stack, such as random layers."""
    try:
        stack, device = Stack([training]), training.net.device
        X, y = training.batches.X[None, :2], training.batches.y[None, :2]
        stack.step(stack.weights, X.to(device), y.to(device))
        if any(
            not torch.equal(stack.buffers[name][0], buffer)
            for name, buffer in training.net.module_.named_buffers()
        ):
            return "the module changes its buffers, as batch normalisation does"
    except Exception as error:
        return f"torch cannot stack the module: {str(error).partition('. ')[0]}"
    return None


def _replay(training: Training, trained: Trained, X: Any, y: Any, epochs: int) -> None:
    """In place of skorch's loop over epochs, tell its history what has happened."""
    net, batches = training.net, training.batches
    with torch.no_grad():
        for name, parameter in net.module_.named_parameters():
            parameter.copy_(trained.weights[name])
    losses, datasets = iter(trained.losses), {"dataset_train": None, "dataset_valid": None}
    for _ in range(epochs):
        net.notify("on_epoch_begin", **datasets)
        for start in range(0, len(batches.X), batches.batch_size):
            net.history.new_batch()
            net.history.record_batch("train_loss", next(losses))
            net.history.record_batch(
                "train_batch_size", min(batches.batch_size, len(batches.X) - start)
            )
        net.history.record("train_batch_count", len(batches))
        net.notify("on_epoch_end", **datasets)
