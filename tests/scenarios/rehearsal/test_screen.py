"""What a rehearsal shows while it goes on."""

from collections.abc import Mapping
from typing import Any

import pytest

from reports.rundir.schema import PreCheck
from scenarios.rehearsal.decisions import options
from scenarios.rehearsal.screen import plain_event, plain_second, question, screen, sparkline
from scenarios.rehearsal.state import DashboardState
from scenarios.runner.operator import Row
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build


def script(**changes: Any) -> Scenario:
    table: dict[str, Any] = {
        "fleet": {"clients": 200},
        "event": [
            {"do": "drop_all", "at_s": 4},
            {"do": "scale", "at_s": 20, "pods": 9},
            {"do": "push_policy", "at_s": 30, "policy": "incident"},
        ],
        "phases": {
            "duration_s": 90,
            "during_s": 10,
            "recovery_window_s": 5,
            "rescue_at_s": 60,
            "rescue_s": 13,
        },
        "hypothesis": {"metric": "time_to_recover_s", "operator": "<=", "bound": 20, "statement": "It ends."},
        "slo": [
            {"metric": "availability", "phase": "before", "operator": ">=", "bound": 0.99},
            {"metric": "availability", "phase": "during", "operator": ">=", "bound": 0.5},
            {"metric": "availability", "phase": "after", "operator": ">=", "bound": 0.5},
            {"metric": "effective_p99_ms", "phase": "during", "operator": "<=", "bound": 500},
            {"metric": "gave_up", "operator": "<=", "bound": 0},
        ],
        **changes,
    }
    return build(table, source="test")


def told(name: str, details: Mapping[str, Any]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in details.items())])


def second(t_s: int, share: float = 1.0) -> Row:
    return {
        "t_s": t_s,
        "clients": 200,
        "connected": int(200 * share),
        "useful": 200 * share,
        "attempts": 0 if share == 1.0 else 310,
        "limited": 12,
        "gave_up": 0,
        "fanout_p99_ms": 80.4,
        "staleness_p99_ms": 279.0 if share == 1.0 else 12_345.0,
        "pod_cpu": 0.25,
        "pod_loop": 1.0,
    }


def dashboard(*shares: float, **changes: Any) -> DashboardState:
    """The clients are dropped at second 4."""
    found = DashboardState(script(**changes), told)
    found.rows += [second(t_s, share) for t_s, share in enumerate(shares)]
    if len(shares) > 4:
        details = {"kind": "fault", "phase": "begin", "at_s": 4, "dropped": 200}
        found.add_event(4.05, "drop_all", details)
        found.add_event(4.06, "drop_all", {**details, "phase": "end"})
        found.trigger_end_s = 4
    return found


STORM = (*[1.0] * 4, *[0.05] * 8)


def test_before_anything_is_known_there_is_a_screen_already() -> None:
    text = screen(dashboard(), width=100).plain
    assert "nothing measured yet" in text
    assert "drop_all, in 4 s" in text
    assert plain_second(dashboard()) == ""


def test_the_numbers_that_matter_are_there_with_their_history() -> None:
    lines = {
        line[:24].strip(): line[24:].split()
        for line in screen(dashboard(*STORM), width=100).plain.split("\n")
    }
    assert lines["served"] == ["5.0", "%", "████▁▁▁▁▁▁▁▁"]
    assert lines["connected"] == ["10", "████▁▁▁▁▁▁▁▁"]
    assert lines["attempts"] == ["310/s", "▁▁▁▁████████"]
    assert lines["refusals"][0] == "12/s"
    assert lines["fan-out p99"][:2] == ["80", "ms"]
    assert lines["age of newest tick, p99"][:2] == ["12", "s"]
    assert lines["pod CPU"] == ["25", "%", "▃" * 12]
    assert lines["pod loop"] == ["100", "%", "█" * 12]


def test_what_has_happened_is_above_what_comes() -> None:
    text = screen(dashboard(*STORM), width=100).plain
    places = [
        text.index(part)
        for part in (
            "4.0 s  fault: drop_all dropped=200\n",
            "4.1 s  fault: drop_all dropped=200 ended",
            "20.0 s  scale pods=9, in 7 s",
            "30.0 s  push_policy policy=incident reach_s=5.0, in 17 s",
            "60.0 s  rescue, if less than 90 % served, in 47 s",
            "90.0 s  end of the run, at the latest, in 77 s",
        )
    ]
    assert places == sorted(places)


def test_a_run_without_a_rescue_has_none_to_come() -> None:
    phases = {"duration_s": 90, "during_s": 10, "rescue_at_s": 0}
    assert "rescue" not in screen(dashboard(*STORM, phases=phases), width=100).plain


def slos(found: DashboardState) -> dict[str, tuple[str, str]]:
    return {slo.text: (slo.state, slo.found) for slo in found.slos()}


