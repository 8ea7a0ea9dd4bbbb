import re
from xml.etree import ElementTree

import pytest

from reports.figures.layout import NARROW, NORMAL, WIDE, Layout
from reports.figures.palette import COLOURS
from reports.figures.timeline import figure, svg
from tests.support.acted_runs import incident
from tests.support.compared_runs import two_by_two
from tests.support.histories import history, storm

LAYOUTS = {"normal": NORMAL, "wide": WIDE, "narrow": NARROW}


def drawn(layout: Layout) -> ElementTree.Element:
    return ElementTree.fromstring(svg(figure(two_by_two(2), layout), "alt"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_figure_has_the_width_of_its_layout(name: str) -> None:
    _, _, width, height = map(float, str(drawn(LAYOUTS[name]).get("viewBox")).split())
    assert width == pytest.approx(72 * LAYOUTS[name].width_in)
    assert height > 72 * LAYOUTS[name].panels_in


@pytest.mark.parametrize("name", LAYOUTS)
def test_whatever_has_the_colour_of_an_arm_is_in_a_group_of_that_arm(name: str) -> None:
    found = 0
    for index, colour in enumerate(COLOURS[:4]):
        for path in paths(drawn(LAYOUTS[name])):
            if colour.lower() in str(path[-1].get("style")):
                groups = [str(part.get("data-arms")) for part in path if part.get("data-arms")]
                assert str(index) in groups[-1].split("-"), ElementTree.tostring(path[-1])
                found += 1
    assert found > 4 * 10


def test_the_words_at_a_mark_belong_to_the_arms_that_have_it() -> None:
    text = svg(figure(incident()), "alt")
    root = ElementTree.fromstring(text)
    owners = {
        str(path[-1].text): [part.get("data-arms") for part in path if part.get("data-arms")]
        for path in paths(root)
        if path[-1].text and path[-1].text.strip()
    }
    assert owners["trigger: burst ×4 for 4 s"] == []
    assert owners["limit per-ip"] == ["3"]
    assert any("-" in str(*own) for own in owners.values() if own)
    assert not re.search(r'\bid="arms', text)


def test_a_short_phase_has_no_name_that_lies_on_another_one() -> None:
    short = {layout: figure([history(storm(100.0, to_s=200))], layout) for layout in (WIDE, NARROW)}
    names = {
        layout: {text.get_text() for text in found.axes[0].texts} & {"before", "during", "after"}
        for layout, found in short.items()
    }
    assert names == {WIDE: {"before", "during", "after"}, NARROW: {"during", "after"}}


@pytest.mark.parametrize("recovered_s", [1, 60, 110, 130, 165])
def test_the_words_at_a_recovery_stay_inside_their_panel(recovered_s: int) -> None:
    rows = storm(lambda t: 100.0 if t >= 8 + recovered_s else 5.0, to_s=205)
    found = figure([history(rows, arm="incident + per-ip")], NARROW)
    (words,) = (text for text in found.axes[1].texts if "recovered after" in text.get_text())
    found.draw_without_rendering()
    box, panel = words.get_window_extent(), found.axes[1].get_window_extent()
    assert panel.x0 - 2 <= box.x0
    assert box.x1 <= panel.x1 + 2


@pytest.mark.parametrize("name", ["wide", "normal"])
@pytest.mark.parametrize("arm", ["naive", "incident + per-ip", "incident + circuit-breaker + per-ip-and-pod"])
def test_the_legend_stays_inside_the_figure(name: str, arm: str) -> None:
    runs = [history(storm(100.0), arm=f"{arm} {number}") for number in range(4)]
    found = figure(runs, LAYOUTS[name])
    found.draw_without_rendering()
    (legend,) = found.legends
    assert legend.get_window_extent().x1 <= found.bbox.x1


def paths(part: ElementTree.Element) -> list[list[ElementTree.Element]]:
    """Every element of a tree, with those that it is in before it."""
    return [[part], *([part, *below] for child in part for below in paths(child))]
