"""Deploy tickets: networks that are small, not just full of zeros.

`compact` removes the neurons and channels that pruning has made superfluous. The result needs
only torch. `to_sparse` also drops single weights, in large linear layers, and `to_onnx` writes a
file for programs without torch.
"""

from sklearn_tickets.export._compact import compact
from sklearn_tickets.export._onnx import to_onnx
from sklearn_tickets.export._sparse_linear import SparseLinear, to_sparse

__all__ = ["SparseLinear", "compact", "to_onnx", "to_sparse"]
