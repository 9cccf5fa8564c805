"""Following a forward leaves other threads alone."""

import threading

import torch

from sklearn_tickets import MLP, PlantedTicketGenerator
from sklearn_tickets.export import compact


def test_other_threads_call_their_modules_as_ever():
    module, X = MLP(2, 2, hidden=(4,)), torch.ones(1, 2)
    expected, stop, errors = module(X), threading.Event(), []

    def call():
        while not stop.is_set():
            try:
                assert torch.equal(module(X), expected)
            except Exception as error:
                errors.append(error)
                return

    def plant():
        for seed in range(4):
            compact(PlantedTicketGenerator(width=20, random_state=seed).generate(1).module())

    caller, planter = threading.Thread(target=call), threading.Thread(target=plant)
    caller.start()
    planter.start()
    plant()
    planter.join()
    stop.set()
    caller.join()
    assert errors == []
    assert torch.nn.Module.__call__ is torch.nn.Module._wrapped_call_impl
