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


def test_the_guide_has_every_public_name():
    guide = (Path(__file__).parents[1] / "docs" / "user_guide.md").read_text()
    words = {*re.findall(r"\w+", guide)}
    package = Path(sklearn_tickets.__file__).parent
    for door in package.glob("[a-z]*/**/__init__.py"):
        room = ".".join(door.parent.relative_to(package.parent).parts)
        missing = {*importlib.import_module(room).__all__} - words
        assert not missing, f"{room}: {missing}"


def test_the_guide_works_from_the_first_line_to_the_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guide = (Path(__file__).parents[1] / "docs" / "user_guide.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)
    matplotlib.pyplot.close("all")
    assert names["planted"].ticket.n_kept < 1.1 * names["pruner"].mask_.n_kept
    assert names["pruner"].score(names["X"], names["y"]) > 0.95
    assert 0.2 < names["pruner"].mask_.density < 0.3
