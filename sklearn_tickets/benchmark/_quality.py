"""The measures of quality: how they are called, written, and compared."""

from typing import Any

import numpy as np
import pandas as pd

QUALITY: dict[Any, str] = {"accuracy": "accuracy", "mse": "mean squared error"}
QUALITY_FORMAT: dict[Any, str] = {"accuracy": "{:.3f}", "mse": "{:.1e}"}
# References that are the planted ticket, the second one with its output scale. The best of what
# they reach, trained and untrained, is what methods are measured by.
TICKETS = ("planted", "scaled")
# Scores that differ by no more are ties; rounding errors do not decide.
TIE = 1 + 1e-9


def describe_quality(metric: Any, is_planted: object) -> str:
    """Say what is measured on which data."""
    return f"{QUALITY[metric]} on {'noisy held-out' if is_planted else 'test'} data"


def score(quality: pd.Series, metric: pd.Series) -> pd.Series:
    """Bring qualities to a scale on which higher is better and differences up to `TIE` are ties.

    Parameters
    ----------
    quality : Series of float
        Accuracies and mean squared errors.
    metric : Series of str
        Which of the two each is: "accuracy" or "mse".

    Returns
    -------
    score : Series of float64
        Percentage points of accuracy, and steps of 10 % of errors.
    """
    steps = -np.log(quality.clip(lower=np.finfo(float).tiny)) / np.log(1.1)
    return (100 * quality).where(metric == "accuracy", steps)
