"""`Border`: the k-th largest of numbers that change little from step to step."""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

# The window, in units of the last step of the border.
_MARGIN = 4.0


@dataclass
class Border:
    """Find the k-th largest number again and again, near where it was the last time.

    The result is exact. Numbers in a narrow window around the last border are sorted; if the new
    one is not among them, all are.

    Attributes
    ----------
    value : float
        The last border; NaN before the first.
    width : float
        Half the width of the window.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.training._border import Border
    >>> border = Border()
    >>> [border.find(torch.tensor([1.0, 4.0, 2.0, 3.0]), k) for k in (1, 2)]
    [4.0, 3.0]
    """

    value: float = field(default=float("nan"), init=False)
    width: float = field(default=0.0, init=False)

    def find(self, numbers: Tensor, k: int) -> float:
        """Find the k-th largest number.

        Parameters
        ----------
        numbers : Tensor of shape (n,)
            The numbers.
        k : int
            The rank, from 1 to n.

        Returns
        -------
        number : float
            The number.
        """
        if numbers.is_cuda:
            return numbers.topk(k, sorted=False).values.min().item()
        values = numbers.numpy()
        above = values > self.value + self.width
        near = values[(values >= self.value - self.width) & ~above]
        rank = k - int(np.count_nonzero(above))
        if not 0 < rank <= len(near):
            near, rank = values, k
        found = float(np.partition(near, len(near) - rank)[len(near) - rank])
        self.width = _MARGIN * abs(found - self.value)
        self.value = found
        return found
