"""Sizes of reports of 5,000 rows, and the seconds to write and to open them.

Run from the repository root: ``python -m tests.benchmarks.report_page``
"""

import tempfile
import time
from pathlib import Path

from sklearn_tickets.benchmark import write_report
from tests.browser import CHROMIUM, Browser
from tests.test_report_page import many_rows


def main() -> None:
    """Print a row for few problems of five seeds, and one for many of one seed."""
    print("| problems | file | writing (CPU) | computing | loaded |\n|---:|---|---:|---:|---:|")
    for n_seeds in (5, 1):
        frame = many_rows(5000, n_seeds=n_seeds)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "report.html")
            began = time.process_time()
            write_report(frame, path)
            seconds = time.process_time() - began
            n_problems = len(frame[["task", "width"]].drop_duplicates())
            figures = [f"{n_problems}", f"{path.stat().st_size / 1e6:.2f} MB", f"{seconds:.1f} s"]
            if CHROMIUM is not None:
                with Browser(Path(folder, "profile")) as browser:
                    browser.open(path.as_uri())
                    figures += [f"{browser.seconds():.2f} s", f"{browser.seconds_to_load():.2f} s"]
        print(f"| {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
