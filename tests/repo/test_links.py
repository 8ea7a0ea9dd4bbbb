"""What a page links to exists, and so does every file of this repository that it names."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "deploy", "docs", "examples", "gateway_stub", "nginx", "reconnect_storm", "reports", "scenarios",
    "tests", "tools",
)  # fmt: skip
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.md")
        if "node_modules" not in path.parts
    ),
]

OF_A_RUN = {"nginx/gateway.conf", "nginx/gateway.yaml"}
"""Files of a run directory, which has a folder `nginx/` as this repository has."""

TO_BE_WRITTEN = {"no_op.py", "my_policy.py"}
"""Modules that a page tells its reader to write."""

OF_AN_INSTALLATION = {"reconnect_storm/packages"}
"""A folder that only an installed package has."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_QUOTED = re.compile(r"`([^`\s]+)`")
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return _CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    """Where headings can be linked to, as GitHub makes it from their text."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def modules() -> set[str]:
    return {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


def is_missing(quoted: str) -> bool:
    """Whether a text in backticks names a file or folder of this repository that is not in it."""
    path = re.split("::|#", quoted)[0].rstrip("/")
    if path in OF_A_RUN | TO_BE_WRITTEN | OF_AN_INSTALLATION or re.search(r"[^\w./-]", path):
        return False
    if "/" in path and path.split("/")[0] in FOLDERS:
        return not (ROOT / path).exists() and not TO_BE_WRITTEN & {Path(path).name}
    return bool(re.fullmatch(r"\w+\.py", path)) and path not in modules()


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert [quoted for quoted in _QUOTED.findall(prose(page)) if is_missing(quoted)] == []


NAMED = {
    "a file": ("scenarios/policies/backoff.py", False),
    "a file that is gone": ("scenarios/backoffs.py", True),
    "a folder": ("tests/e2e/", False),
    "a module by its name alone": ("backoff.py", False),
    "a module that is gone, by its name alone": ("backoffs.py", True),
    "a file of a run": ("nginx/gateway.conf", False),
    "a pattern": ("docs/*.md", False),
    "a key of a scenario": ("fleet.policy", False),
}


@pytest.mark.parametrize(("quoted", "missing"), NAMED.values(), ids=NAMED)
def test_a_file_is_told_from_other_words_in_backticks(quoted: str, missing: bool) -> None:
    assert is_missing(quoted) is missing


def test_every_page_is_looked_at() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md", "nginx/README.md"} <= {*map(name_of, PAGES)}
