"""`unit_groups`: which units of a network go together, and which parameters are theirs.

A unit is a neuron of a linear layer or a channel of a convolution. It has the rows of the weights
that compute it and the columns of the weights that read it. Units that are added or multiplied
one by one, as at the end of a residual block, are one: they have rows of several weights.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from sklearn_tickets._network._copies import check_calls
from sklearn_tickets._network._linear_map import BATCH_NORMS
from sklearn_tickets._network._tracer import traced_module
from sklearn_tickets._network._units import (
    Units,
    fits,
    is_matrix,
    node_parameters,
    normalizes,
    operation_of,
    passed_on,
)


@dataclass(frozen=True)
class UnitGroup:
    """Units that are computed and read by the same layers.

    Parameters
    ----------
    n_units : int
        Number of units.
    rows : tuple of str
        Names of the weights and biases that compute the units: one row, or entry, for each.
    columns : tuple of str
        Names of the weights that read the units. The second axis has equally many entries for
        each: one, or those of a flattened map.
    """

    n_units: int
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def unit_groups(
    module: nn.Module, prunable: Collection[str], reads_rows: bool
) -> tuple[UnitGroup, ...]:
    """Find the units of a network that can be removed whole.

    The inputs of the network and the units of its last layer stay, and so do units of which a
    weight is not prunable.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    prunable : collection of str
        Names of the parameters that may be pruned, among those of ``module.named_parameters()``.
    reads_rows : bool
        Whether the input is a matrix, with one row per sample.

    Returns
    -------
    groups : tuple of UnitGroup
        In the order of the forward.

    Raises
    ------
    ValueError
        If the forward cannot be traced, or the units cannot be followed through an operation.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_tickets._network import unit_groups
    >>> module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> unit_groups(module, ["0.weight", "2.weight"], reads_rows=True)
    (UnitGroup(n_units=3, rows=('0.weight',), columns=('2.weight',)),)
    """
    what = f"estimator's module {type(module).__name__}"
    check_calls(module, what)
    graph = _UnitGraph(module, what, reads_rows)
    known = {name for path in graph.layers.values() for name in graph.weights(path)}
    for name in prunable:
        if name not in known:
            raise ValueError(
                f"granularity='unit' does not know which units {name!r} of {what} computes and "
                "reads: it takes Linear and Conv1d to Conv3d layers, without groups, that are "
                f"called once. Add {name!r} to exclude, or set granularity='weight'."
            )
    rows: dict[int, list[str]] = {}
    columns: dict[int, list[str]] = {}
    sizes: dict[int, int] = {}
    fixed = {graph.group(layer) for layer in graph.origins[graph.output]}
    for node, path in graph.layers.items():
        own, source = graph.weights(path), graph.source(node)
        group = graph.group(node)
        sizes[group] = len(graph.units[node].constant)
        rows.setdefault(group, []).extend(name for name in own if name in prunable)
        read = {graph.group(source)} if source in graph.units else set()
        for each in read:
            columns.setdefault(each, []).append(own[0])
        if own[0] not in prunable:
            fixed |= read | {group}
    for node, path in graph.layers.items():
        source = graph.source(node)
        lost = {} if source in graph.units else graph.origins[source]
        if any(graph.group(layer) not in fixed for layer in lost):
            raise ValueError(
                f"granularity='unit' cannot follow the units of {graph.layers[next(iter(lost))]!r} "
                f"to {path!r} in {what}: between them is {graph.culprits[source]}. Add the weights "
                "of the layer before it to exclude, or set granularity='weight'."
            )
    return tuple(
        UnitGroup(sizes[group], tuple(rows[group]), tuple(columns.get(group, ())))
        for group in sizes
        if group not in fixed
    )


class _UnitGraph:
    """The layers of a network, and where their units go.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    what : str
        What to call it in error messages.
    reads_rows : bool
        Whether the input is a matrix, with one row per sample.

    Attributes
    ----------
    layers : dict of Node to str
        Paths of the layers whose units are known, by the nodes that call them.
    units : dict of Node to Units
        What is known of values whose units are those of layers, one by one.
    origins : dict of Node to dict of Node to None
        The layers that a value depends on with no other layer in between, in order.
    culprits : dict of Node to str
        The operation after which the units of a value are not known.
    output : Node
        The output of the network.
    """

    def __init__(self, module: nn.Module, what: str, reads_rows: bool) -> None:
        self.module = module
        self.names = {id(own): name for name, own in module.named_parameters()}
        self.layers: dict[fx.Node, str] = {}
        self.units: dict[fx.Node, Units] = {}
        self.origins: dict[fx.Node, dict[fx.Node, None]] = {}
        self.culprits: dict[fx.Node, str] = {}
        traced = traced_module(module, what)
        matrices: set[fx.Node] = set()
        uses = Counter(
            id(own) for node in traced.graph.nodes for own in node_parameters(traced, node)
        )
        node: Any
        for node in traced.graph.nodes:
            called = module.get_submodule(node.target) if node.op == "call_module" else None
            if is_matrix(node, called, matrices, reads_rows):
                matrices.add(node)
            path = self._path(node)
            layer: Any = None if path is None else module.get_submodule(path)
            if (
                path is not None
                and all(uses[id(own)] == 1 for own in layer.parameters())
                and fits(layer, self.units.get(self.source(node)))
            ):
                axes = () if isinstance(layer, nn.Linear) else (1, 1)
                self.layers[node] = path
                self.origins[node] = {node: None}
                self.units[node] = Units(torch.full((len(layer.weight), *axes), torch.nan), {node})
                continue
            self.origins[node] = {k: None for s in node.all_input_nodes for k in self.origins[s]}
            constant: Tensor | None
            if self._normalizes(node, called, matrices):
                constant = self.units[self.source(node)].constant
            else:
                constant = passed_on(node, called, self.units)
            if constant is not None:
                peers = {node}.union(*(self.units[source].peers for source in node.all_input_nodes))
                self.units[node] = Units(constant, peers)
                for peer in peers:
                    self.units[peer].peers = peers
            elif self.origins[node]:
                before = [self.culprits[s] for s in node.all_input_nodes if s in self.culprits]
                name = type(called).__name__ if called else operation_of(node, called)
                self.culprits[node] = before[0] if before else name
        self.output = node

    def _path(self, node: Any) -> str | None:
        """Name the layer that a node calls. The forward of a subclass of Linear is traced, too."""
        if node.op == "call_module":
            is_known = type(self.module.get_submodule(node.target)) in BATCH_NORMS
            return node.target if is_known else None
        if node.target is not functional.linear or len(node.args) < 2:
            return None
        path = str(node.args[1].target).rpartition(".")[0]
        return path if isinstance(self.module.get_submodule(path), nn.Linear) else None

    def _normalizes(self, node: fx.Node, called: Any, matrices: set[fx.Node]) -> bool:
        """Whether a node normalizes the units of the layer right before it."""
        before = self.layers.get(self.source(node)) if node.all_input_nodes else None
        if before is None:
            return False
        layer = self.module.get_submodule(before)
        has_units = self.source(node) in matrices or not isinstance(layer, nn.Linear)
        return has_units and normalizes(called, layer)

    def source(self, node: fx.Node) -> fx.Node:
        """Return the first input of a node."""
        return node.all_input_nodes[0]

    def group(self, node: fx.Node) -> int:
        """Identify the group of a node's units."""
        return id(self.units[node].peers)

    def weights(self, path: str) -> list[str]:
        """Name the weight of a layer, and its bias if it has one."""
        layer: Any = self.module.get_submodule(path)
        return [self.names[id(own)] for own in (layer.weight, layer.bias) if own is not None]
