"""docs/security.md: every test that it names is there, and every row of a table names one."""

from __future__ import annotations

import ast
import re

import pytest
from checkout import CHECKOUT

PAGE = (CHECKOUT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("|--")]


@pytest.mark.parametrize("named", NAMED)
def test_a_named_test_exists(named: str) -> None:
    path, _, test = named.partition("::")
    file = CHECKOUT / path
    assert file.exists()
    if test:
        found = ast.walk(ast.parse(file.read_text()))
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        assert test in {node.name for node in found if isinstance(node, functions)}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_a_test(row: str) -> None:
    *_, test, _ = row.split("|")
    assert "`tests/" in test or test.strip() == "test"
