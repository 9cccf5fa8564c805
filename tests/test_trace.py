"""Following a forward leaves other threads alone."""

import threading

import torch
from torch import nn

from sklearn_tickets import MLP
from sklearn_tickets._trace import Tracer


class Halting(nn.Module):
    """While its forward is followed, something happens in another thread."""

    def __init__(self, happen):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.happen = happen

    def forward(self, X):
        thread = threading.Thread(target=self.happen)
        thread.start()
        thread.join(timeout=0.5)
        return self.layer(X).relu()


def test_other_threads_call_their_modules_as_ever():
    module, X, outputs = MLP(2, 2, hidden=(4,)), torch.ones(1, 2), []
    graph = Tracer().trace(Halting(lambda: outputs.append(module(X))))
    assert torch.equal(outputs[0], module(X))
    assert [str(node.target) for node in graph.nodes] == ["X", "layer", "relu", "output"]


def test_tracers_take_turns():
    call, followed = nn.Module.__call__, []

    def follow():
        followed.append(Tracer().trace(nn.Sequential(nn.Linear(2, 2))))

    Tracer().trace(Halting(follow))
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    assert [str(node.target) for node in followed[0].nodes] == ["input", "0", "output"]
    assert nn.Module.__call__ is call
