"""The seek benchmark: pruners search for a planted ticket, and their results are compared."""

from sklearn_tickets.benchmark._format_report import format_report
from sklearn_tickets.benchmark._report_page import write_report
from sklearn_tickets.benchmark._seek import COLUMNS, DEFAULT, PRUNERS, seek
from sklearn_tickets.benchmark._seek_display import SeekDisplay

__all__ = ["COLUMNS", "DEFAULT", "PRUNERS", "SeekDisplay", "format_report", "seek", "write_report"]
