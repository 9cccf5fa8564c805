"""Second-order pruning.

Of small networks: a `SmallNetwork`, read as a `SparseChain`, whose kept entries are one vector;
an `Objective` and its Gauss-Newton model; training by Levenberg-Marquardt; Optimal Brain Surgeon;
entries that come back.
Of large ones: blocks of the empirical Fisher matrix.
"""

from sklearn_tickets._curvature._fisher import inverse_fisher, without_in_blocks
from sklearn_tickets._curvature._objective import Objective
from sklearn_tickets._curvature._small_network import SmallNetwork
from sklearn_tickets._curvature._sparse_chain import SparseChain
from sklearn_tickets._curvature._surgeon import operate
from sklearn_tickets._curvature._surgery import saliencies

__all__ = [
    "Objective",
    "SmallNetwork",
    "SparseChain",
    "inverse_fisher",
    "operate",
    "saliencies",
    "without_in_blocks",
]
