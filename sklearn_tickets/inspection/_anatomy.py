"""Properties of sparse networks: paths, nodes, operations, gradients and compression."""

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_consistent_length
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sklearn_tickets._estimators import find_pruner, pruner_of
from sklearn_tickets._network import Connections, infer, plain_module, positive_flow
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.pruners.base import BatchLosses, encode_targets, total_gradient


def effective_paths(module: nn.Module, mask: TicketMask, X: Tensor | np.ndarray) -> float:
    r"""Count the paths of kept weights from an input to an output.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Only its connections matter, not its weights.
    mask : TicketMask
        The mask. Parameters that it does not cover are kept.
    X : Tensor or ndarray of shape (n_samples, ...)
        Inputs, for their shape. One sample is enough.

    Returns
    -------
    n_paths : float
        The number of paths, which can exceed the range of integer types.

    Raises
    ------
    ValueError
        If the mask does not fit the module, or an operation of the module is not understood.

    Notes
    -----
    The number is :math:`\mathbf{1}^\top M_L \cdots M_1 \mathbf{1}` for a chain of linear layers
    with masks :math:`M_l`. Paths do not start at biases. The paths of a convolution are counted
    at each position. Pooling and normalization average, so that one path from each of k entries
    of a window counts as one path.

    Among masks of the same density, those with many effective paths *and* many effective nodes
    are good tickets [1]_.

    References
    ----------
    .. [1] Pham, The-Anh Ta, Liu, Xiang, Le, Wen and Tran-Thanh, "Towards data-agnostic
       pruning at initialization: what makes a good sparse mask?", NeurIPS 2023.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.inspection import effective_paths
    >>> net = MLP(n_features=2, n_outputs=1, hidden=(3,))
    >>> effective_paths(net, TicketMask.ones_like(net), torch.zeros(1, 2))
    6.0
    """
    mask.check_fits(module)
    module = plain_module(module)
    kept = {
        name: mask.get(name, torch.ones_like(value)).to(value.device, torch.float64)
        for name, value in module.named_parameters()
    }
    flow = positive_flow(module, kept, X, Connections)
    if flow.unknown:
        raise ValueError(
            f"Paths through {flow.unknown[0]} in {type(module).__name__} cannot be counted. "
            "mask.effective treats its results as dependent on all its arguments."
        )
    return float(flow.inputs.sum())


