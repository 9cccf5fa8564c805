"""What the ``cv_results_`` of a search say: the scores and the sparsities of its candidates."""

import re
from collections.abc import Mapping
from typing import Any


def score_columns(cv_results: Mapping[str, Any], start: str, metric: str, name: str) -> list[str]:
    r"""Find the columns of a metric.

    Parameters
    ----------
    cv_results : mapping of str to array
        The ``cv_results_`` of a search.
    start : str
        How their names start: "mean", or the pattern ``r"split\d+"`` for a column per fold.
    metric : str
        The name of the metric.
    name : str
        What to call it in the error message, such as the name of the argument.

    Returns
    -------
    columns : list of str
        The names of the columns.

    Raises
    ------
    ValueError
        If there are none; lists the metrics that there are.
    """
    metrics = {
        column: match[1]
        for column in cv_results
        if (match := re.fullmatch(rf"{start}_test_(.+)", column))
    }
    columns = [column for column, its_metric in metrics.items() if its_metric == metric]
    if not columns:
        known = ", ".join(dict.fromkeys(metrics.values()))
        raise ValueError(f"cv_results has no scores named {name}={metric!r}; choose from {known}.")
    return columns


def sparsity_parameter(params: Mapping[str, Any], candidate: int) -> str:
    """Return the name of the sparsity among the parameters of a candidate.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of a candidate, as in ``cv_results_["params"]``.
    candidate : int
        Its number, for error messages.

    Returns
    -------
    name : str
        The name, which is or ends in ``sparsity``, such as ``pruner__sparsity``.

    Raises
    ------
    ValueError
        If there is not exactly one, or it is None.
    """
    names = [key for key in params if key.rpartition("__")[2] == "sparsity"]
    if len(names) != 1 or params[names[0]] is None:
        raise ValueError(
            "cv_results must come from a search over one sparsity, such as "
            f"{{'pruner__sparsity': [0.5, 0.9]}}; candidate {candidate} is {dict(params)}."
        )
    return names[0]