def test_slos_stand_as_the_seconds_so_far_say() -> None:
    assert slos(dashboard(*STORM)) == {
        "hypothesis: time to recover ≤ 20 s, from the trigger’s end": ("undecided", "8 s so far"),
        "availability ≥ 99 %, before": ("met", "100 %"),
        "availability ≥ 50 %, during": ("violated", "5.0 %"),
        "availability ≥ 50 %, after": ("undecided", ""),
        "effective p99 ≤ 500 ms, during": ("undecided", ""),
        "clients that gave up for good ≤ 0, from the trigger on": ("met", "0"),
    }
    text = screen(dashboard(*STORM), width=100).plain
    assert "✓ availability ≥ 99 %, before: 100 %" in text
    assert "✗ availability ≥ 50 %, during: 5.0 %" in text


@pytest.mark.parametrize(
    ("shares", "found"),
    [
        pytest.param([1.0] * 3, ("undecided", ""), id="before the fault"),
        pytest.param([*STORM, *[0.05] * 13], ("violated", "21 s so far"), id="too late already"),
        pytest.param([*STORM, *[1.0] * 3], ("undecided", "8 s so far"), id="back, but not for long"),
        pytest.param(
            [*STORM, *[0.05] * 8, *[1.0] * 4], ("undecided", "16 s so far"), id="back in time, if it lasts"
        ),
        pytest.param([*STORM, *[1.0] * 9], ("met", "8 s"), id="back for as long as it takes to count"),
    ],
)
def test_the_recovery_is_told(shares: list[float], found: tuple[str, str]) -> None:
    assert slos(dashboard(*shares))["hypothesis: time to recover ≤ 20 s, from the trigger’s end"] == found


def test_no_event_is_to_come_in_a_rescue() -> None:
    found = dashboard(*STORM)
    found.add_event(13, "rescue", {"policy": "spread"})
    assert {happening.kind for happening in found.coming()} == {"rescue", "end"}


def test_what_a_rescue_achieves_counts_for_nothing() -> None:
    found = dashboard(*STORM, *[0.05] * 8)
    before = slos(found)
    found.add_event(20.05, "rescue", {"policy": "spread"})
    found.rows += [second(t_s, 1.0) for t_s in range(20, 40)]
    assert "not recovered; 100 % served since the rescue policy was pushed" in screen(found, width=120).plain
    assert slos(found) == {
        **before,
        "hypothesis: time to recover ≤ 20 s, from the trigger’s end": ("undecided", "16 s so far"),
    }


def test_what_was_checked_before_the_fault_is_known_from_then_on() -> None:
    found = dashboard(
        *STORM, slo=[{"metric": "effective_p99_ms", "phase": "before", "operator": "<=", "bound": 150}]
    )
    text = "effective p99 ≤ 150 ms, before"
    assert slos(found)[text] == ("undecided", "")
    for passed, state in ((True, "met"), (False, "violated")):
        name = "SLO: effective p99 before"
        found.prechecks = (PreCheck(name=name, wanted="≤ 150 ms", found="87.42 ms", passed=passed),)
        assert slos(found)[text] == (state, "87.42 ms")


def test_without_a_fault_everything_is_before() -> None:
    calm = DashboardState(script(event=[], phases={"rescue_at_s": 0}), told)
    calm.rows.append(second(0, 0.5))
    assert slos(calm)["availability ≥ 50 %, during"] == ("met", "50 %")


def test_a_scenario_without_slos_shows_none() -> None:
    assert "✓" not in screen(dashboard(*STORM, slo=[], hypothesis=None), width=100).plain


def test_a_question_shows_each_choice_with_its_key() -> None:
    asked = dashboard(*STORM)
    asked.options = options(asked.scenario, 4)
    assert "[s] scale to 9 pods" in screen(asked, width=160).plain
    assert "[w] wait" in question(asked.options).plain


def test_decisions_and_the_rescue_are_called_out() -> None:
    found = dashboard(*STORM)
    assert plain_event(found.add_decision(20.4, "scale to 9 pods")) == "    20.4 s  decision: scale to 9 pods"
    assert plain_event(found.add_event(60, "rescue", {"policy": "spread", "late_s": 0.05})) == (
        "    60.0 s  rescue: rescue policy=spread"
    )
    assert plain_event(found.add_event(0, "steady", {})) == "     0.0 s  steady"


def test_a_second_is_told_in_one_line() -> None:
    found = dashboard(*STORM)
    assert plain_second(found).startswith("    11 s  served 5.0 %  connected 10  attempts 310/s")
    assert "degraded" in plain_second(found)
    found.rows.append({"t_s": 12})
    assert "served –  connected –" in plain_second(found)


BARS: dict[str, tuple[list[float | None], float | None, str]] = {
    "nothing": ([], None, ""),
    "zeros": ([0.0, 0.0], None, "▁▁"),
    "up to the highest": ([0.0, 35.0, 70.0], None, "▁▅█"),
    "up to a given top": ([0.0, 0.5, 2.0, -1.0], 1.0, "▁▅█▁"),
    "gaps": ([None, 1.0], None, "·█"),
    "the last ones": ([9.0, *[1.0] * 5], None, "█████"),
}


@pytest.mark.parametrize(("values", "top", "bars"), BARS.values(), ids=BARS)
def test_numbers_become_bars(values: list[float | None], top: float | None, bars: str) -> None:
    assert sparkline(values, width=5, top=top) == bars
