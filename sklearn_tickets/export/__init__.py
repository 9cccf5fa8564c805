"""Taking a ticket out of the laboratory: networks that are small, not just full of zeros.

`compact` leaves out the neurons and channels that pruning made superfluous. What it returns needs
nothing but torch. `to_sparse` leaves out single weights of what is left, in linear layers, and
`to_onnx` writes a file for programs that do not know torch.
"""

from sklearn_tickets.export._compact import compact
from sklearn_tickets.export._onnx import to_onnx
from sklearn_tickets.export._sparse_linear import SparseLinear, to_sparse

__all__ = ["SparseLinear", "compact", "to_onnx", "to_sparse"]
