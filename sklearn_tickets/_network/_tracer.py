"""`Tracer`: trace a module's forward while other threads train and predict."""

import inspect
import threading
from typing import Any

import torch
from torch import fx, nn

# While it traces, torch.fx replaces how all modules of the process are called. Two tracers at
# a time would restore each other's replacements.
TRACING = threading.RLock()


class Tracer(fx.Tracer):
    """A ``torch.fx.Tracer`` that does not record the calls of other threads.

    Parameters
    ----------
    name : str
        What to call the module in error messages, such as the name of the argument.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """Record the operations of a forward, as a graph without a reference to the tracer.

        Parameters
        ----------
        root : torch.nn.Module
            The module to trace.
        concrete_args : dict of str to object, default=None
            Arguments of its forward to hold constant.

        Returns
        -------
        graph : torch.fx.Graph
            The operations.

        Raises
        ------
        ValueError
            If torch.fx cannot trace the forward.
        """
        try:
            with TRACING:
                self.thread = threading.get_ident()
                recorded = super().trace(root, concrete_args)
        except Exception as error:
            raise ValueError(
                f"The forward of {self.name}, {type(root).__name__}, cannot be traced: {error}. "
                "Write it for one input, without control flow that depends on it."
            ) from error
        graph = fx.Graph()
        graph.output(graph.graph_copy(recorded, {}))
        return graph

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Record a single input, so that the forward's other arguments have their defaults."""
        _, name, *_ = inspect.signature(root_fn).parameters
        return root_fn, [self.root, self.create_proxy("placeholder", name, (), {})]

    def call_module(self, m: nn.Module, forward: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Record the call of a module, or just call it if another thread does."""
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def traced_module(module: nn.Module, name: str) -> fx.GraphModule:
    """Trace a module, with ``x.view(x.size(0), -1)`` written as flattening.

    Parameters
    ----------
    module : torch.nn.Module
        The module. It is not changed.
    name : str
        What to call it in error messages.

    Returns
    -------
    traced : torch.fx.GraphModule
        A module of the same layers and parameters.

    Raises
    ------
    ValueError
        If torch.fx cannot trace the forward.
    """
    traced = fx.GraphModule(module, Tracer(name).trace(module))
    for node in traced.graph.nodes:
        if node.target in ("view", "reshape") and len(node.args) == 3:
            maps, size, _ = node.args
            if isinstance(size, fx.Node) and (size.target, size.args) == ("size", (maps, 0)):
                node.op, node.target, node.args = "call_function", torch.flatten, (maps, 1)
                if not size.users:
                    traced.graph.erase_node(size)
    return traced
