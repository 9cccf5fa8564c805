"""`geometric_density`: how densities fall in rounds and in epochs."""


def geometric_density(initial: float, final: float, share: float) -> float:
    r"""Interpolate between two densities, by the same factor in equal steps.

    .. math:: \rho = \rho_0^{1 - x} \, \rho_1^x

    Parameters
    ----------
    initial : float in (0, 1]
        The density :math:`\rho_0` at the beginning.
    final : float in (0, 1]
        The density :math:`\rho_1` at the end.
    share : float in [0, 1]
        The share x of the steps that are done.

    Returns
    -------
    density : float
        The density, exactly the final one at the end.

    Examples
    --------
    >>> from sklearn_tickets.training import geometric_density
    >>> [geometric_density(1, 0.25, share) for share in (0, 0.5, 1)]
    [1.0, 0.5, 0.25]
    """
    return initial ** (1 - share) * final**share
