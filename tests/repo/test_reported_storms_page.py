"""docs/reported-storms.md has each case that another page or a test names by its number."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reported-storms.md"
_ROW = re.compile(r"^\| (\d+) \|", re.MULTILINE)
_NAMED = re.compile(r"\bcase[ _](\d+)\b", re.IGNORECASE)


def test_each_case_that_is_named_somewhere_has_a_row() -> None:
    rows = set(_ROW.findall(PAGE.read_text(encoding="utf-8")))
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "tests").rglob("test_*.py")]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    named = {
        number: page
        for page, text in texts.items()
        if page.suffix == ".md" or "reported-storms" in text
        for number in _NAMED.findall(text)
    }
    assert len(named) >= 8
    missing = {number: str(page.relative_to(ROOT)) for number, page in named.items() if number not in rows}
    assert not missing, missing
