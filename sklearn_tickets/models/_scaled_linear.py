"""`ScaledLinear`: a linear layer whose outputs are multiplied by constants."""

from torch import Tensor, nn


class ScaledLinear(nn.Linear):
    """A linear layer whose outputs are multiplied by constants.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer, whose parameters are shared.
    output_scale : Tensor of shape (n_outputs,)
        The constants, a buffer.
    """

    output_scale: Tensor

    def __init__(self, layer: nn.Linear, output_scale: Tensor) -> None:
        # On the device "meta" no weights are drawn from torch's global random stream.
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("output_scale", output_scale)

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X) * self.output_scale

    def plain(self) -> nn.Linear:
        """Multiply the constants into the weights and biases.

        Returns
        -------
        layer : torch.nn.Linear
            An ordinary layer of the same outputs, with parameters of its own.
        """
        layer = nn.Linear(self.in_features, self.out_features, device="meta")
        layer.weight = nn.Parameter(self.weight * self.output_scale[:, None])
        layer.bias = None if self.bias is None else nn.Parameter(self.bias * self.output_scale)
        return layer
