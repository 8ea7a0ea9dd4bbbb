"""The report on a comparison in a real browser: by mouse, finger and keyboard, on paper, without scripts."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from reports.page.write import write_report
from reports.rundir.reader import Run
from tests.support.chromium import DESKTOP, PAPER, PHONE, Opened, assert_alone_and_fitting, chromium
from tests.support.compared_runs import HOSTILE, arm, two_by_two
from tests.support.histories import history

pytestmark = [pytest.mark.e2e, pytest.mark.needs_chromium]

WIDE: ViewportSize = {"width": 1920, "height": 1080}
SIZES = {"on a desk": DESKTOP, "on a wide screen": WIDE, "on a phone": PHONE, "on paper": PAPER}
REPORTS: dict[str, Callable[[], list[Run]]] = {
    "four arms": lambda: two_by_two(2),
    "nine arms": lambda: [arm(f"policy-{number} + none", number) for number in range(9)],
    "hostile": lambda: [arm(name, 3) for name in (HOSTILE, "</script><script>alert(1)</script>\u2028'\"")],
    "nothing recorded": lambda: [history([], status="interrupted", phases=(), latencies={})],
}
SHOWN = {"on a desk": "wide", "on a wide screen": "wide", "on a phone": "narrow", "on paper": "normal"}
"""Which size of the figure a page shows."""
A4_PX, MARGIN_PX = 1123, 57


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The HTML of each report."""
    return {
        name: write_report(runs(), tmp_path_factory.mktemp("report"))[1] for name, runs in REPORTS.items()
    }


@pytest.fixture
def page(browser: Browser, pages: dict[str, Path]) -> Iterator[Page]:
    """The report on four arms, on a desk."""
    opened = Opened(browser, pages["four arms"], DESKTOP)
    yield opened.page
    assert opened.complaints == []
    opened.page.close()


def point_at(page: Page, second: int) -> tuple[float, float]:
    """Where a second of the figure is on the screen, which is scrolled there."""
    data = json.loads(page.locator("#per-second").text_content() or "")
    chart = page.locator("#figure .chart:visible")
    chart.evaluate("chart => scrollBy(0, chart.getBoundingClientRect().top)")
    box = chart.bounding_box()
    assert box is not None
    left, right = (float(chart.get_attribute(f"data-{side}") or "") for side in ("left", "right"))
    share = (second + 0.5 - data["from_s"]) / (data["to_s"] - data["from_s"])
    return box["x"] + box["width"] * (left + share * (right - left)) / 100, box["y"] + 300


def texts(page: Page) -> list[list[str]]:
    """The panel's cells, row by row."""
    found: list[list[str]] = page.evaluate(
        """[...document.querySelectorAll(".panel tr")].map(row =>
            [...row.cells].map(cell => cell.textContent))"""
    )
    return found


def tables(page: Page) -> list[list[list[str]]]:
    """The cells of the tables of numbers per second: arm, second, cell."""
    found: list[list[list[str]]] = page.evaluate(
        """[...document.querySelectorAll("#numbers-per-second table")].map(table =>
            [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent)))"""
    )
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", REPORTS)
def test_a_page_asks_nobody_for_anything_complains_of_nothing_and_fits(
    name: str, size: str, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages[name], SIZES[size])
    if size == "on paper":
        opened.page.emulate_media(media="print")
    assert_alone_and_fitting(opened, pages[name])
    charts = opened.page.locator("#figure .chart:visible")
    assert charts.count() == 1
    assert charts.first.get_attribute("class") == f"chart {SHOWN[size]}"
    opened.page.close()


