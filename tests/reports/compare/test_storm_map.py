"""The load × trigger map: which runs make one, what each cell and each load is, and its words."""

from math import inf
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.metrics import PhaseSummary
from reports.analysis.validity import Validity
from reports.compare.comparable import ComparisonError
from reports.compare.map_text import map_headings, map_rows, map_sentences
from reports.compare.storm_map import DOWN, Cell, StormMap, storm_map
from reports.rundir.reader import Run
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import load
from scenarios.scenario.stability import stability
from tests.support.histories import scenario, strike
from tests.support.map_runs import LOADS, SHARES, control, drop, grid, judged_control, run, runs

STORM = grid("RRR", "RRR", "RRM", "RMM")


def mapped(made: list[Run]) -> StormMap:
    """The map of these runs, which there must be."""
    found = storm_map(made)
    assert found is not None
    return found


def regions(found: StormMap) -> list[str]:
    """The first letters of the regions of the cells, a word for each load."""
    return ["".join(cell.region[0] for cell in column) for column in found.cells]


def test_a_map_has_its_keys_and_its_values_in_order() -> None:
    found = mapped(list(reversed(runs(STORM))))
    assert (found.load_key, found.trigger_key) == ("fleet.clients", "event.0.share")
    assert found.trigger == "drop_share"
    assert tuple(point.value for point in found.loads) == LOADS
    assert found.triggers == SHARES
    assert [[(cell.load, cell.trigger) for cell in column] for column in found.cells] == [
        [(load, share) for share in SHARES] for load in LOADS
    ]


# Verdicts from the smallest trigger on: region, regions of the cells, smallest trigger that tipped it, why.
OF_A_LOAD: dict[str, tuple[str, str, float | None, str]] = {
    "RRR": ("stable", "sss", None, "recovered from every trigger"),
    "RRM": ("vulnerable", "vvm", 1.0, "steady without a trigger, but event.0.share = 1 left it down"),
    "MRR": ("vulnerable", "mvv", 0.25, "steady without a trigger, but event.0.share = 0.25 left it down"),
    "RFO": ("vulnerable", "vmm", 0.5, "steady without a trigger, but event.0.share = 0.5 left it down"),
    "RXM": ("vulnerable", "vum", 1.0, "steady without a trigger, but event.0.share = 1 left it down"),
    "RDM": ("vulnerable", "vum", 1.0, "steady without a trigger, but event.0.share = 1 left it down"),
    "RXR": ("unknown", "sus", None, "no valid run at event.0.share = 0.5"),
    "R..": ("unknown", "suu", None, "no valid run at event.0.share = 0.5 and 1"),
    "RRD": ("unknown", "ssu", None, "not yet recovered at the end at event.0.share = 1"),
    "XRD": (
        "unknown",
        "usu",
        None,
        "no valid run at event.0.share = 0.25; not yet recovered at the end at event.0.share = 1",
    ),
    "XXX": ("unknown", "uuu", None, "no valid run at event.0.share = 0.25, 0.5 and 1"),
}


@pytest.mark.parametrize("row", OF_A_LOAD)
def test_a_load_is_what_its_triggers_did_to_it(row: str) -> None:
    region, letters, tipped_by, why = OF_A_LOAD[row]
    found = mapped(runs(grid(row, "RRR", "RRR", "RRR")))
    assert (found.loads[0].region, found.loads[0].tipped_by, found.loads[0].why) == (region, tipped_by, why)
    assert regions(found) == [letters, "sss", "sss", "sss"]


def test_the_runs_of_a_cell_are_taken_together() -> None:
    made = [one for row in ("RMX", "RRX", "RXX", "DMX") for one in runs(grid(row, "RRR"))]
    first, second, third = mapped(made).cells[0]
    assert first == Cell(
        load=100,
        trigger=0.25,
        region="unknown",
        runs=4,
        valid=4,
        verdicts=("RECOVERED", "RECOVERED", "RECOVERED", "SLOW_DRAIN"),
        verdict="RECOVERED",
        unrecovered=0.25,
        down=0,
        s1=0.3125,
        s2=0.1375,
    )
    assert (second.runs, second.valid, second.down) == (4, 3, 2)
    assert (second.verdict, second.region, second.unrecovered) == ("METASTABLE", "metastable", 2 / 3)
    assert (third.runs, third.valid, third.verdict, third.unrecovered) == (4, 0, None, None)


