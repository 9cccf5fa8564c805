"""Size of a report of 5,000 rows, and the seconds to write and to open it.

Run from the repository root: ``python -m tests.benchmarks.report_page``
"""

import tempfile
import time
from pathlib import Path

from sklearn_tickets.benchmark import write_report
from tests.browser import CHROMIUM, Browser
from tests.test_report_page import many_rows


def main() -> None:
    """Print the table."""
    frame = many_rows(5000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.html")
        began = time.process_time()
        write_report(frame, path)
        figures = [f"{path.stat().st_size / 1e6:.2f} MB", f"{time.process_time() - began:.1f} s"]
        if CHROMIUM is not None:
            with Browser(Path(folder, "profile")) as browser:
                browser.open(path.as_uri())
                figures += [f"{browser.seconds():.2f} s", f"{browser.seconds_to_load():.2f} s"]
    print("| file | writing (CPU) | computing | loaded |\n|---|---:|---:|---:|")
    print(f"| {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
