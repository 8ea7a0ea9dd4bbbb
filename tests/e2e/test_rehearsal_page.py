"""The report on a rehearsal in a real browser: on a desk, on a phone, on paper, and for who cannot see it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from reports.rehearsal import write_rehearsal, write_rehearsals
from reports.rehearsal.page import CHAPTERS
from tests.support.acted_runs import LIMIT, PUSH, SCALE
from tests.support.chromium import DESKTOP, PAPER, PHONE, Opened, assert_alone_and_fitting, chromium
from tests.support.rehearsals import REHEARSALS, rehearsed

pytestmark = [pytest.mark.e2e, pytest.mark.needs_chromium]

SIZES = {"on a desk": DESKTOP, "on a phone": PHONE, "on paper": PAPER}
PAGES = ("one rehearsal", "three rehearsals", "hostile")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The HTML of each report."""
    older = rehearsed(None, SCALE, started_utc="2026-09-25T20:00:00Z")
    old = rehearsed(None, SCALE, PUSH, started_utc="2026-10-25T20:00:00Z")
    latest = rehearsed(26, SCALE, PUSH, LIMIT, limited=3.0)
    folders = {name: tmp_path_factory.mktemp("page") for name in PAGES}
    return {
        "one rehearsal": write_rehearsal(latest, folders["one rehearsal"]).html,
        "three rehearsals": write_rehearsals([older, old, latest], folders["three rehearsals"]).html,
        "hostile": write_rehearsal(REHEARSALS["hostile"](), folders["hostile"]).html,
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_nobody_for_anything_complains_of_nothing_and_fits(
    name: str, size: str, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages[name], SIZES[size])
    if size == "on paper":
        opened.page.emulate_media(media="print")
    assert_alone_and_fitting(opened, pages[name])
    opened.page.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize(("name", "figures"), [("one rehearsal", 1), ("three rehearsals", 2)])
def test_every_figure_and_every_chapter_is_there(
    name: str, figures: int, scripts: bool, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages[name], DESKTOP, java_script_enabled=scripts)
    drawings = opened.page.locator("figure svg[role=img]")
    assert drawings.count() == figures
    for number in range(figures):
        box = drawings.nth(number).bounding_box()
        assert box is not None
        assert box["width"] > 600
        assert box["height"] > 600
        assert len(drawings.nth(number).get_attribute("aria-label") or "") > 100
    headings = opened.page.locator("h2").all_inner_texts()
    assert [heading for heading in headings if heading in CHAPTERS] == [*CHAPTERS]
    opened.page.close()


@pytest.mark.parametrize("size", ["on a desk", "on a phone"])
@pytest.mark.parametrize("name", PAGES)
def test_no_rule_of_accessibility_is_broken(
    name: str, size: str, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages[name], SIZES[size])
    found = Axe().run(opened.page)
    assert found.violations_count == 0, found.generate_report()
    opened.page.close()


def test_the_tables_that_are_too_wide_for_a_phone_scroll_for_themselves(
    browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages["three rehearsals"], PHONE)
    overflowing = opened.page.evaluate(
        """[...document.querySelectorAll("main *")]
            .filter(part => part.getBoundingClientRect().right > innerWidth + 1)
            .filter(part => !part.closest(".scroll") && !part.closest("pre"))
            .map(part => `${part.tagName}: ${part.textContent.slice(0, 80)}`)"""
    )
    assert overflowing == []
    opened.page.close()


def test_it_prints_with_everything_on_its_pages(browser: Browser, pages: dict[str, Path]) -> None:
    opened = Opened(browser, pages["three rehearsals"], PAPER)
    printed = opened.page.pdf(format="A4")
    assert printed.startswith(b"%PDF-")
    assert opened.complaints == []
    opened.page.close()
