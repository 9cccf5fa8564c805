"""The zoo: small modules of every kind that users bring, as they write them.

`fitting` fits a pruner to one of them, and `checks` compares what comes out with plain torch.
"""

from tests.zoo import convolutions, forwards, images, layers, operations, sequences, weights
from tests.zoo._case import ZOO, Case

__all__ = [
    "ZOO",
    "Case",
    "convolutions",
    "forwards",
    "images",
    "layers",
    "operations",
    "sequences",
    "weights",
]
