"""Taking a ticket out of the laboratory: networks that are small, not just full of zeros.

`compact` leaves out the neurons and channels that pruning made superfluous. What it returns needs
nothing but torch.
"""

from sklearn_tickets.export._compact import compact

__all__ = ["compact"]
