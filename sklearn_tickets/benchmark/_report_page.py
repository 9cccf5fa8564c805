"""`write_report`: the results of a benchmark as a page."""

import html
import os
import re
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from sklearn_tickets._files import atomic_write
from sklearn_tickets.benchmark._report_content import make_report

_TEMPLATES = {".html": "report.html", ".htm": "report.html", ".md": "report.md"}


def write_report(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a page about the results of `seek`.

    The page says what was run and found: who comes closest to the planted ticket, mean ranks with
    intervals over seeds, wins against controls, quality against density and against cost, and
    every row, in tables that can be sorted and filtered. It is one file that loads nothing from
    elsewhere, for light and dark screens, keyboards, screen readers and printers.

    Parameters
    ----------
    frame : DataFrame
        The result of `seek` or `run_grid`, or several of them concatenated, of any tasks, sizes,
        densities and seeds. Rows without ``depth`` and ``width`` are of data without a planted
        ticket. Further columns are shown with the rows. ``noise``, ``n_noise_features``,
        ``scaling``, ``n_samples`` and ``final_epochs`` tell problems apart; ``n_rounds``,
        ``round_epochs`` and ``parameters``, a JSON object as text, tell methods apart that have
        the same pruner and mode; ``error`` has the traceback of a run that failed.
    path : path-like
        The file. Its extension is ``.html`` (or ``.htm``), or ``.md`` for the same in Markdown,
        without plots and single runs. An existing file is replaced.

    Raises
    ------
    ValueError
        If columns are missing or contain what they cannot, there are no rows, or the extension
        is another.
    OSError
        If the file cannot be written; the message names `path`.

    See Also
    --------
    format_report : Format a table as text.
    SeekDisplay : Plot the quality of one problem.

    Notes
    -----
    Statistics are over seeds: medians; mean ranks, with 95 % percentile bootstrap intervals; and
    the numbers of wins, ties and losses against the controls, where accuracies within a
    percentage point, or errors within 10 %, are ties. Rows of the same problem, method, density
    and seed count once, with their mean. The page says so, and names missing results.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from sklearn_tickets.benchmark import seek, write_report
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> tables = [
    ...     seek(
    ...         PlantedTicketGenerator("relu", width=20, random_state=seed),
    ...         n_samples=300,
    ...         pruners=["random", "imp"],
    ...         n_rounds=1,
    ...         round_epochs=1,
    ...     )
    ...     for seed in range(2)
    ... ]
    >>> with TemporaryDirectory() as folder:
    ...     write_report(pd.concat(tables), Path(folder, "report.html"))
    """
    extension = Path(path).suffix
    if extension.lower() not in _TEMPLATES:
        raise ValueError(
            f"path={str(path)!r} has the extension {extension!r}; choose from "
            f"{', '.join(_TEMPLATES)}."
        )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sklearn_tickets.benchmark", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _escape_markdown
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    template = environment.get_template(_TEMPLATES[extension.lower()])
    with atomic_write(path) as partial:
        partial.write_text(template.render(report=make_report(frame)), encoding="utf-8")


def _escape_markdown(text: str) -> Markup:
    """Escape what has a meaning in Markdown, or in the HTML that it may contain."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return Markup(re.sub(r"([\\`*_\[\]|~#])", r"\\\1", plain))
