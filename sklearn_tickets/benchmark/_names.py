"""`name_problems`: what problems are called in tables, plots and reports."""

import pandas as pd


def name_problems(table: pd.DataFrame) -> pd.Series:
    """Name the problem of every row: data without a planted ticket have no depth and width."""
    depth, width = (
        f", {name} " + table[name].map("{:.0f}".format, na_action="ignore").astype(str)
        for name in ("depth", "width")
    )
    task = table["task"].astype(str)
    return task.where(table["depth"].isna(), task + depth + width)
