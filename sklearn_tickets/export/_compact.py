"""`compact`: leave out the units of a pruned network that no output depends on.

A first pass over the graph of the network, from inputs to outputs, finds the units (neurons,
channels) that are constants, and moves them into the biases of the layers that read them. A
second pass, from outputs to inputs, finds the units that are needed. Operations between the
layers pass units on one by one; tensors that are added keep the same units. An operation that
is not known here keeps all units that it reads.
"""

import copy
import warnings
from collections import Counter
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx, nn

from sklearn_tickets._network import (
    BATCH_NORMS,
    Units,
    check_same_outputs,
    fits,
    is_matrix,
    node_parameters,
    passed_on,
    traced_module,
    with_plain_weights,
)
from sklearn_tickets.export._source import Source
from sklearn_tickets.export._units import ReducibleLayer
from sklearn_tickets.models import ScaledLinear


@torch.no_grad()
def compact(network: Any, X: Any = None) -> fx.GraphModule:
    r"""Reduce a pruned network to the units that its outputs depend on.

    Neurons and channels without a path to an output are left out. Those that do not depend on
    the input are constants, and move into the biases of the next layer. The result is dense:
    smaller and faster on any hardware, without sparse kernels.

    Parameters
    ----------
    network : fitted pruner, Pipeline, search or torch.nn.Module
        A pruner, alone, at the end of a pipeline or inside a fitted search, whose sparse network
        is compacted, or any module whose pruned weights are 0. It is not changed. The outputs
        of an untrained ticket are its ``strong_output``, not multiplied by ``output_scale_``.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
        Inputs of `network`, on which the compact network is compared with it; a row is enough.
        If None, they are drawn at random. Their shape is that of a pruner's data; that of a
        module's is guessed from its first layer, and if none fits, X is required.

    Returns
    -------
    module : torch.fx.GraphModule
        A network with the same outputs as `network` in evaluation mode, up to rounding. Layers
        keep their names; batch normalization is folded into the layer before it, and a weight
        that is computed from others (pruned by ``torch.nn.utils.prune``, parametrized, normalized)
        becomes a plain one. The other steps of a pipeline are not part of it. It can be trained,
        copied and pickled, and loaded where only torch is installed.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.
    TypeError
        If `network` contains no pruner and is no module.
    ValueError
        If torch.fx cannot trace the forward of the module, a layer has forward hooks or a forward
        of its own, outputs change from call to call, or the compact network has other outputs.

    Warns
    -----
    UserWarning
        If layers have pruned weights and keep all their units, because they are of another kind,
        such as recurrent layers and attention, or share their weights. Also if the compact network
        has more parameters, as it may if layers without biases read constants.

    Notes
    -----
    Before it is returned, the compact network is compared with the original for several numbers
    of rows, one included. The outputs may differ by rounding only, which is measured: by how much
    the outputs move if every weight of the original is off by about as much as rounding.

    A hidden unit without incoming weights is the constant :math:`c = \phi(b)`, with bias b and
    activation :math:`\phi`. As in [1]_, :math:`\sum_t w_t c` is added to the next layer's bias,
    where :math:`w_t` are its weights for this unit; units that read nothing else become
    constants, too. Near the zeros of a padded convolution, no bias can replace the constants
    before it: one of the channels with :math:`c \ne 0` is kept, with the weights
    :math:`\sum_i w_{it} c_i / c`.

    Linear layers and convolutions whose weights are used once lose units. Between them may be
    elementwise activations, sums and products, pooling, ``flatten(1)`` and dropout. Tensors that
    are added, as in residual networks, lose the units that no reader of any of them needs. All
    units that another operation reads are kept. A layer keeps at least one unit.

    Batch normalization after a linear layer is folded only if it reads a matrix, as it does if
    X has two axes or after ``flatten(1)``. Of inputs with three axes it normalizes the second,
    which need not be the axis of the units.

    A unit is removed if none of its weights is left. Pruners with ``granularity="unit"`` leave
    units whole or nothing of them. A random mask of density d keeps none of n weights with
    probability :math:`e^{-dn}`. In layers of 1024 units, hardly any unit is removed at a density
    of 1 %, and `to_sparse` gains more; at 0.1 %, a third of the units read nothing.

    References
    ----------
    .. [1] Bragagnolo and Barbano, "Simplify: a Python library for optimizing pruned neural
       networks", SoftwareX 17, 2022.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.datasets import plant_ticket
    >>> from sklearn_tickets.datasets.tasks import CircleTask
    >>> from sklearn_tickets.export import compact
    >>> from sklearn_tickets.models import MLP
    >>> host = MLP(n_features=2, n_outputs=4, hidden=(100, 100, 100))
    >>> module = plant_ticket(CircleTask().construct(depth=5), host, random_state=0)()
    >>> module.ticket.apply_(module)
    >>> small = compact(module)
    >>> [tuple(layer.weight.shape) for layer in small.layers.children()]
    [(4, 2), (2, 4), (20, 2), (4, 20)]
    >>> X = torch.rand(100, 2)
    >>> torch.allclose(small(X), module(X), atol=1e-6)
    True
    """
    given = Source.of(network, X)
    traced = _trace(with_plain_weights(given.module, "network"))
    n_before = _n_parameters(traced)
    layers, units = _follow(traced, given.has_matrices)
    for node in reversed(traced.graph.nodes):
        if node in units:
            needed = units[node].needed
            if node in layers:
                needed = layers[node].weight[needed].any(dim=2).any(dim=0)
            for source in node.all_input_nodes:
                if source in units:
                    units[source].needed |= needed

    def kept(node: fx.Node) -> Tensor | slice:
        if node not in units:
            return slice(None)
        needed = torch.stack([units[peer].needed for peer in units[node].peers]).any(dim=0)
        needed[0] |= ~needed.any()
        return needed

    if whole := _kept_whole(traced, layers):
        warnings.warn(
            f"compact kept all units of {', '.join(whole)}, although some weights are 0. It "
            "removes units of Linear and Conv1d to Conv3d layers without groups whose weights are "
            "used once.",
            stacklevel=3,
        )
    for node, layer in layers.items():
        dense = layer.dense(kept(node), kept(node.all_input_nodes[0]))
        traced.set_submodule(str(node.target), dense)
    traced.delete_all_unused_submodules()
    traced.recompile()
    traced.eval()
    if (n_after := _n_parameters(traced)) > n_before:
        warnings.warn(
            f"The compact network has {n_after:,} parameters, the original {n_before:,}: layers "
            "without biases need some for the constants before them.",
            stacklevel=3,
        )
    check_same_outputs(given.original, traced, given.rows, (given.name, "compact(network)"))
    return traced


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def compact_source(network: Any, X: Any) -> Source:
    """Find a network as `Source.of` does; that of a pruner is compacted."""
    source = Source.of(network, X)
    if isinstance(network, nn.Module):
        return source
    return source._replace(module=compact(source.module, source.rows))


