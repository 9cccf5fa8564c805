"""What training a ticket needs around skorch.

The mask is held by `HoldMask`, `seeded` keeps the global random streams apart,
`batch_iterator` slices arrays instead of collating samples, and `sparing` saves calls.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.dataset import Dataset
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Subset

from sklearn_tickets._mask import TicketMask
from sklearn_tickets._module import plain_module

_STREAMS = threading.RLock()


class HoldMask(Callback):
    """Keep pruned weights at exactly 0 while a skorch net trains.

    The weights are multiplied by the mask after every optimiser step, the one mechanism
    that gives exact zeros under momentum, Adam and weight decay and leaves parameter
    names, pickling and export as they are.

    Parameters
    ----------
    mask : TicketMask
        What to keep of the net's module.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetRegressor
    >>> from sklearn_tickets import MLP, HoldMask, TicketMask
    >>> mask = TicketMask({"layers.0.weight": [[True, False, True]]})
    >>> net = NeuralNetRegressor(
    ...     MLP, module__n_features=3, module__n_outputs=1, module__hidden=(),
    ...     train_split=None, callbacks=[HoldMask(mask)], max_epochs=2, verbose=0,
    ... )
    >>> X = np.ones((8, 3), dtype="float32")
    >>> net.fit(X, X[:, :1]).module_.layers[0].weight[0, 1].item()
    0.0
    """

    def __init__(self, mask: TicketMask) -> None:
        self.mask = mask

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Apply the mask once, whatever the pruned values were."""
        self.mask.apply_(net.module_)
        parameters = dict(plain_module(net.module_).named_parameters())
        self.held_: list[Tensor] = [parameters[name] for name in self.mask]
        # Floating-point factors let the multiplication run as one fused kernel.
        self.factors_ = [self.mask[name].to(parameters[name]) for name in self.mask]

    @torch.no_grad()
    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Return the pruned weights to 0."""
        if training:
            torch._foreach_mul_(self.held_, self.factors_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Apply the mask to an interrupted step; forget the tensors, to pickle small."""
        self.mask.apply_(net.module_)
        del self.held_, self.factors_


class L1Penalty(Callback):
    """Add ``l1 * sum(|w|)`` to the loss of a skorch net, by its subgradient.

    Parameters
    ----------
    l1 : float
        The weight of the penalty.
    names : sequence of str
        The parameters that it covers.
    """

    def __init__(self, l1: float, names: Sequence[str]) -> None:
        self.l1 = l1
        self.names = names

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Pull every covered weight towards 0, for the optimiser to scale."""
        for name, parameter in plain_module(net.module_).named_parameters():
            if name in self.names and parameter.grad is not None:
                parameter.grad.add_(parameter.sign(), alpha=self.l1)


def one_cycle(net: NeuralNet, X: np.ndarray, y: np.ndarray, n_epochs: int) -> LRScheduler:
    """A one-cycle schedule over a whole training, whose peak is the net's learning rate."""
    if any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
        raise ValueError(
            "schedule='one-cycle' and the LRScheduler among estimator's callbacks both set the "
            "learning rate; drop one of them."
        )
    dataset, _ = net.get_split_datasets(X, y)
    return LRScheduler(
        OneCycleLR,
        max_lr=[group["lr"] for group in net.optimizer_.param_groups],
        total_steps=n_epochs * len(net.get_iterator(dataset, training=True)),
        cycle_momentum=False,
        step_every="batch",
    )


def hold_mask(net: NeuralNet, mask: TicketMask) -> None:
    """Make `net` hold `mask` from now on, before any other callback looks at the weights."""
    own = "sklearn_tickets.hold_mask"
    others = [(name, callback) for name, callback in net.callbacks_ if name != own]
    net.callbacks_ = [(own, HoldMask(mask)), *others]
    mask.apply_(net.module_)


def check_held(net: NeuralNet, mask: TicketMask) -> None:
    """Raise a ValueError if something loaded other weights behind the mask's back."""
    parameters = dict(plain_module(net.module_).named_parameters())
    for name, kept in mask.items():
        if parameters[name].detach()[~kept.to(parameters[name].device)].any():
            raise ValueError(
                f"A callback of estimator changed pruned entries of {name!r} at the end of the "
                "training, as Checkpoint and EarlyStopping do when they load weights of a denser "
                "network. Remove it, or give it load_best=False."
            )