def test_one_run_that_stayed_down_is_enough_for_a_load_to_be_vulnerable() -> None:
    made = [one for row in ("RRR", "RRM", "RRR") for one in runs(grid(row, "RRR"))]
    found = mapped(made)
    assert found.loads[0].region == "vulnerable"
    assert (found.cells[0][2].verdict, found.cells[0][2].region) == ("RECOVERED", "metastable")


TRUSTED, DOUBTFUL = Validity(True), Validity(False, ("the baseline is overloaded",))
DISTURBED = Validity(False, ("others had the cores",), invalidated_by_host=True)


def before(served: float | None, loop: float | None) -> PhaseSummary:
    """The numbers of a steady state."""
    return PhaseSummary(from_s=0, to_s=12, availability=served, pod_loop=loop)


CONTROLS: dict[str, tuple[list[Run], str]] = {
    "none": ([], "stable"),
    "one that holds": ([control(400)], "stable"),
    "one of another load that does not": ([judged_control(300, TRUSTED, useful=50)], "stable"),
    "one that does not hold": ([judged_control(400, TRUSTED, useful=50)], "overloaded"),
    "one that does not hold, and one that does": (
        [judged_control(400, TRUSTED, useful=50), control(400)],
        "unknown",
    ),
    "one with an overloaded baseline": (
        [judged_control(400, DOUBTFUL, before=before(1.0, 0.9))],
        "overloaded",
    ),
    "one in which not all were served": (
        [judged_control(400, DOUBTFUL, before=before(0.7, None))],
        "overloaded",
    ),
    "one that cannot be trusted for another reason": (
        [judged_control(400, DOUBTFUL, before=before(None, 0.2))],
        "unknown",
    ),
    "one without a steady state": ([judged_control(400, DOUBTFUL)], "unknown"),
    "one that others disturbed": ([judged_control(400, DISTURBED, before=before(0.5, 0.9))], "unknown"),
    "one that was interrupted": (
        [judged_control(400, DOUBTFUL, before=before(0.5, 0.9), status="interrupted")],
        "unknown",
    ),
}


@pytest.mark.parametrize("label", CONTROLS)
def test_a_load_is_overloaded_where_its_control_shows_that(label: str) -> None:
    controls, region = CONTROLS[label]
    found = mapped([*controls, *runs(grid("RRR", "RRR", "RRR", "RRR"))])
    assert found.loads[3].region == region
    letter = {"stable": "s", "overloaded": "o", "unknown": "u"}[region]
    assert regions(found)[3] == 3 * letter
    assert found.loads[0].region == "stable"


def made_of(**cells: Any) -> list[Run]:
    """Runs with those scenarios, by name of the arm."""
    return [run(100, 1.0, "RECOVERED", arm=arm, scenario=table) for arm, table in cells.items()]


