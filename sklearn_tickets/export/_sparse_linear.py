"""`to_sparse`: hold the weights of sparse linear layers without their zeros.

A unit's output is the weighted sum of the few inputs that it reads. Of inputs laid out a feature
per row, `embedding_bag` adds up rows with weights: it is the quickest sparse product of
PyTorch's on CPUs, and needs no sparse tensors.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_tickets._network import plain_module
from sklearn_tickets.export._compact import compact

# Fewer weights are read in less time than it takes to call the kernel.
_SMALLEST = 2**17
# Samples per call. More do not stay in the cache; a single one leaves vector registers empty.
_MOST, _LEAST = 128, 16


class SparseLinear(nn.Module):
    """A linear layer that holds, and multiplies by, its non-zero weights alone.

    Of each kept weight there is the number and the column. Besides evaluation, it can be trained:
    zeros stay zeros.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer to take weights and biases from. It is not changed.

    Attributes
    ----------
    values : Parameter of shape (n_kept,)
        The non-zero weights, row after row.
    columns : int32 Tensor of shape (n_kept,)
        Which input each is multiplied by.
    offsets : int32 Tensor of shape (out_features + 1,)
        Where in `values` the rows begin, and the last one ends.
    bias : Parameter of shape (out_features,) or None
        As in the layer.

    See Also
    --------
    to_sparse : Puts it where it is faster.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.export import SparseLinear
    >>> dense = torch.nn.Linear(3, 2)
    >>> dense.weight.data = torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 4.0]])
    >>> dense.bias.data = torch.tensor([0.0, 1.0])
    >>> sparse = SparseLinear(dense)
    >>> sparse
    SparseLinear(in_features=3, out_features=2, bias=True, n_kept=3)
    >>> sparse(torch.tensor([[1.0, 10.0, 100.0]])).tolist()
    [[20.0, 404.0]]
    """

    columns: Tensor
    offsets: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight = layer.weight.detach()
        rows, columns = weight.nonzero(as_tuple=True)
        n_before = torch.searchsorted(rows, torch.arange(len(weight) + 1, device=rows.device))
        self.values = nn.Parameter(weight[rows, columns])
        self.register_buffer("columns", columns.int())
        self.register_buffer("offsets", n_before.int())
        self.bias = copy.deepcopy(layer.bias)

    @property
    def weight(self) -> Tensor:
        """All weights, zeros included, for those who read them from a linear layer."""
        weight = self.values.new_zeros(self.out_features, self.in_features)
        rows = torch.arange(self.out_features, device=weight.device)
        return weight.index_put(
            (rows.repeat_interleave(self.offsets.diff()), self.columns), self.values
        )

    def forward(self, X: Tensor) -> Tensor:
        """Multiply inputs by the weights, and add the biases.

        Parameters
        ----------
        X : Tensor of shape (..., in_features)
            The inputs.

        Returns
        -------
        outputs : Tensor of shape (..., out_features)
            Those of the linear layer, up to rounding.
        """
        samples = X.reshape(-1, self.in_features)
        n_samples = len(samples)
        if n_samples == 1:
            samples = samples.expand(_LEAST, -1)
        outputs = torch.cat(
            [
                functional.embedding_bag(
                    self.columns,
                    block.contiguous(),
                    self.offsets,
                    per_sample_weights=self.values,
                    mode="sum",
                    include_last_offset=True,
                )
                for block in samples.t().split(_MOST, dim=1)
            ],
            dim=1,
        )[:, :n_samples].t()
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.reshape(*X.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Tell the sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, n_kept={len(self.values)}"
        )


def to_sparse(network: Any, *, max_density: float = 0.2) -> nn.Module:
    r"""Make linear layers of few weights sparse, where this is faster on a CPU.

    What `compact` cannot do for masks that leave something of every unit.

    Parameters
    ----------
    network : fitted pruner or torch.nn.Module
        Of a pruner, its compact network is taken; a module as it is. Neither is changed.
    max_density : float in [0, 1], default=0.2
        Layers of which a larger share is not 0 stay dense, and so do those of less than 131,072
        weights.

    Returns
    -------
    module : torch.nn.Module
        A copy in evaluation mode with `SparseLinear` layers, of the same outputs up to rounding.
        It can be trained, copied and pickled; to load it takes this package.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.
    TypeError
        If `network` is neither a pruner nor a module.
    ValueError
        If `max_density` is out of range, or torch.fx cannot trace the pruner's module.

    See Also
    --------
    compact : Leaves units out.

    Notes
    -----
    Which layers become sparse depends on the weights alone, never on a clock: state
    dictionaries fit wherever the same network was made sparse.

    The time of a dense layer is proportional to all of its n weights, that of a sparse one to
    dn, with the density d, but each of these takes longer: they are even at d = 0.3 or so, as
    are the GPU kernels of [1]_. Of 1024 x 1024 weights in float32, on one core and with 256
    samples, the sparse layer is about 2 times as fast at d = 0.2, 4 at 0.1, and 10 at 0.01. Fewer
    samples gain less: for a single one, `max_density` 0.05 is better, and so it is in float64.

    References
    ----------
    .. [1] Gale, Zaharia, Young and Elsen, "Sparse GPU kernels for deep learning", International
       Conference for High Performance Computing, Networking, Storage and Analysis, 2020.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.export import to_sparse
    >>> module = MLP(n_features=64, n_outputs=2, hidden=(1024, 1024))
    >>> kept = {"layers.1.weight": torch.arange(1024**2).reshape(1024, 1024) % 100 == 0}
    >>> TicketMask(kept).apply_(module)
    >>> to_sparse(module)
    MLP(
      (layers): ModuleList(
        (0): Linear(in_features=64, out_features=1024, bias=True)
        (1): SparseLinear(in_features=1024, out_features=1024, bias=True, n_kept=10486)
        (2): Linear(in_features=1024, out_features=2, bias=True)
      )
    )
    """
    if not 0 <= max_density <= 1:
        raise ValueError(f"max_density={max_density} must be between 0 (all dense) and 1.")
    is_module = isinstance(network, nn.Module)
    module = copy.deepcopy(plain_module(network)).eval() if is_module else compact(network)
    whole = nn.ModuleDict({"module": module})  # so that a module that is a layer has a path, too
    sparse: dict[nn.Module, SparseLinear] = {}
    for path, layer in list(whole.named_modules(remove_duplicate=False)):
        if type(layer) is not nn.Linear or layer.weight.numel() < _SMALLEST:
            continue
        if layer.weight.count_nonzero() <= max_density * layer.weight.numel():
            if layer not in sparse:
                sparse[layer] = SparseLinear(layer).eval()
            whole.set_submodule(path, sparse[layer])
    return whole["module"]
