"""What a sparse network is made of: its paths and nodes, its operations, its gradient."""

import copy
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone, is_classifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.validation import check_consistent_length
from skorch import NeuralNetBinaryClassifier
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sklearn_tickets._network import as_tensor, infer, plain_module, positive_flow
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.pruners.base import batch_losses, total_gradient


def effective_paths(module: nn.Module, mask: TicketMask, X: Tensor | np.ndarray) -> float:
    r"""Count the paths of kept weights from an input to an output.

    Parameters
    ----------
    module : torch.nn.Module
        The network; its weights do not matter, only how it is connected.
    mask : TicketMask
        What is kept of it. Parameters that it does not cover are kept.
    X : Tensor or ndarray of shape (n_samples, ...)
        Gives the shape of an input, one row suffices.

    Returns
    -------
    n_paths : float
        A float64, as the number is soon beyond any integer type.

    Raises
    ------
    ValueError
        If the mask does not fit the module.

    Notes
    -----
    :math:`\mathbf{1}^\top M_L \cdots M_1 \mathbf{1}` in a chain of linear layers with masks
    :math:`M_l`. Biases start no path; a convolution has paths of its own at each position;
    pooling averages, so that k paths into a window count as one.

    Of masks of the same density, those with many effective paths *and* many effective nodes
    make good tickets [1]_.

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
    _, _, from_inputs = positive_flow(module, kept, as_tensor(X[:1]), trace=True)
    return float(from_inputs.sum())


def effective_nodes(module: nn.Module, mask: TicketMask, X: Tensor | np.ndarray) -> pd.DataFrame:
    """Count the nodes on a path of kept weights from an input to an output.

    The nodes of a layer are the rows of its weight: neurons, or channels.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    mask : TicketMask
        What is kept of it.
    X : Tensor or ndarray of shape (n_samples, ...)
        Gives the shape of an input, one row suffices.

    Returns
    -------
    table : DataFrame
        One row per weight that the mask covers, indexed by its name; integer columns

        - ``n_nodes``, the sum of the others;
        - ``n_effective``: on a path;
        - ``n_dead``: on no path, although incoming weights are kept: no input reaches these,
          or nothing leads on to an output;
        - ``n_removed``: without a kept incoming weight, constant at their bias.

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
    """Count the floating-point operations that one input takes.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    mask : TicketMask
        What is kept of it; a mask of everything gives the dense network's operations.
    X : Tensor or ndarray of shape (n_samples, ...)
        Its first row is the input.

    Returns
    -------
    n_flops : int
        A multiplication and an addition for each use of an effective weight. Biases,
        activations, pooling, normalization and fused attention do not count.

    Raises
    ------
    ValueError
        If the mask does not fit the module.

    Notes
    -----
    PyTorch's counter tells the operations of every layer in dense form. They are multiplied by
    the density of the *effective* part of the layer's weight: what leads nowhere need not be
    computed. It takes sparse kernels to save as much.

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


def gradient_flow(pruner, X, y) -> float:
    r"""Measure how fast training starts: the squared norm of the ticket's first gradient.

    Parameters
    ----------
    pruner : pruner
        Fitted.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.

    Returns
    -------
    flow : float
        :math:`\lVert \nabla L \rVert^2` over all parameters that are trained: those that the
        mask keeps, and those that it does not cover.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.
    ValueError
        If X and y have different lengths, or y holds labels that were not in the pruner's data.

    Notes
    -----
    A small step :math:`-\varepsilon \nabla L` lowers the loss by :math:`\varepsilon \lVert
    \nabla L \rVert^2`, little in networks that are pruned at random [1]_. L is the net's own
    criterion over all of X, with the mask on the initial weights, in evaluation mode; batch
    normalization uses ``strong_statistics_``. Losses have units: compare within a task.

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
    X = pruner._check_inputs(X)
    check_consistent_length(X, y)
    if is_classifier(pruner):
        is_binary = isinstance(pruner.estimator, NeuralNetBinaryClassifier)
        codes = LabelEncoder().fit(pruner.classes_).transform(y)
        y = codes.astype(np.float32 if is_binary else np.int64)
    else:
        y = np.asarray(y, dtype=np.float32).reshape(len(y), -1)
    net = copy.deepcopy(pruner.estimator_)
    module = plain_module(net.module_)
    module.load_state_dict(pruner.initial_state_ | pruner.strong_statistics_)
    pruner.mask_.apply_(module)
    parameters = dict(module.named_parameters())
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    gradient = pruner.mask_.apply(total_gradient(leaves, batch_losses(net, leaves, X, y)))
    return sum(
        float(value.double().square().sum())
        for name, value in gradient.items()
        if parameters[name].requires_grad
    )


def critical_compression(pruner, X, y, *, factor: float = 1.5) -> float:
    """Find how far a pruner compresses a network without layer collapse.

    Parameters
    ----------
    pruner : pruner
        With a parameter ``sparsity``. Clones of it are fitted, their tickets not trained; an
        integer ``random_state`` gives them the same initial weights.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.
    factor : float > 1, default=1.5
        By how much each network tried is sparser than the one before.

    Returns
    -------
    compression : float
        ``n_parameters / n_kept`` of the last network before the first without a path from
        an input to an output; 1 if that is the first one tried.

    Raises
    ------
    ValueError
        If the pruner has no parameter ``sparsity``, or `factor` is not above 1.

    Notes
    -----
    The densities ``1 / factor, 1 / factor ** 2, ...`` are tried in turn, and none in between.
    A path takes a parameter of each layer: the best possible is the mean number of parameters
    per layer, which SynFlow comes close to; pruners that score once collapse earlier [1]_.

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
        raise ValueError(f"factor={factor} must be above 1.")
    density, compression = 1.0, 1.0
    while True:
        density /= factor
        sparser = clone(pruner).set_params(sparsity=1 - density, train_ticket=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LayerCollapseWarning)
            mask = sparser.fit(X, y).mask_
        if sparser.rounds_[-1]["collapsed"]:
            return compression
        compression = mask.n_parameters / mask.n_kept
        if density * mask.n_parameters < 1:
            return compression
