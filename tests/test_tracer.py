"""`Tracer`: tracing a forward leaves other threads alone."""

import threading

import pytest
import torch
from torch import nn

from sklearn_tickets._network import Tracer
from sklearn_tickets.models import MLP


class Halting(nn.Module):
    """While its forward is traced, something happens in another thread."""

    def __init__(self, happen):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.happen = happen

    def forward(self, X):
        thread = threading.Thread(target=self.happen)
        thread.start()
        thread.join(timeout=0.5)
        return self.layer(X).relu()


def test_other_threads_call_their_modules_as_usual():
    module, X, outputs = MLP(2, 2, hidden=(4,)), torch.ones(1, 2), []
    graph = Tracer("module").trace(Halting(lambda: outputs.append(module(X))))
    assert torch.equal(outputs[0], module(X))
    assert [str(node.target) for node in graph.nodes] == ["X", "layer", "relu", "output"]


def test_tracers_take_turns():
    call, ended, followed = nn.Module.__call__, threading.Event(), []

    class Late(nn.Linear):
        def forward(self, X):
            ended.wait(timeout=5)
            return super().forward(X)

    threads = set(threading.enumerate())
    # The other one would begin before this one has ended, and end after it.
    Tracer("module").trace(Halting(lambda: followed.append(Tracer("late").trace(Late(2, 2)))))
    ended.set()
    for thread in set(threading.enumerate()) - threads:
        thread.join()
    assert len(followed) == 1
    assert nn.Module.__call__ is call


class Optional(nn.Module):
    def forward(self, X, mask=None, n=2, *args, flag=True, **more):
        X = X if mask is None else X * mask
        return X * n if flag else X + n


def test_arguments_beside_the_input_have_their_defaults():
    graph = Tracer("module").trace(Optional())
    assert [node.name for node in graph.nodes] == ["x", "mul", "output"]


class Pair(nn.Module):
    def forward(self, X, other):
        return X + other


class Branch(nn.Module):
    def forward(self, X):
        return X if X.sum() > 0 else -X


@pytest.mark.parametrize("module", [Pair(), Branch()])
def test_forwards_of_one_input_without_control_flow_are_traced(module):
    message = "The forward of net, .* cannot be traced: .* Write it for one input, without control"
    with pytest.raises(ValueError, match=message):
        Tracer("net").trace(module)