@pytest.mark.parametrize("size", ["on a desk", "on a wide screen", "on a phone"])
def test_the_figure_fills_the_width_of_the_page(size: str, browser: Browser, pages: dict[str, Path]) -> None:
    opened = Opened(browser, pages["four arms"], SIZES[size])
    box = opened.page.locator("#figure .chart:visible svg").bounding_box()
    assert box is not None
    assert box["width"] >= min(1600, SIZES[size]["width"] - 45)
    assert box["x"] >= 0
    opened.page.close()


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("size", ["on a desk", "on a phone"])
def test_no_rule_of_accessibility_is_broken(
    name: str, size: str, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages[name], SIZES[size])
    opened.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    found = Axe().run(opened.page)
    assert found.violations_count == 0, found.generate_report()
    opened.page.close()


def test_pointing_at_a_second_shows_the_numbers_of_all_arms(page: Page) -> None:
    page.mouse.move(*point_at(page, 3))
    assert page.locator(".panel p").inner_text() == "3 s from the trigger"
    arms = [run.info.arm for run in two_by_two()]
    found = texts(page)
    assert found[0] == ["", *arms]
    assert [row[0] for row in found[1:]] == [
        "effective p99", "fan-out p99", "served", "attempts", "refusals", "pod loop", "pod CPU",
    ]  # fmt: skip
    assert [row[1:] for row in found[1:]] == [[*row] for row in zip(*columns(page, 3), strict=True)]
    page.mouse.move(1, 1)
    assert not page.locator(".panel").is_visible()
    assert page.locator(".cursor:visible").count() == 0


def columns(page: Page, second: int) -> list[list[str]]:
    """What the tables have of one second, a list an arm."""
    return [rows[second + 8][1:] for rows in tables(page)]


def test_the_arrow_keys_walk_through_every_second(page: Page) -> None:
    page.locator("#figure").focus()
    assert not page.locator(".panel").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator(".panel p").inner_text() == "0 s from the trigger"
    page.keyboard.press("Home")
    rows = len(tables(page)[0])
    for number in range(rows):
        assert page.locator(".panel p").inner_text() == f"{number - 8} s from the trigger".replace("-", "−")
        found = [row[1:] for row in texts(page)[1:]]
        assert found == [[*row] for row in zip(*columns(page, number - 8), strict=True)]
        page.keyboard.press("ArrowRight")
    assert page.locator(".panel p").inner_text() == f"{rows - 9} s from the trigger"


KEYS = {"ArrowLeft": "−1 s", "PageDown": "10 s", "PageUp": "−8 s", "End": "53 s", "Home": "−8 s"}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_goes_so_far_from_the_trigger(key: str, page: Page) -> None:
    page.locator("#figure").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press(key)
    assert page.locator(".panel p").inner_text() == f"{KEYS[key]} from the trigger"
    page.keyboard.press("Escape")
    assert not page.locator(".panel").is_visible()


def test_the_panel_goes_when_the_figure_loses_the_focus(page: Page) -> None:
    page.locator("#figure").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert not page.locator(".panel").is_visible()


def test_the_keyboard_reaches_the_figure_the_boxes_and_the_tables(page: Page) -> None:
    reached: list[str] = []
    while "SUMMARY" not in reached and len(reached) < 30:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[-6:] == ["INPUT", "INPUT", "INPUT", "INPUT", "figure", "SUMMARY"]


def test_a_tap_shows_the_numbers_and_they_stay(browser: Browser, pages: dict[str, Path]) -> None:
    opened = Opened(browser, pages["four arms"], PHONE, has_touch=True)
    opened.page.touchscreen.tap(*point_at(opened.page, 20))
    panel = opened.page.locator(".panel")
    assert panel.locator("p").inner_text() == "20 s from the trigger"
    box = panel.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 375)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 375
    opened.page.locator("h3#verdicts").tap()
    assert not panel.is_visible()
    opened.page.close()


