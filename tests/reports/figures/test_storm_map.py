"""The figure of a load × trigger map."""

from itertools import pairwise
from math import inf, isnan, log
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from reports.analysis.metrics import PhaseSummary
from reports.analysis.validity import Validity
from reports.analysis.verdict import RANKED
from reports.compare.storm_map import REGIONS, StormMap, storm_map
from reports.figures.palette import INK
from reports.figures.storm_map import (
    DARK_FILLS,
    FILLS,
    HATCHED,
    LIGHT_INK,
    MARKS,
    level_line,
    map_alt_text,
    map_figure,
)
from reports.figures.timeline import svg
from reports.rundir.reader import Run
from tests.support.map_runs import LOADS, control, grid, judged_control, run, runs

OVERLOAD = PhaseSummary(from_s=0, to_s=12, availability=1.0, pod_loop=0.9)
MAPS: dict[str, list[Run]] = {
    "one round": [*map(control, LOADS), *runs(grid("RRR", "RRR", "RRM", "RMM"))],
    "rounds, with all verdicts and regions": [
        judged_control(400, Validity(False, ("overloaded",)), before=OVERLOAD),
        *runs(grid("RRD", "RXF", "OMM", "RRR")),
        *runs(grid("RRR", "RXM", "MMM", "RRR")),
    ],
    "a small one": runs(grid("RR.", "RM.")),
    "interrupted": runs(grid("RRR", "M..")),
    "no stability numbers": runs(grid("RRR", "RRM"), stability={}),
    "some of them infinite": runs(grid("RRR", "RRM"), stability={"s1": [None], "s2": 0.0}),
    "infinite for one load": [
        *runs(grid("RRR")),
        *(run(200, share, "METASTABLE", stability={"s1": [None], "s2": None}) for share in (0.25, 0.5, 1.0)),
    ],
}


def mapped(name: str) -> StormMap:
    """The map of that name."""
    found = storm_map(MAPS[name])
    assert found is not None
    return found


def drawn(name: str) -> str:
    """The map of that name as SVG."""
    found = mapped(name)
    return svg(map_figure(found), map_alt_text(found))


@pytest.mark.parametrize("name", MAPS)
def test_every_map_can_be_drawn_and_is_the_same_every_time(name: str) -> None:
    drawing = drawn(name)
    ElementTree.fromstring(drawing)
    assert drawing == drawn(name)


@pytest.mark.parametrize("name", MAPS)
def test_values_verdicts_and_regions_are_written_out(name: str) -> None:
    found, drawing = mapped(name), drawn(name)
    for point in found.loads:
        assert f">{point.value:g}<" in drawing
        assert f">{point.region}<" in drawing
    for column in found.cells:
        for cell in column:
            assert f">{cell.verdict or ('no valid run' if cell.runs else 'no run')}<" in drawing
            assert f">{cell.region}: {REGIONS[cell.region]}<" in drawing
    assert ">load: fleet.clients<" in drawing
    assert ">trigger: event.0.share (drop_share)<" in drawing


LINES = {
    "one round": ("S1 = 1", "S2 = 1"),
    "no stability numbers": ("S1 is not known", "S2 is not known"),
    "some of them infinite": ("S1 is above 1 everywhere", "S2 is at most 1 everywhere"),
    "infinite for one load": ("S1 = 1", "S2 = 1"),
}


@pytest.mark.parametrize("name", LINES)
def test_the_legend_says_where_the_lines_are(name: str) -> None:
    drawing = drawn(name)
    for words in LINES[name]:
        assert f">{words}<" in drawing


def test_the_lines_are_drawn_only_where_they_cross_the_map() -> None:
    assert len(map_figure(mapped("one round")).axes[0].collections) == 2
    assert len(map_figure(mapped("some of them infinite")).axes[0].collections) == 0


def test_a_tally_is_written_where_there_are_several_runs() -> None:
    drawing = drawn("rounds, with all verdicts and regions")
    assert ">2 of 2 down<" in drawing
    assert ">0 of 2 down<" in drawing
    assert " of 1 down<" not in drawn("one round")


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.1, 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast ratio after WCAG 2.1, 1 to 21."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_regions_can_be_told_apart_in_grey() -> None:
    plain = sorted(luminance(FILLS[region]) for region in REGIONS if region not in HATCHED)
    ratios = [(high + 0.05) / (low + 0.05) for low, high in pairwise(plain)]
    assert min(ratios) > 1.4
    assert set(FILLS) == set(REGIONS)


@pytest.mark.parametrize("region", FILLS)
def test_words_can_be_read_on_every_fill(region: str) -> None:
    fills = {name: (fill, LIGHT_INK if name in DARK_FILLS else INK) for name, fill in FILLS.items()}
    assert contrast(*{str(name): pair for name, pair in fills.items()}[region]) > 4.5


def test_every_verdict_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == {*RANKED, None}
    marks = [MARKS[name] for name in ("RECOVERED", "SLOW_DRAIN", "FLAPPING", "METASTABLE", "OUTAGE")]
    assert len(set(marks)) == len(marks)


def test_an_alternative_text_says_what_every_cell_is() -> None:
    text = map_alt_text(mapped("a small one"))
    assert text == (
        "A map of load against the size of the trigger, drop_share. fleet.clients 100 is stable "
        "(event.0.share 0.25: RECOVERED, S1 0.31, S2 0.14; event.0.share 0.5: RECOVERED, S1 0.62, S2 0.28). "
        "fleet.clients 200 is vulnerable (event.0.share 0.25: RECOVERED, S1 0.62, S2 0.28; event.0.share "
        "0.5: METASTABLE, S1 1.2, S2 0.55)."
    )


SIZES = st.integers(min_value=2, max_value=6)
FACTORS = st.floats(min_value=1.1, max_value=3.0)


@given(SIZES, SIZES, FACTORS, FACTORS)
def test_a_line_goes_through_the_middles_of_cells_and_on_to_the_edges(
    loads: int, triggers: int, by_load: float, by_trigger: float
) -> None:
    numbers = [[0.1 * by_load**i * by_trigger**j for j in range(triggers)] for i in range(loads)]
    across, up, logs = level_line(numbers)
    assert list(across) == [-0.5, *range(loads), loads - 0.5]
    assert list(up) == [-0.5, *range(triggers), triggers - 0.5]
    expected = log(0.1) + across[:, None] * log(by_load) + up[None, :] * log(by_trigger)
    np.testing.assert_allclose(logs, expected, atol=1e-9)


def test_what_is_infinite_or_nothing_is_far_away_and_what_is_not_known_stays_so() -> None:
    _, _, logs = level_line([[inf, 1.0], [0.0, 1.0]])
    assert logs[1, 1] == 9.0
    assert logs[2, 1] == -9.0
    _, _, logs = level_line([[None, 1.0], [2.0, 1.0]])
    assert isnan(logs[1, 1])
    assert not isnan(logs[2, 2])