def _trace(module: nn.Module) -> fx.GraphModule:
    """Trace a module of plain layers."""
    for path, layer in list(module.named_modules()):
        if isinstance(layer, ScaledLinear):
            module.set_submodule(path, layer.plain())
    return traced_module(module, "network")


def _follow(
    traced: fx.GraphModule, reads_rows: bool
) -> tuple[dict[fx.Node, ReducibleLayer], dict[fx.Node, Units]]:
    """Find the layers that may lose units, and all nodes that pass their units on.

    Constants are moved into biases, and batch normalization is folded into layers.
    `reads_rows` says whether the input of the network is a matrix, with one row per sample.
    """
    layers: dict[fx.Node, ReducibleLayer] = {}
    units: dict[fx.Node, Units] = {}
    matrices: set[fx.Node] = set()
    uses: Counter[Any] = Counter(node.target for node in traced.graph.nodes)
    uses.update(id(own) for node in traced.graph.nodes for own in node_parameters(traced, node))
    node: Any
    for node in list(traced.graph.nodes):
        module: Any = traced.get_submodule(node.target) if node.op == "call_module" else None
        sources = node.all_input_nodes
        source: Any = sources[0] if sources else None
        if is_matrix(node, module, matrices, reads_rows):
            matrices.add(node)
        if (
            type(module) in BATCH_NORMS
            and uses[node.target] == uses[id(module.weight)] == 1
            and all(uses[id(own)] == 1 for own in module.parameters())
            and fits(module, units.get(source))
        ):
            layers[node] = ReducibleLayer.after(units.get(source), module)
            units[node] = Units(layers[node].constant(), {node})
        elif (
            source in layers
            and len(source.users) == 1
            and layers[source].can_fold(module)
            and (source in matrices or type(layers[source].module) is not nn.Linear)
        ):
            layers[source] = layers[source].fold(copy.deepcopy(module).cpu().double())
            units[source].constant = layers[source].constant()
            node.replace_all_uses_with(source)
            traced.graph.erase_node(node)
        elif (constant := passed_on(node, module, units)) is not None:
            peers = {node}.union(*(units[source].peers for source in sources))
            units[node] = Units(constant, peers)
            for peer in peers:
                units[peer].peers = peers
        else:
            for each in units.keys() & set(sources):
                units[each].needed.fill_(True)
                units[each].constant.fill_(torch.nan)  # it may have been changed in place
    return layers, units


def _kept_whole(traced: fx.GraphModule, layers: Collection[fx.Node]) -> list[str]:
    """Name what has pruned weights and is not among the layers that may lose units."""
    kinds = {}
    for node in traced.graph.nodes:
        weights = [value for value in node_parameters(traced, node) if value.ndim > 1]
        if node not in layers and any((weight == 0).any() for weight in weights):
            is_layer = node.op == "call_module"
            owner: Any = traced.get_submodule(str(node.target)) if is_layer else weights[0]
            kinds[node.target] = type(owner).__name__
    return [f"{name} ({kind})" for name, kind in kinds.items()]
