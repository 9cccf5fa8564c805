"""The seek benchmark: plant a ticket, let pruners look for it, and compare what they find."""

from sklearn_tickets.benchmark._display import SeekDisplay
from sklearn_tickets.benchmark._report import format_report
from sklearn_tickets.benchmark._seek import COLUMNS, DEFAULT, PRUNERS, seek

__all__ = ["COLUMNS", "DEFAULT", "PRUNERS", "SeekDisplay", "format_report", "seek"]
