"""docs/catalogue.md has every row of what must be withstood, and names no test that there is not."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "catalogue.md"
GROUPS = {"A": 16, "B": 18, "C": 12, "D": 12, "E": 14, "F": 12, "J": 16, "K": 16, "L": 13, "M": 13, "R": 17, "S": 14}
ROW = re.compile(r"^\| ([A-Z]\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


@cache
def written_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}


def missing(cell: str) -> list[str]:
    """What a cell names that there is not; a cell that names nothing must say why."""
    named = NAMED.findall(cell)
    if not named and not cell.startswith("no test: "):
        return [cell]
    return [f"{file}::{test}" for file, test in named if not (TESTS / file).is_file() or test not in written_in(TESTS / file)]


def test_every_row_is_there_once_and_in_order():
    assert [name for name, _ in ROWS] == [f"{group}{k}" for group, count in GROUPS.items() for k in range(1, count + 1)]


@pytest.mark.parametrize(("row", "cell"), ROWS, ids=[row for row, _ in ROWS])
def test_every_test_that_is_named_exists(row, cell):
    assert missing(cell) == []


@pytest.mark.parametrize("cell", ["`server/test_json.py::test_nothing`", "`server/none.py::test_depth`", "later", ""])
def test_what_is_missing_is_found(cell):
    assert missing(cell)
