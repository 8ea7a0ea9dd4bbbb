"""SVG text gets shorter, and looks the same."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reports.figures.compact import compact

DOCS = Path(__file__).parents[3] / "docs"

PATHS = {
    "straight line": ("M 0 10 L 5 10.04 L 10 9.96 L 20 10", "M0 10h20"),
    "corner": ("M 0 0 L 10.123456 0 L 10.123456 5.987654", "M0 0h10.1v6"),
    "slope": ("M 0 0 L 3 -4 L 6 0 ", "M0 0l3-4l3 4"),
    "closed": ("M 0 0 L 4 0 L 4 4 L 0 4 z ", "M0 0h4v4h-4z"),
    "two lines": ("M 0 0 L 4 0 M 0 9 L 4 9", "M0 0h4M0 9h4"),
    "there and back": ("M 0 0 L 10 0 L 0 0", "M0 0h10h-10"),
    "curve": ("M 0 1.5 C 0.397805 1.5 0.77937 1.341951 1 1", "M 0 1.5 C 0.4 1.5 0.78 1.34 1 1"),
    "short already": ("M0 10h20", "M0 10h20"),
}


@pytest.mark.parametrize(("path", "shorter"), PATHS.values(), ids=PATHS)
def test_a_path_keeps_its_corners_and_no_more_decimals_than_can_be_seen(path: str, shorter: str) -> None:
    assert compact(f'<path d="{path}"/>') == f'<path d="{shorter}"/>'


def test_rounding_errors_do_not_add_up_along_a_line() -> None:
    points = [(number * 1.04, 5 * (number % 2)) for number in range(500)]
    path = "M " + " L ".join(f"{x} {y}" for x, y in points)
    steps = re.findall(r"l([\d.]+)", compact(f'<path d="{path}"/>'))
    assert sum(map(float, steps)) == pytest.approx(points[-1][0], abs=0.05)


def copies(style: str) -> str:
    return f'<g>\n<use x="1.23456" y="2" style="{style}"/>\n<use x="3" y="4" style="{style}"/>\n</g>'


def test_copies_of_a_marker_have_their_style_once() -> None:
    assert compact(copies("fill: #fff")) == (
        '<g style="fill: #fff">\n<use x="1.23" y="2"/>\n<use x="3" y="4"/>\n</g>'
    )


def test_opacity_stays_at_each_copy_since_it_is_not_inherited() -> None:
    assert compact(copies("fill: #fff; opacity: 0.5")).count("opacity") == 2
    assert compact(copies("fill: #fff; fill-opacity: 0.5")).count("opacity") == 1


def test_a_figure_that_is_compact_stays_as_it_is() -> None:
    text = (DOCS / "agreement.svg").read_text(encoding="utf-8")
    assert compact(text) == text


@pytest.mark.parametrize("picture", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.stem)
def test_pictures_of_the_documentation_are_small_and_have_few_decimals(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert len(text.encode()) < 100_000
    assert re.findall(r'\bd="[^"]*\.\d{3}', text) == []
