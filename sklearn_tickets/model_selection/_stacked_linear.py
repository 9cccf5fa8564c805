"""`StackedLinears`: linear layers of many networks, computed as those of each network alone."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _StackedLinear(torch.autograd.Function):
    """A linear layer of each network, computed by the same matrix products as the layer alone."""

    @staticmethod
    def forward(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.baddbmm(bias[:, None], X, weight.mT)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        X, weight = ctx.saved_tensors
        needs_X, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            torch.bmm(gradient, weight) if needs_X else None,
            torch.bmm(gradient.mT, X) if needs_weight else None,
            gradient.sum(dim=1) if needs_bias else None,
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *layer: Tensor) -> tuple[Tensor, int]:
        X, weight, bias = (
            values.expand(info.batch_size, *values.shape)
            if dim is None
            else values.movedim(dim, 0)
            if dim
            else values
            for values, dim in zip(layer, in_dims, strict=True)
        )
        if 1 in X.shape[1:] or 1 in weight.shape[1:]:
            # Products with a vector use different algorithms.
            layers = zip(X, weight, bias, strict=True)
            return torch.stack([nn.functional.linear(*layer) for layer in layers]), 0
        return _StackedLinear.apply(X, weight, bias), 0


class StackedLinears(TorchFunctionMode):
    """Compute the linear layers called in a block by `_StackedLinear`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear and [getattr(a, "ndim", 0) for a in args] == [2, 2, 1]:
            return _StackedLinear.apply(*args)
        return func(*args, **(kwargs or {}))
