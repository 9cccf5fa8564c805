"""`ReducibleLayer`: what `compact` knows of a layer that may lose units."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from sklearn_tickets._network import NO_PADDING, LinearMap, Units, normalizes

_CONVOLUTION_SETTINGS = ("kernel_size", "stride", "padding", "dilation", "padding_mode")


@dataclass(frozen=True, eq=False)
class ReducibleLayer(LinearMap):
    """A linear layer or a convolution that may lose units.

    Parameters
    ----------
    weight : float64 Tensor of shape (n_units, n_inputs, n_taps)
        Its weights, 0 for inputs that are constants.
    bias : float64 Tensor of shape (n_units,)
        Its biases, to which the constants have been added.
    module : torch.nn.Linear, Conv1d, Conv2d or Conv3d
        The layer.
    """

    bias: Tensor
    module: Any

    @classmethod
    def after(cls, before: Units | None, module: Any) -> Self:
        """Read a layer, and move the constants before it into its biases."""
        # Inputs that are not units count as a single one that varies.
        constant = torch.full((1,), torch.nan) if before is None else before.constant.flatten()
        linear_map = LinearMap.of(module, len(constant))
        weight = linear_map.weight.to("cpu", torch.float64, copy=True)
        bias = weight.new_zeros(len(weight))
        if linear_map.bias is not None:
            bias += linear_map.bias.cpu()
        known = ~constant.isnan()
        if getattr(module, "padding_mode", "") == "zeros" and module.padding not in NO_PADDING:
            # Near the zeros of the padding, no bias replaces constants. One of them replaces all.
            merged, known = known & (constant != 0), known & (constant == 0)
            if merged.any():
                largest = constant.abs().nan_to_num(0).argmax()
                total = (weight[:, merged] * constant[merged, None]).sum(dim=1)
                weight[:, merged] = 0
                weight[:, largest] = total / constant[largest]
        bias += (weight[:, known].sum(dim=2) * constant[known]).sum(dim=1)
        weight[:, known] = 0
        return cls(weight, bias, module)

    def can_fold(self, norm: Any) -> bool:
        """Whether it is batch normalization of the layer's units."""
        return normalizes(norm, self.module) and norm.track_running_stats

    def constant(self) -> Tensor:
        """Return the values of its units, as in `Units`."""
        constant = self.bias.masked_fill(self.weight.any(dim=2).any(dim=1), torch.nan)
        return constant if isinstance(self.module, nn.Linear) else constant[:, None, None]

    def dense(self, rows: Tensor | slice, columns: Tensor | slice) -> nn.Module:
        """Make a layer of the units kept, of the module's kind, dtype and device."""
        old = self.module
        weight, bias = self.weight[rows][:, columns], self.bias[rows]
        weight = weight.reshape(len(bias), -1, *old.weight.shape[2:])
        has_bias = old.bias is not None or bool(bias.any())
        settings = {name: vars(old)[name] for name in _CONVOLUTION_SETTINGS if name in vars(old)}
        # On the device "meta" no weights are drawn from torch's global random stream.
        new = type(old)(weight.shape[1], len(bias), bias=has_bias, device="meta", **settings)
        new.weight = nn.Parameter(weight.to(old.weight))
        if has_bias:
            new.bias = nn.Parameter(bias.to(old.weight))
        return new
