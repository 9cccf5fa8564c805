"""The benchmark for a GPU works: at toy size, on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "benchmarks/gpu.py"


def test_all_sections_write_their_rows(tmp_path):
    subprocess.run(
        [sys.executable, SCRIPT, "--device", "cpu", "--quick"],
        env={**os.environ, "OUT": str(tmp_path), "PYTHONPATH": str(SCRIPT.parents[2])},
        check=True,
        capture_output=True,
    )
    head, rule, *rows = (tmp_path / "gpu.md").read_text().splitlines()
    assert head.startswith("| CPU, torch")
    assert rule.count("---") == 5
    assert len(rows) == 5
    assert all(row.count("|") == 6 for row in rows)