def crossed(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[Run]:
    """A run for each pair of changes to the scenario, one from either list."""
    return made_of(
        **{f"arm{i}{j}": scenario(**a, **b) for i, a in enumerate(first) for j, b in enumerate(second)}
    )


SHARES_OF_TWO = [{"event": drop(0.5)}, {"event": drop(1.0)}]
TWO_LOADS = [{"fleet__clients": 100}, {"fleet__clients": 200}]
PUSH = {"at_s": 20.0, "do": "push_policy", "policy": "incident"}

NO_MAPS: dict[str, list[Run]] = {
    "one run": [run(100, 1.0, "RECOVERED")],
    "loads alone": made_of(a=scenario(**TWO_LOADS[0]), b=scenario(**TWO_LOADS[1])),
    "triggers alone": made_of(a=scenario(**SHARES_OF_TWO[0]), b=scenario(**SHARES_OF_TWO[1])),
    "two loads": crossed(TWO_LOADS, [{"feed__rate_hz": 5.0}, {"feed__rate_hz": 10.0}]),
    "a policy and a trigger": crossed(
        [{"fleet__policy": "naive"}, {"fleet__policy": "incident"}], SHARES_OF_TWO
    ),
    "a switch and a trigger": crossed(
        [{"gateway__cancel_gone": False}, {"gateway__cancel_gone": True}], SHARES_OF_TWO
    ),
    "a load and another event": crossed(
        TWO_LOADS, [{"event": drop(1.0)}, {"event": [{"at_s": 8.0, "do": "drop_all"}]}]
    ),
    "a load and the moment of a mitigation": crossed(
        TWO_LOADS, [{"event": [*drop(1.0), PUSH]}, {"event": [*drop(1.0), PUSH | {"at_s": 30.0}]}]
    ),
    "three keys": [
        *crossed(TWO_LOADS, SHARES_OF_TWO),
        run(100, 1.0, "RECOVERED", arm="third", scenario=scenario(feed__rate_hz=9.0, event=drop(1.0))),
    ],
    "a diagonal": [run(100, 0.5, "RECOVERED"), run(200, 1.0, "RECOVERED")],
}


@pytest.mark.parametrize("label", NO_MAPS)
def test_other_comparisons_are_no_map(label: str) -> None:
    assert storm_map(NO_MAPS[label]) is None


def test_any_numbers_will_do_for_the_two_keys() -> None:
    burst = [{"event": [{"at_s": 8.0, "do": "feed_burst", "factor": factor}]} for factor in (2.0, 4.0)]
    found = mapped(crossed([{"gateway__handshake_cpu_ms": cost} for cost in (5.0, 20.0)], burst))
    assert (found.load_key, found.trigger_key) == ("gateway.handshake_cpu_ms", "event.0.factor")
    assert found.trigger == "feed_burst"


def test_the_trigger_is_found_behind_a_condition() -> None:
    probes = {"at_s": 0.0, "do": "probes", "period_s": 1.0}
    found = mapped(
        [
            run(
                load, share, "RECOVERED", scenario=scenario(fleet__clients=load, event=[probes, *drop(share)])
            )
            for load in (100, 200)
            for share in (0.5, 1.0)
        ]
    )
    assert found.trigger_key == "event.1.share"


def test_a_fault_that_struck_first_although_another_was_planned_for_that_second_is_the_trigger() -> None:
    made = [run(load, share, "RECOVERED") for load in (100, 200) for share in (0.5, 1.0)]
    events = tuple(strike("kill_pod", "fault", 8.0))
    assert storm_map([msgspec.structs.replace(one, events=events) for one in made]) is None


def test_an_interrupted_comparison_is_a_map_from_its_second_load_on() -> None:
    found = mapped(runs(grid("RRR", "M..")))
    assert regions(found) == ["sss", "muu"]
    assert found.cells[1][1] == Cell(
        load=200,
        trigger=0.5,
        region="unknown",
        runs=0,
        valid=0,
        verdicts=(),
        verdict=None,
        unrecovered=None,
        down=0,
        s1=None,
        s2=None,
    )


def test_runs_that_must_not_be_compared_make_no_map_either() -> None:
    made = runs(grid("RR.", "RR."))
    made[-1].info.machine = {"cores": 64}
    with pytest.raises(ComparisonError, match="machine: cores is"):
        storm_map(made)


def test_what_is_null_in_the_record_is_infinite_and_what_is_missing_is_not_known() -> None:
    infinite = mapped(runs(grid("RR.", "RR."), stability={"s1": [None], "s2": None})).cells[0][0]
    assert (infinite.s1, infinite.s2) == (inf, inf)
    unknown = mapped(runs(grid("RR.", "RR."), stability={})).cells[0][0]
    assert (unknown.s1, unknown.s2) == (None, None)


ROWS = st.lists(st.text("RDMOFX.", min_size=3, max_size=3), min_size=2, max_size=4)


@given(ROWS)
def test_regions_agree_with_each_other_whatever_the_verdicts(rows: list[str]) -> None:
    made = runs(grid(*rows))
    found = storm_map(made) if made else None
    if found is None:
        return
    for point, column in zip(found.loads, found.cells, strict=True):
        there = {cell.region for cell in column}
        assert point.region != "metastable"
        assert (point.region == "vulnerable") == ("metastable" in there) == (point.tipped_by is not None)
        assert (point.region == "stable") == (there == {"stable"})
        assert ("vulnerable" in there) <= (point.region == "vulnerable")
        for cell in column:
            assert (cell.region == "metastable") == bool(DOWN & set(cell.verdicts)) == (cell.down > 0)
            assert (cell.verdict is None) == (cell.unrecovered is None) == (cell.valid == 0)


def test_a_map_reads_as_a_table() -> None:
    found = mapped([*runs(STORM), run(400, 1.0, "RECOVERED", round=2)])
    assert map_headings(found) == (
        "fleet.clients",
        "event.0.share = 0.25",
        "event.0.share = 0.5",
        "event.0.share = 1",
        "region",
    )
    rows = map_rows(found)
    assert [row.load for row in rows] == ["100", "200", "300", "400"]
    assert [row.region for row in rows] == ["stable", "stable", "vulnerable", "vulnerable"]
    assert rows[3].cells == (
        "RECOVERED (S1 1.2, S2 0.55)",
        "METASTABLE (S1 2.5, S2 1.1)",
        "METASTABLE, 1 of 2 down (S1 5.0, S2 2.2)",
    )
    assert rows[3].why == "steady without a trigger, but event.0.share = 0.5 left it down"


def test_a_table_says_where_nothing_is_known() -> None:
    rows = map_rows(mapped(runs(grid("RXR", "RR."), stability={"s1": [None], "s2": None})))
    assert rows[0].cells[1] == "no valid run (S1 ∞, S2 ∞)"
    assert rows[1].cells[2] == "no run (S1 –, S2 –)"


def test_sentences_name_the_loads_and_count_what_the_stability_numbers_foretold() -> None:
    assert map_sentences(mapped(runs(STORM))) == (
        "Stable at fleet.clients = 100 and 200.",
        "Vulnerable at fleet.clients = 300 (does not recover from 1) and 400 (does not recover from 0.5).",
        "Stayed down: 3 of 8 cells with S1 above 1, and 0 of 4 cells with S1 at 1 or below.",
        "Stayed down: 3 of 4 cells with S2 above 1, and 0 of 8 cells with S2 at 1 or below.",
    )


def test_sentences_leave_out_what_is_not_known() -> None:
    assert map_sentences(mapped(runs(grid("RRX", "RRX"), stability={"s1": [0.5]}))) == (
        "Unknown at fleet.clients = 100 and 200.",
        "Stayed down: 0 of 4 cells with S1 at 1 or below.",
    )
    assert map_sentences(mapped(runs(grid("RXX", "XXX"), stability={"s1": [2.0]}))) == (
        "Unknown at fleet.clients = 100 and 200.",
        "Stayed down: 0 of 1 cell with S1 above 1.",
    )


def test_the_map_of_the_catalogue_is_one_and_both_lines_cross_it() -> None:
    made = []
    for label, arm in arms(load("storm-map")).items():
        table = msgspec.json.decode(msgspec.json.encode(arm))
        numbers = msgspec.json.decode(msgspec.json.encode(stability(arm)))
        at_s = int(arm.trigger_s or 0)
        made.append(run(1, 1.0, "RECOVERED", arm=label, scenario=table, stability=numbers, trigger_s=at_s))
    found = mapped(made)
    assert (found.load_key, found.trigger_key) == ("fleet.clients", "event.0.share")
    assert tuple(point.value for point in found.loads) == (100, 200, 400)
    assert found.triggers == SHARES
    cells = [cell for column in found.cells for cell in column]
    assert {(cell.s1 or 0) > 1 for cell in cells} == {True, False}
    assert {(cell.s2 or 0) > 1 for cell in cells} == {True, False}
