"""`ReadOnlyTensor`: what a mask returns refuses to be written to, and else is a plain tensor."""

import copy
import operator
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from sklearn_tickets.masks import TicketMask

# 3 of 6 weights and 1 of 2 biases.
MASK = TicketMask({"0.weight": [[1, 0, 1], [0, 1, 0]], "0.bias": [0, 1]})

WRITES = {
    "item": lambda kept: kept.__setitem__((0, 0), True),
    "item of a row": lambda kept: kept[0].__setitem__(0, True),
    "method": lambda kept: kept.fill_(True),
    "masked method": lambda kept: kept.masked_fill_(~kept, True),
    "copy": lambda kept: kept.copy_(torch.ones(2, 3)),
    "negation": lambda kept: kept.logical_not_(),
    "operator": lambda kept: operator.ior(kept, torch.ones(2, 3, dtype=torch.bool)),
    "function": lambda kept: torch.nn.init.ones_(kept),
    "overload": lambda kept: torch.ops.aten.fill_.Scalar(kept, 1),
    "list of tensors": lambda kept: torch._foreach_zero_([kept]),
    "output": lambda kept: torch.logical_or(~kept, kept, out=kept),
    "transposed view": lambda kept: kept.T.fill_(True),
    "flat view": lambda kept: kept.view(-1).fill_(True),
    "view of another type": lambda kept: kept.view(torch.uint8).fill_(1),
    "rows": lambda kept: kept.unbind()[0].fill_(True),
    "iteration": lambda kept: next(iter(kept)).fill_(True),
    "detached": lambda kept: kept.detach().fill_(True),
    "same device": lambda kept: kept.cpu().fill_(True),
    "data": lambda kept: kept.data.fill_(True),
    "other data": lambda kept: setattr(kept, "data", torch.ones(2, 3)),
    "NumPy": lambda kept: kept.numpy().fill(True),
    "NumPy by protocol": lambda kept: np.asarray(kept).fill(True),
}


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writing_to_what_a_mask_returns_is_refused(write, context):
    with context():
        kept = MASK["0.weight"]
        with pytest.raises(ValueError, match="read-only"):
            write(kept)
    assert kept.tolist() == [[True, False, True], [False, True, False]]


def test_the_refusal_names_the_remedy():
    with pytest.raises(ValueError, match=r"read-only copy.*mask\[name\]\.clone\(\).*TicketMask\("):
        MASK["0.weight"][0, 1] = True
    values = MASK["0.weight"].clone()
    values[0, 1] = True
    assert TicketMask({**MASK, "0.weight": values}).n_kept == MASK.n_kept + 1


@pytest.mark.parametrize(
    "result",
    [
        torch.clone,
        torch.logical_not,
        torch.zeros_like,
        copy.deepcopy,
        lambda kept: pickle.loads(pickle.dumps(kept)),
        lambda kept: kept.float(),
        lambda kept: kept & kept,
        lambda kept: kept[[0]],
        lambda kept: kept[kept],
        lambda kept: torch.stack([kept, kept]),
        lambda kept: kept.nonzero(as_tuple=True)[0],
        lambda kept: torch.ones(2, 3)[kept],
        lambda kept: torch.zeros(6, dtype=torch.bool).view_as(kept),
    ],
)
def test_all_else_is_a_plain_tensor_that_can_be_written_to(result):
    tensor = result(MASK["0.weight"])
    assert type(tensor) is torch.Tensor
    tensor.zero_()
    assert repr(MASK["0.bias"]) == "tensor([False,  True])"


def test_other_tensors_are_changed_by_what_a_mask_returns():
    kept, w = MASK["0.weight"], torch.ones(2, 3)
    w[~kept] = 0
    w.masked_fill_(kept, 2)
    assert w.tolist() == [[2, 0, 2], [0, 2, 0]]
    target = torch.zeros(2, 3, dtype=torch.bool)
    target |= kept
    assert target.equal(kept)
    assert torch.logical_not(kept, out=target).equal(~kept)
    assert torch.func.grad(lambda w: (w * kept).sum())(w).equal(kept.float())
    assert torch.vmap(lambda row: row * kept[0])(w).equal(w * kept[0])
    assert load(save({"kept": kept}))["kept"].equal(kept)


class MaskedLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("kept", MASK["0.weight"])

    def forward(self, X):
        return nn.functional.linear(X, self.layer.weight * self.kept)


def test_modules_with_a_mask_are_copied_compiled_and_exported():
    module, X = MaskedLinear(), torch.ones(1, 3)
    expected = module(X)
    assert torch.compile(module, backend="eager", fullgraph=True)(X).equal(expected)
    assert torch.export.export(module, (X,)).module()(X).equal(expected)
    copied = copy.deepcopy(module)
    copied.load_state_dict(module.state_dict())
    assert copied(X).equal(expected)
