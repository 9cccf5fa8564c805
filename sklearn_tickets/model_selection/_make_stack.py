"""`make_stack`: the kind of stack that trainings need; `try_out`: whether there is one."""

import copy
from collections.abc import Sequence

import torch

from sklearn_tickets._network import plain_module
from sklearn_tickets.model_selection._gated_stack import GatedStack
from sklearn_tickets.model_selection._member import CannotStackError, Member
from sklearn_tickets.model_selection._stack import Stack


def make_stack(members: Sequence[Member]) -> Stack:
    """Stack trainings with the same `key`."""
    return Stack(members) if members[0].training.learner is None else GatedStack(members)


def try_out(member: Member) -> None:
    """Raise a CannotStackError if a stack of one cannot compute a step as the module does."""
    module = copy.deepcopy(plain_module(member.net.module_)).train()
    try:
        stack, device = make_stack([member]), member.net.device
        X, *others = [tensor[:2].to(device) for tensor in member.batches.tensors]
        batch = stack.with_targets([tensor[None] for tensor in (X, *others)])
        stack.step(*batch, *stack.weights.values(), *stack.buffers.values())
        with torch.no_grad():
            module(X)
    except Exception as error:
        reason = str(error).partition(". ")[0]
        if "random operation" in reason:
            reason = "its forward draws random numbers in training, as Dropout does"
        raise CannotStackError(f"torch cannot stack the module: {reason}") from error
    for name, buffer in module.named_buffers():
        if not torch.allclose(stack.buffers[name][0], buffer, equal_nan=True):
            raise CannotStackError(f"a stack changes the module's buffer {name} in another way")