def test_an_arm_can_be_hidden_with_the_keyboard_and_comes_back(page: Page) -> None:
    own = page.locator('#figure .chart.wide [data-arms="1"]')
    shown = own.locator("visible=true").count()
    others = page.locator('#figure .chart.wide [data-arms="0"]').locator("visible=true").count()
    assert min(shown, others) > 5
    page.locator(".arms input").nth(1).focus()
    page.keyboard.press("Space")
    assert own.locator("visible=true").count() == 0
    assert page.locator('#figure .chart.wide [data-arms="0"]').locator("visible=true").count() == others
    page.mouse.move(*point_at(page, 3))
    assert texts(page)[0] == ["", "naive + none", "incident + none", "incident + per-ip"]
    assert [row[1:] for row in texts(page)[1:]] == [
        [*row] for row in zip(*(columns(page, 3)[place] for place in (0, 2, 3)), strict=True)
    ]
    page.locator(".arms input").nth(1).check()
    assert own.locator("visible=true").count() == shown
    page.locator(".arms input").nth(1).uncheck()
    page.reload()
    assert page.locator(".arms input:checked").count() == 4
    assert own.locator("visible=true").count() == shown


def test_a_mark_of_two_arms_goes_with_the_second_one(page: Page) -> None:
    both = page.locator('#figure .chart.wide [data-arms="0-1"]').locator("visible=true")
    assert both.count() > 0
    page.locator(".arms input").nth(0).uncheck()
    assert both.count() > 0
    page.locator(".arms input").nth(1).uncheck()
    assert both.count() == 0


def test_many_arms_are_rows(browser: Browser, pages: dict[str, Path]) -> None:
    opened = Opened(browser, pages["nine arms"], DESKTOP)
    opened.page.mouse.move(*point_at(opened.page, 2))
    found = texts(opened.page)
    assert found[0][:2] == ["", "effective p99"]
    assert [row[0] for row in found[1:]] == [f"policy-{number} + none" for number in range(9)]
    assert [row[1:] for row in found[1:]] == columns(opened.page, 2)
    box = opened.page.locator(".panel").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= DESKTOP["width"]
    opened.page.close()


def test_a_name_is_text_wherever_it_is_shown(browser: Browser, pages: dict[str, Path]) -> None:
    opened = Opened(browser, pages["hostile"], DESKTOP)
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    opened.page.mouse.move(*point_at(opened.page, 2))
    names = texts(opened.page)[0][1:]
    assert names[1] == "</script><script>alert(1)</script> '\""
    assert re.sub(r"\s", " ", names[0]) == re.sub(r"[\s\x07]", " ", HOSTILE)
    assert opened.page.locator("script").count() == 2
    assert dialogs == opened.complaints == []
    opened.page.close()


@pytest.mark.parametrize("size", ["on a desk", "on a phone"])
def test_without_scripts_the_figure_and_the_tables_are_there(
    size: str, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages["four arms"], SIZES[size], java_script_enabled=False)
    assert opened.page.locator("#figure svg:visible").count() == 1
    assert opened.page.locator(".arms:visible, #figure-keys:visible, .panel").count() == 0
    opened.page.locator("summary", has_text="Numbers per second").click()
    assert opened.page.locator("#numbers-per-second table:visible").count() == 4
    assert opened.page.locator("#figure[tabindex]").count() == 0
    opened.page.close()


@pytest.mark.parametrize("screen", ["on a desk", "on a phone"])
def test_on_paper_the_figure_is_on_one_page_and_no_panel(
    screen: str, browser: Browser, pages: dict[str, Path]
) -> None:
    opened = Opened(browser, pages["four arms"], SIZES[screen])
    page = opened.page
    page.mouse.move(*point_at(page, 2))
    assert page.locator(".panel").is_visible()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER["width"] - 2 * MARGIN_PX, "height": PAPER["height"]})
    assert page.locator(".panel:visible, .cursor:visible, .arms:visible, nav:visible").count() == 0
    box = page.locator("figure.timeline").bounding_box()
    assert box is not None
    assert box["height"] < A4_PX - 2 * MARGIN_PX - 60
    assert page.pdf(format="A4").startswith(b"%PDF-")
    assert opened.complaints == []
    page.close()
