"""`to_sparse`: store the weights of sparse linear layers without their zeros.

A unit's output is the weighted sum of the few inputs that it reads. With one feature per row,
these are weighted sums of rows, as `embedding_bag` computes them. It is PyTorch's fastest sparse
product on CPUs, and needs no sparse tensors.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_tickets._network import check_same_outputs, with_plain_weights
from sklearn_tickets.export._compact import compact_source

# Smaller layers take less time than a call of the kernel.
_MIN_WEIGHTS = 2**17
# Samples per call. More do not fit into the cache; a single one leaves vector registers empty.
_MAX_SAMPLES, _MIN_SAMPLES = 128, 16


class SparseLinear(nn.Module):
    """A linear layer that stores and multiplies only its non-zero weights.

    The layer stores the value and the column of each kept weight. It can be trained: zeros stay
    zeros.

    Parameters
    ----------
    layer : torch.nn.Linear
        The layer to take weights and biases from. It is not changed.

    Attributes
    ----------
    values : Parameter of shape (n_kept,)
        The non-zero weights, row after row.
    columns : int32 Tensor of shape (n_kept,)
        The index of the input that each value is multiplied by.
    offsets : int32 Tensor of shape (out_features + 1,)
        The index in `values` at which each row begins, and the end of the last row.
    bias : Parameter of shape (out_features,) or None
        A copy of the layer's biases.

    See Also
    --------
    to_sparse : Replaces layers where this is faster.

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
        """All weights, zeros included, for code that reads the weight of a linear layer."""
        weight = self.values.new_zeros(self.out_features, self.in_features)
        rows = torch.arange(self.out_features, device=weight.device)
        return weight.index_put(
            (rows.repeat_interleave(self.offsets.diff()), self.columns), self.values
        )

    def forward(self, X: Tensor) -> Tensor:
        """Multiply the inputs by the weights and add the biases.

        Parameters
        ----------
        X : Tensor of shape (..., in_features)
            The inputs.

        Returns
        -------
        outputs : Tensor of shape (..., out_features)
            The outputs of the linear layer, up to rounding.
        """
        samples = X.reshape(-1, self.in_features)
        n_samples = len(samples)
        if n_samples == 1:
            samples = samples.expand(_MIN_SAMPLES, -1)
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
                for block in samples.t().split(_MAX_SAMPLES, dim=1)
            ],
            dim=1,
        )[:, :n_samples].t()
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.reshape(*X.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Describe the sizes for the representation."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, n_kept={len(self.values)}"
        )


@torch.no_grad()
def to_sparse(network: Any, X: Any = None, *, max_density: float = 0.2) -> nn.Module:
    r"""Make large linear layers with few weights sparse, which is faster on a CPU.

    This also gains speed with masks that keep some weights of every unit, where `compact` cannot.

    Parameters
    ----------
    network : fitted pruner, Pipeline, search or torch.nn.Module
        Of a pruner, alone, at the end of a pipeline or inside a fitted search, the compact network
        is used; a module is used as it is. Neither is changed.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
        Inputs of `network`, as in `compact`: the sparse network is compared with it on them.
    max_density : float in [0, 1], default=0.2
        The largest share of non-zero weights in a layer that becomes sparse. Layers with fewer
        than 131,072 weights always stay dense.

    Returns
    -------
    module : torch.nn.Module
        A copy in evaluation mode with `SparseLinear` layers and the same outputs, up to rounding.
        It can be trained, copied and pickled; loading it requires this package.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.
    TypeError
        If `network` contains no pruner and is no module.
    ValueError
        If `max_density` is out of range, a layer has forward hooks or a forward of its own, outputs
        change from call to call, the sparse network has other outputs, or torch.fx cannot trace
        the pruner's module.

    See Also
    --------
    compact : Removes units instead of single weights.

    Notes
    -----
    Which layers become sparse depends only on the weights, not on timings, so a state dictionary
    fits wherever the same network was made sparse.

    The time of a dense layer is proportional to its n weights, that of a sparse layer to dn, with
    the density d, but each weight takes longer: the two are equally fast at about d = 0.3, as are
    the GPU kernels of [1]_. With 1024 x 1024 weights in float32, 256 samples and one core, the
    sparse layer is about 2 times as fast at d = 0.2, 4 times at 0.1, and 10 times at 0.01. Fewer
    samples gain less: for a single sample, and in float64, ``max_density=0.05`` is better.

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
    source = compact_source(network, X)
    module = with_plain_weights(source.module, "network")
    whole = nn.ModuleDict({"module": module})  # a module that is itself a layer has a path, too
    sparse: dict[nn.Module, SparseLinear] = {}
    for path, layer in list(whole.named_modules(remove_duplicate=False)):
        if type(layer) is not nn.Linear or layer.weight.numel() < _MIN_WEIGHTS:
            continue
        if layer.weight.count_nonzero() <= max_density * layer.weight.numel():
            if layer not in sparse:
                sparse[layer] = SparseLinear(layer).eval()
            whole.set_submodule(path, sparse[layer])
    check_same_outputs(
        source.original, whole["module"], source.rows, (source.name, "to_sparse(network)")
    )
    return whole["module"]