def independent_rng(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """A generator of its own: None seeds it afresh and leaves NumPy's global one alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def random_streams() -> tuple[Any, ...]:
    """The states of the global random streams of torch, of its GPUs, and of NumPy."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), gpus, np.random.get_state()


def set_random_streams(streams: tuple[Any, ...]) -> None:
    """Return the global random streams to earlier states."""
    cpu, gpus, numpy_state = streams
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)
    np.random.set_state(numpy_state)


@contextmanager
def seeded(seed: int, device: str | torch.device) -> Iterator[None]:
    """Run a block on random streams of its own, and put the global ones back.

    Streams are global to a process, so concurrent threads take turns.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.init()
    with _STREAMS:
        others = random_streams()
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            set_random_streams(others)


class _Sparing:
    """What `sparing` puts in place of a net's methods."""

    def __init__(self, net: NeuralNet) -> None:
        self.net = net
        self.listeners: dict[str, list[Callback]] = {}
        self.layers: list[nn.Module] = []

    def notify(self, event: str, **kwargs: Any) -> None:
        """Call those who do something about an event; who they are may change with the epoch."""
        if event not in ("on_batch_begin", "on_grad_computed", "on_batch_end"):
            self.listeners.clear()
            self.layers.clear()
            NeuralNet.notify(self.net, event, **kwargs)
            return
        if event not in self.listeners:
            idle = getattr(Callback, event)
            self.listeners[event] = [
                callback
                for _, callback in self.net.callbacks_
                if getattr(getattr(callback, event), "__func__", None) is not idle
            ]
        getattr(self.net, event)(self.net, **kwargs)
        for callback in self.listeners[event]:
            getattr(callback, event)(self.net, **kwargs)

    def set_training(self, training: bool = True) -> None:
        """Switch between training and evaluation if a layer is in the other mode."""
        if not self.layers:
            parts = (self.net.module_, self.net.criterion_)
            self.layers.extend(layer for part in parts for layer in part.modules())
        if any(layer.training is not training for layer in self.layers):
            NeuralNet._set_training(self.net, training)


@contextmanager
def sparing(net: NeuralNet) -> Iterator[None]:
    """Spare a net, in each batch, to tell layers and callbacks what changes nothing for them.

    A net with more than a module and a criterion, or with methods of its own, is left alone.
    """
    is_plain = (
        type(net).notify is NeuralNet.notify
        and type(net)._set_training is NeuralNet._set_training
        and (net._modules, net._criteria) == (["module"], ["criterion"])
        and isinstance(net.criterion_, nn.Module)
    )
    if not is_plain:
        yield
        return
    spared = _Sparing(net)
    net.notify, net._set_training = spared.notify, spared.set_training
    try:
        yield
    finally:
        del net.notify, net._set_training


class ArrayBatches:
    """Batches cut from two tensors, in a new random order at every pass if `shuffle`."""

    def __init__(self, X: Tensor, y: Tensor, batch_size: int, shuffle: bool) -> None:
        self.X, self.y, self.batch_size, self.shuffle = X, y, batch_size, shuffle

    def __len__(self) -> int:
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.shuffle:
            for rows in torch.randperm(len(self.X)).split(self.batch_size):
                yield self.X[rows], self.y[rows]
        else:
            for start in range(0, len(self.X), self.batch_size):
                stop = start + self.batch_size
                # Copies: a module may work in place, and these are views of the caller's data.
                yield self.X[start:stop].clone(), self.y[start:stop].clone()


def as_tensor(array: np.ndarray | Tensor) -> Tensor:
    """A tensor, of the same memory if torch can use it: not if read-only or reversed."""
    if isinstance(array, Tensor):
        return array
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def batch_iterator(dataset: Any, batch_size: int = 1, shuffle: bool = False, **kwargs: Any):
    """Iterate over batches like a DataLoader, slicing arrays where the data allow it.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Sliced if it is a skorch ``Dataset`` of arrays or a ``Subset`` of one; anything
        else goes to a DataLoader.
    batch_size : int, default=1
        Rows per batch.
    shuffle : bool, default=False
        Whether each pass has its own order.
    **kwargs : dict
        Further DataLoader options; if there are any, a DataLoader takes over.

    Returns
    -------
    batches : iterable of (X, y)
        Tensors.
    """
    rows: slice | Sequence[int] = slice(None)
    source = dataset
    if isinstance(source, Subset):
        rows, source = source.indices, source.dataset
    arrays = (np.ndarray, Tensor)
    if (
        kwargs
        or type(source) is not Dataset
        or not (isinstance(source.X, arrays) and isinstance(source.y, arrays))
    ):
        return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, **kwargs)
    X, y = as_tensor(source.X), as_tensor(source.y)
    return ArrayBatches(X[rows], y[rows], batch_size, shuffle)
