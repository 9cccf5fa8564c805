"""Find the pruners of this library."""

from sklearn_tickets import pruners
from sklearn_tickets.pruners.base import BasePruner


def all_pruners() -> list[tuple[str, type[BasePruner]]]:
    """List all pruners.

    Returns
    -------
    pruners : list of tuple (name, class)
        Sorted by name, as in scikit-learn's ``all_estimators``.

    Examples
    --------
    >>> from sklearn_tickets.utils import all_pruners
    >>> [name for name, _ in all_pruners()][:2]
    ['ACDCPruner', 'AnnealingPruner']
    """
    classes = ((name, getattr(pruners, name)) for name in pruners.__all__)
    return sorted((name, cls) for name, cls in classes if cls is not BasePruner)
