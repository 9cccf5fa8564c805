"""The seek benchmark: pruners search for a planted ticket, and their results are compared."""

from sklearn_tickets.benchmark._data import DATA
from sklearn_tickets.benchmark._describe_findings import describe_findings
from sklearn_tickets.benchmark._format_report import format_report
from sklearn_tickets.benchmark._grid import plan_grid, run_grid
from sklearn_tickets.benchmark._grid_file import GRIDS, load_grid
from sklearn_tickets.benchmark._pruners import DEFAULT, PRUNERS
from sklearn_tickets.benchmark._report_page import write_report
from sklearn_tickets.benchmark._seek import COLUMNS, seek
from sklearn_tickets.benchmark._seek_display import SeekDisplay
from sklearn_tickets.benchmark._store import Store

__all__ = [
    "COLUMNS",
    "DATA",
    "DEFAULT",
    "GRIDS",
    "PRUNERS",
    "SeekDisplay",
    "Store",
    "describe_findings",
    "format_report",
    "load_grid",
    "plan_grid",
    "run_grid",
    "seek",
    "write_report",
]
