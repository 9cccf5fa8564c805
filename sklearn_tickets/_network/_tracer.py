"""`Tracer`: follow a module's forward while other threads train and infer."""

import threading
from typing import Any

from torch import fx, nn

# Tracers that overlap would leave each other's ways behind.
TRACING = threading.RLock()


class Tracer(fx.Tracer):
    """torch.fx's, which changes how modules are called, but here for its own thread alone."""

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """Record the operations of a forward, as a graph that does not know who has made it."""
        with TRACING:
            self.thread = threading.get_ident()
            recorded = super().trace(root, concrete_args)
        graph = fx.Graph()
        graph.output(graph.graph_copy(recorded, {}))
        return graph

    def call_module(self, m: nn.Module, forward: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Record the call of a module, or let it pass if another thread makes it."""
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)