def effective_nodes(module: nn.Module, mask: TicketMask, X: Tensor | np.ndarray) -> pd.DataFrame:
    """Count the nodes on a path of kept weights from an input to an output.

    The nodes of a layer are the rows of its weight: neurons, or channels.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    mask : TicketMask
        The mask.
    X : Tensor or ndarray of shape (n_samples, ...)
        Inputs, for their shape. One sample is enough.

    Returns
    -------
    table : DataFrame
        One row per weight that the mask covers, indexed by its name. The columns are integers:

        - ``n_nodes``: all nodes, the sum of the others;
        - ``n_effective``: nodes on a path;
        - ``n_dead``: nodes on no path that have kept incoming weights, because these are not
          connected with an input, or the node is not connected with an output;
        - ``n_removed``: nodes without kept incoming weights, which are constant.

    Raises
    ------
    ValueError
        If the mask does not fit the module.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.inspection import effective_nodes
    >>> net = MLP(n_features=1, n_outputs=1, hidden=(3,))
    >>> kept = {"layers.0.weight": [[1], [1], [0]], "layers.1.weight": [[1, 0, 1]]}
    >>> effective_nodes(net, TicketMask(kept), torch.zeros(1, 1))
                     n_nodes  n_effective  n_dead  n_removed
    parameter
    layers.0.weight        3            1       1          1
    layers.1.weight        1            1       0          0
    """
    effective = mask.effective(module, X)
    rows = {}
    for name, kept in mask.items():
        if kept.ndim > 1:
            is_fed = kept.flatten(1).any(dim=1)
            n_fed, n_effective = int(is_fed.sum()), int(effective[name].flatten(1).any(dim=1).sum())
            rows[name] = len(kept), n_effective, n_fed - n_effective, len(kept) - n_fed
    columns = ["n_nodes", "n_effective", "n_dead", "n_removed"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("parameter")


def sparse_flops(module: nn.Module, mask: TicketMask, X: Tensor | np.ndarray) -> int:
    """Count the floating-point operations for one input.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    mask : TicketMask
        The mask. A mask that keeps everything gives the operations of the dense network.
    X : Tensor or ndarray of shape (n_samples, ...)
        Inputs, of which the first is used.

    Returns
    -------
    n_flops : int
        The number of operations, a multiplication and an addition for each use of an effective
        weight. Biases, activations, pooling, normalization and fused attention do not count.

    Raises
    ------
    ValueError
        If the mask does not fit the module.

    Notes
    -----
    PyTorch's counter gives the operations of every dense layer. They are multiplied by the
    density of the *effective* part of the layer's weight, since the rest does not need to be
    computed. Only sparse kernels can save that much.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.inspection import sparse_flops
    >>> net = MLP(n_features=2, n_outputs=1, hidden=(3,))
    >>> sparse_flops(net, TicketMask.ones_like(net), torch.zeros(1, 2))
    18
    """
    effective = mask.effective(module, X)
    module = plain_module(module)
    with FlopCounterMode(display=False) as counter:
        infer(module, np.asarray(X[:1]))
    counts = counter.get_flop_counts()
    names = {parameter: name for name, parameter in module.named_parameters()}
    n_flops = float(counter.get_total_flops())
    for path, layer in module.named_modules():
        own = [names[parameter] for parameter in layer.parameters(recurse=False)]
        weights = [effective[name] for name in own if name in mask and effective[name].ndim > 1]
        if weights:
            density = sum(int(w.sum()) for w in weights) / sum(w.numel() for w in weights)
            own_counts = counts.get(".".join([type(module).__name__, path]).rstrip("."), {})
            n_flops -= (1 - density) * sum(own_counts.values())
    return round(n_flops)


def gradient_flow(pruner: BaseEstimator, X: ArrayLike, y: Any) -> float:
    r"""Compute the squared norm of the ticket's gradient at the initial weights.

    Parameters
    ----------
    pruner : fitted pruner, Pipeline or search
        A fitted pruner, or a meta-estimator with one.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The training inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.

    Returns
    -------
    flow : float
        :math:`\lVert \nabla L \rVert^2` over all trainable parameters that the mask keeps or
        does not cover.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.
    ValueError
        If X and y have different lengths, or y has labels that the pruner was not fitted with.

    Notes
    -----
    A small step :math:`-\varepsilon \nabla L` reduces the loss by :math:`\varepsilon \lVert
    \nabla L \rVert^2`, which is small for networks that are pruned at random [1]_. L is the
    net's criterion on all of X, with the mask on the initial weights, in evaluation mode. Batch
    normalization uses ``strong_statistics_``. Only compare values of the same task and loss.

    References
    ----------
    .. [1] Evci, Ioannou, Keskin and Dauphin, "Gradient flow in sparse neural networks and how
       lottery tickets win", AAAI 2022. arXiv:2010.03533.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import RandomPruner
    >>> from sklearn_tickets.inspection import gradient_flow
    >>> planted = PlantedTicketGenerator(random_state=0).generate(100)
    >>> pruner = RandomPruner(planted.make_net(), train_ticket=False, random_state=0)
    >>> for sparsity in (0.0, 0.5, 0.9):
    ...     fitted = pruner.set_params(sparsity=sparsity).fit(planted.X, planted.y)
    ...     print(f"{gradient_flow(fitted, planted.X, planted.y):.2f}")
    49.20
    1.97
    0.09
    """
    found = find_pruner(pruner, "pruner")
    pruner, inputs = found.pruner, found.pruner._check_inputs(found.inputs(X))
    check_consistent_length(X, y)
    net = copy.deepcopy(pruner.estimator_)
    module = plain_module(net.module_)
    module.load_state_dict(pruner.initial_state_ | pruner.strong_statistics_)
    pruner.mask_.apply_(module)
    targets = encode_targets(net, inputs, found.targets(y), getattr(pruner, "classes_", None))
    parameters = dict(module.named_parameters())
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    gradient = pruner.mask_.apply(total_gradient(leaves, BatchLosses(net, leaves, inputs, targets)))
    return sum(
        float(value.double().square().sum())
        for name, value in gradient.items()
        if parameters[name].requires_grad
    )


def critical_compression(
    pruner: BaseEstimator, X: ArrayLike, y: ArrayLike, *, factor: float = 1.5
) -> float:
    """Find how far a pruner compresses a network without layer collapse.

    Parameters
    ----------
    pruner : pruner or Pipeline
        A pruner with a parameter ``sparsity``, or a pipeline that ends in one. Clones are
        fitted, but their tickets are not trained. With an integer ``random_state``, they have
        the same initial weights.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The training inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.
    factor : float > 1, default=1.5
        The ratio of the densities of two successive networks.

    Returns
    -------
    compression : float
        ``n_parameters / n_kept`` of the last network before the first one without a path from
        an input to an output; 1 if already the first network has no path.

    Raises
    ------
    ValueError
        If the pruner has no parameter ``sparsity``, or `factor` is not above 1.

    Notes
    -----
    The densities ``1 / factor, 1 / factor ** 2, ...`` are tried in turn. A path needs one
    parameter of each layer, so the largest possible compression is the mean number of
    parameters per layer. SynFlow comes close to it; pruners that score once collapse earlier
    [1]_.

    References
    ----------
    .. [1] Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by
       iteratively conserving synaptic flow", NeurIPS 2020. arXiv:2006.05467.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import RandomPruner
    >>> from sklearn_tickets.inspection import critical_compression
    >>> planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(50)
    >>> pruner = RandomPruner(planted.make_net(), random_state=0)
    >>> critical_compression(pruner, planted.X, planted.y, factor=2)
    8.0
    """
    if not factor > 1:
        raise ValueError(f"factor must be above 1; got {factor}.")
    density, compression = 1.0, 1.0
    while True:
        density /= factor
        sparser = clone(pruner)
        pruner_of(sparser).set_params(sparsity=1 - density, train_ticket=False)
        with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
            found = find_pruner(sparser.fit(X, y), "pruner").pruner
        if found.rounds_[-1]["collapsed"]:
            return compression
        compression = found.mask_.n_parameters / found.mask_.n_kept
        if density * found.mask_.n_parameters < 1:
            return compression
