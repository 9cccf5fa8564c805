"""The README's example does what its comments say, on less data and in fewer epochs."""

import importlib
import re
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import sklearn_tickets

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_example_works(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    for slow, quick in {
        ".generate()": ".generate(200)",
        "max_epochs=10": "max_epochs=1",
        "SynFlowPruner(net": "SynFlowPruner(net, n_rounds=10",
    }.items():
        assert slow in code
        code = code.replace(slow, quick)
    exec(code, {})
    promised = [line.split("# ")[1] for line in code.splitlines() if line.startswith("print")]
    *masks, accuracy = capsys.readouterr().out.splitlines()
    assert masks == promised[:-1]
    assert 0 <= float(accuracy) <= 1


def test_the_root_offers_what_the_example_uses():
    (names,) = re.findall(r"^from sklearn_tickets import (.*)$", README, re.MULTILINE)
    assert {*names.split(", ")} == {*sklearn_tickets.__all__} - {"__version__"}


def test_names_are_where_the_table_says():
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \|", README, re.MULTILINE)
    assert len(rows) > 10
    for room, names in rows:
        module = importlib.import_module(f"sklearn_tickets.{room}")
        for name in re.findall(r"`(\w+)`", names):
            assert name in module.__all__, f"{name} is not in {room}"
