"""`LinearMap`: linear layers and convolutions alike, as arrays of units, inputs and taps."""

from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# The layers that have a `LinearMap`, and the batch normalization of their units.
BATCH_NORMS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: nn.BatchNorm1d,
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


@dataclass(frozen=True)
class LinearMap:
    """The weights and biases of a linear layer or a convolution.

    Parameters
    ----------
    weight : Tensor of shape (n_units, n_inputs, n_taps)
        The weights. An input is a unit of the layer before. A unit reads it through one or
        more taps: the pixels of a convolution's kernel, or those of a feature map that a
        linear layer reads flattened.
    bias : Tensor of shape (n_units,) or None
        The biases.
    """

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, layer: Any, n_inputs: int) -> Self:
        """Read a layer of `n_inputs` inputs; the tensors share memory with its parameters."""
        weight = layer.weight.detach()
        bias = None if layer.bias is None else layer.bias.detach()
        return cls(weight.reshape(len(weight), n_inputs, -1), bias)

    def fold(self, norm: Any) -> Self:
        """Return the float64 map of the layer followed by batch normalization.

        Parameters
        ----------
        norm : torch.nn.BatchNorm1d, BatchNorm2d or BatchNorm3d
            The normalization, with running statistics.

        Returns
        -------
        folded : LinearMap
            The map with the outputs of both layers in evaluation mode.
        """
        weight, bias = self.weight.double(), None if self.bias is None else self.bias.double()
        statistics = norm.running_mean, norm.running_var, norm.eps
        weight, bias = fuse_conv_bn_weights(weight, bias, *statistics, norm.weight, norm.bias)
        return replace(self, weight=weight.detach(), bias=bias.detach())
