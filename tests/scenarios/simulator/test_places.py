"""The numbers by which the loop finds everything."""

import ast
from collections import Counter
from pathlib import Path

from scenarios.simulator.loop import at


def _assigned() -> list[str]:
    found = []
    for statement in ast.parse(Path(at.__file__).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign):
            found += [
                node.id
                for target in statement.targets
                for node in ast.walk(target)
                if isinstance(node, ast.Name)
            ]
    return found


def test_no_name_stands_for_two_numbers() -> None:
    assert {name: count for name, count in Counter(_assigned()).items() if count > 1} == {}
