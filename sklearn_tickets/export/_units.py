"""What `compact` knows of a network: the units that it computes, and the layers behind them."""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# The layers whose units are removed, and what normalizes these.
NORMALIZED_BY: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: nn.BatchNorm1d,
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}
_CONVOLUTION_SETTINGS = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
NO_PADDING = (0, (0,), (0, 0), (0, 0, 0), "valid")


@dataclass(eq=False)
class Units:
    """The units that a node of the graph computes."""

    # The value of each, NaN if it depends on the input. Further axes, of length 1, tell what
    # a unit is: none a number, one a flattened map, two a map.
    constant: Tensor
    # The nodes that keep the same units, this one among them.
    peers: set[fx.Node]
    # Whether an output depends on it.
    needed: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.needed = torch.zeros(len(self.constant), dtype=torch.bool)


class Layer:
    """A linear layer or a convolution, in float64.

    The axes of its weight are units, units before them, and taps: the pixels of a kernel or of
    a flattened map. Constants before the layer go into its bias, and their weights become 0.
    """

    def __init__(self, module: Any, before: Units | None) -> None:
        self.module = module
        # What is not made of units counts as a single one, which depends on the input.
        constant = torch.full((1,), torch.nan) if before is None else before.constant.flatten()
        self.weight = module.weight.cpu().double().reshape(len(module.weight), len(constant), -1)
        self.bias = self.weight.new_zeros(len(self.weight))
        if module.bias is not None:
            self.bias += module.bias.cpu()
        known = ~constant.isnan()
        if getattr(module, "padding_mode", "") == "zeros" and module.padding not in NO_PADDING:
            # Next to zeros, no bias stands for the constants: one of them stands for all.
            merged, known = known & (constant != 0), known & (constant == 0)
            if merged.any():
                largest = constant.abs().nan_to_num(0).argmax()
                weight = (self.weight[:, merged] * constant[merged, None]).sum(dim=1)
                self.weight[:, merged] = 0
                self.weight[:, largest] = weight / constant[largest]
        self.bias += (self.weight[:, known].sum(dim=2) * constant[known]).sum(dim=1)
        self.weight[:, known] = 0

    def can_fold(self, norm: Any) -> bool:
        """Whether it is batch normalization of the layer's units."""
        is_kind = type(norm) is NORMALIZED_BY[type(self.module)]
        return is_kind and norm.track_running_stats and norm.num_features == len(self.bias)

    def fold(self, norm: Any) -> None:
        """Do what the batch normalization behind the layer does, too."""
        norm = copy.deepcopy(norm).cpu().double()
        statistics = norm.running_mean, norm.running_var, norm.eps
        folded = fuse_conv_bn_weights(self.weight, self.bias, *statistics, norm.weight, norm.bias)
        self.weight, self.bias = (parameter.data for parameter in folded)

    def constant(self) -> Tensor:
        """What each unit is, as in `Units`."""
        constant = self.bias.masked_fill(self.weight.any(dim=2).any(dim=1), torch.nan)
        return constant if isinstance(self.module, nn.Linear) else constant[:, None, None]

    def dense(self, rows: Tensor | slice, columns: Tensor | slice) -> nn.Module:
        """A layer of the units that are kept, of the module's kind, dtype and device."""
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
