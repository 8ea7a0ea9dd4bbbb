"""Which regressions a gate can see on a noisy host: the reference, the widening, and what is said."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.decision import decide
from reports.gate.measures import DEFAULT_KEYS, Gauge, gauges
from reports.gate.power import UNCHANGED
from reports.noise.estimate import HostNoise, deviation_here, estimates, rounds_for_all
from reports.noise.reference import REFERENCE, RUNS, SCENARIO, reference
from reports.noise.scatter import inconclusive_note, scatter
from reports.noise.text import advice, estimate_table
from tests.support.gate_runs import drawn, run, side
from tests.support.trends import pool

GAUGES = gauges()
QUIET = HostNoise(speed_variation=0.0, lateness_variation_ms=0.0)
ROUNDS = 5


def noise(speed: float | None = 0.0, late_ms: float | None = 0.0) -> HostNoise:
    return HostNoise(speed_variation=speed, lateness_variation_ms=late_ms)


@pytest.mark.parametrize("key", DEFAULT_KEYS)
def test_the_reference_is_that_of_the_recorded_runs(key: str) -> None:
    arms = pool().arms
    assert (pool().scenario, len(arms[UNCHANGED])) == (SCENARIO, RUNS)
    found = reference(key, arms[UNCHANGED], arms["handshake cost + 50 %"])
    for name in found.__struct_fields__:
        assert getattr(REFERENCE[key], name) == pytest.approx(getattr(found, name), rel=1e-3, abs=1e-4), name


def test_on_a_quiet_host_the_default_rounds_are_enough_for_nearly_all() -> None:
    found = {one.key: one for one in estimates(QUIET, GAUGES, ROUNDS)}
    assert found.keys() == set(DEFAULT_KEYS)
    # The pool's gates are inconclusive about this one, too (docs/gate.md).
    assert {key for key, one in found.items() if one.rounds != ROUNDS} <= {"pod_loop"}
    for one in found.values():
        assert one.deviation == one.quiet_deviation
        assert one.seen_from is not None
        assert one.seen_from >= one.least


def test_unknown_noise_widens_nothing() -> None:
    assert estimates(noise(None, None), GAUGES, ROUNDS) == estimates(QUIET, GAUGES, ROUNDS)


def test_a_cpu_of_varying_speed_widens_what_depends_on_the_cost_of_handshakes() -> None:
    found = {one.key: one for one in estimates(noise(speed=0.1), GAUGES, ROUNDS)}
    quiet = REFERENCE["pod_loop"].deviation
    assert found["pod_loop"].deviation == pytest.approx((quiet**2 + 0.072019**2) ** 0.5)
    assert found["attempts"].deviation > 9
    assert found["attempts_peak"].deviation == REFERENCE["attempts_peak"].deviation


def test_late_timers_widen_latencies_only() -> None:
    found = {one.key: one for one in estimates(noise(late_ms=40.0), GAUGES, ROUNDS)}
    widened = {key for key, one in found.items() if one.deviation > one.quiet_deviation}
    assert widened == {"effective_p99_after"}


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 300))
def test_more_noise_never_needs_fewer_rounds_and_never_shows_more(
    low: float, more: float, late: float
) -> None:
    before = estimates(noise(low, late), GAUGES, ROUNDS)
    after = estimates(noise(low + more, late), GAUGES, ROUNDS)
    for one, other in zip(before, after, strict=True):
        assert other.deviation >= one.deviation >= one.quiet_deviation
        assert (one.rounds or 1_000) <= (other.rounds or 1_000)
        assert (one.seen_from or 0) <= (other.seen_from or 0)


@given(st.sampled_from(GAUGES[1:]), st.floats(0, 1))
def test_a_deviation_is_at_least_that_of_the_reference(gauge: Gauge, speed: float) -> None:
    quiet = REFERENCE[gauge.key]
    assert deviation_here(noise(speed, 1.0), gauge, quiet) >= quiet.deviation


# -- what is said ----------------------------------------------------------------------------------


def test_the_table_has_units_and_says_more_than_a_hundred() -> None:
    table = estimate_table(estimates(noise(0.5, 10.0), GAUGES, ROUNDS), GAUGES, ROUNDS)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["pod loop during"][:2] == ("5 points and 10 %", "2.3 points")
    assert rows["pod loop during"][3] == "more than 100"
    assert rows["effective p99 after"][2].endswith(" ms")
    assert rows["disconnects"][2] == "0"
    assert rows["connection attempts"][1] == "0.82"
    assert table.headings[-1] == "seen from (5 rounds)"


ADVICE = {
    "quiet": (0.0, "6 rounds needed, more than the 5 of a gate by default. It adds rounds by itself"),
    "noisy": (0.05, "15 rounds needed: `gate --rounds 15`, or a quieter runner."),
    "hopeless": (0.9, "More than 100 rounds would be needed for availability"),
}


def test_few_noisy_measures_need_no_further_rounds() -> None:
    found = [one for one in estimates(QUIET, GAUGES, ROUNDS) if one.key != "pod_loop"]
    assert advice(found, ROUNDS, 8, SCENARIO)[0] == "5 rounds, the default of the gate, are enough."


@pytest.mark.parametrize(("speed", "said"), ADVICE.values(), ids=ADVICE)
def test_the_advice_names_what_to_do(speed: float, said: str) -> None:
    found = estimates(noise(speed), GAUGES, ROUNDS)
    lines = advice(found, ROUNDS, 8, SCENARIO)
    assert said in lines[0]
    assert lines[-1].endswith(f"`reconnect-storm gate {SCENARIO} --baseline {SCENARIO}`")
    assert (rounds_for_all(found) is None) == (speed == 0.9)


def test_the_advice_for_another_scenario_says_that_its_scatter_is_unknown() -> None:
    lines = advice(estimates(QUIET, GAUGES, ROUNDS), ROUNDS, 8, "mine.toml")
    assert any("the scatter of mine.toml on a quiet host is not known" in line for line in lines)
    assert lines[-1].endswith("gate mine.toml --baseline mine.toml`")


# -- the scatter of a gate's own runs --------------------------------------------------------------


def test_a_scatter_is_pooled_over_both_sides_without_their_difference() -> None:
    (gauge,) = (gauge for gauge in GAUGES if gauge.key == "attempts")
    sides = [[run(attempts=value) for value in values] for values in ((100, 102, 104), (200, 202, 204))]
    found = scatter(gauge, sides)
    assert found is not None
    assert found.deviation == pytest.approx(2.0)


@pytest.mark.parametrize("values", [(1, 2), (1, 2, None), (1, 2, [3])], ids=["few", "never", "a bound"])
def test_a_scatter_that_cannot_be_told_is_not_told(values: tuple[object, ...]) -> None:
    (gauge,) = (gauge for gauge in GAUGES if gauge.key == "time_to_recover_s")
    assert scatter(gauge, [[run(time_to_recover_s=value) for value in values]] * 2) is None


def test_an_inconclusive_gate_names_scatter_and_rounds() -> None:
    rng = random.Random(3)
    decision = decide(side(*drawn(rng, 6, noise=4)), side(*drawn(rng, 6, noise=4)), GAUGES)
    assert decision.outcome == "inconclusive"
    note = inconclusive_note(decision, GAUGES)
    assert note.startswith("Standard deviation between the runs of this gate: ")
    assert " points, so a new gate needs about " in note
    assert "rounds to exclude a regression of " in note
    assert "`reconnect-storm doctor --noise`" in note


def test_where_the_scatter_is_small_the_difference_is_the_reason() -> None:
    (gauge,) = (gauge for gauge in GAUGES if gauge.key == "attempts")
    before, after = (
        [run(attempts=center + offset) for offset in (-2, -1, 0, 1, 2, 3)] for center in (200, 220)
    )
    decision = decide(side(*before), side(*after), (gauge,))
    assert decision.outcome == "inconclusive"
    note = inconclusive_note(decision, (gauge,))
    assert "connection attempts 1.9, which 6 rounds allow for: the difference is near the minimum" in note
    assert "--rounds" not in note


def test_a_gate_that_passes_has_no_such_note() -> None:
    decision = decide(side(*drawn(random.Random(3), 6)), side(*drawn(random.Random(4), 6)), GAUGES)
    assert decision.outcome == "pass"
    assert inconclusive_note(decision, GAUGES) == ""
