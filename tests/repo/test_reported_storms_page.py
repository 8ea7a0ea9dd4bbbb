"""docs/reported-storms.md has each case that another page or a test names by its number."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reported-storms.md"
_ROW = re.compile(r"^\| (\d+) \|", re.MULTILINE)
_NAMED = re.compile(r"\bcase[ _](\d+)\b", re.IGNORECASE)


def test_each_case_that_is_named_somewhere_has_a_row() -> None:
    rows = set(_ROW.findall(PAGE.read_text(encoding="utf-8")))
    sources = [
        *(ROOT / "docs").glob("*.md"),
        *(path for path in (ROOT / "tests").rglob("test_*.py") if "reported-storms" in path.read_text(encoding="utf-8")),
    ]
    named = {number: path for path in sources for number in _NAMED.findall(path.read_text(encoding="utf-8"))}
    assert len(named) >= 8
    missing = {number: str(path.relative_to(ROOT)) for number, path in named.items() if number not in rows}
    assert not missing, missing
