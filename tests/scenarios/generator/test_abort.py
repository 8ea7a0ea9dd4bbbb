"""Abort conditions: what stops a run, and when."""

import pytest
from msgspec.structs import replace

from scenarios.generator.abort import Guard, armed
from scenarios.scenario.model import Abort
from scenarios.wire.interval import Interval, Samples, SomeClients
from tests.support.intervals import MS, interval


def tries(joined: int, failed: int) -> Interval:
    return interval(0, outcomes={"joined": joined, "limited": failed // 2, "timeout": failed - failed // 2})


def fanout(slow: int, of: int = 1_000) -> Interval:
    return interval(0, fanout=Samples.of([10 * MS] * (of - slow) + [12_000 * MS] * slow))


ERRORS = Abort(error_share=0.5, for_s=1)
SLOW = Abort(fanout_p99_ms=500, for_s=1)
REMOTE = Abort(for_s=1)


@pytest.mark.parametrize(
    ("abort", "remote", "seen", "reason"),
    [
        pytest.param(ERRORS, False, tries(4, 6), "60 % of the attempts failed", id="too many failed"),
        pytest.param(ERRORS, False, tries(6, 4), "", id="few failed"),
        pytest.param(ERRORS, False, tries(0, 0), "", id="no try ended"),
        pytest.param(Abort(error_share=1.0, for_s=1), False, tries(0, 9), "100 % of", id="all failed"),
        pytest.param(Abort(for_s=1), False, tries(0, 9), "", id="failures on loopback by default"),
        pytest.param(REMOTE, True, tries(1, 19), "abort.error_share is 0.9", id="elsewhere by default"),
        pytest.param(REMOTE, True, tries(3, 17), "", id="elsewhere by default, few failed"),
        pytest.param(
            ERRORS, True, tries(4, 6), "abort.error_share is 0.5", id="elsewhere, but said otherwise"
        ),
        pytest.param(SLOW, False, fanout(11), "p99 was 1", id="slow beyond the percentile"),
        pytest.param(SLOW, False, fanout(10), "", id="as many slow as the percentile allows"),
        pytest.param(SLOW, False, fanout(0, of=0), "", id="no delivery"),
        pytest.param(Abort(for_s=1), False, fanout(1_000), "", id="slow on loopback by default"),
        pytest.param(REMOTE, True, fanout(1_000), "abort.fanout_p99_ms is 10000", id="slow elsewhere"),
    ],
)
def test_a_run_stops_for_what_its_scenario_or_its_targets_place_forbids(
    abort: Abort, remote: bool, seen: Interval, reason: str
) -> None:
    said = Guard(abort, remote=remote, clients=10).reason_to_stop(seen)
    assert reason in said
    assert bool(said) == bool(reason)


def test_a_breach_counts_only_in_so_many_seconds_in_a_row() -> None:
    guard = Guard(Abort(error_share=0.5, for_s=3), remote=False, clients=10)
    bad, good = tries(0, 9), tries(9, 0)
    reasons = [guard.reason_to_stop(each) for each in (bad, bad, good, bad, bad, bad)]
    assert reasons[:-1] == [""] * 5
    assert reasons[-1] == "100 % of the attempts failed, abort.error_share is 0.5, for 3 consecutive seconds"


def test_each_condition_counts_by_itself() -> None:
    guard = Guard(Abort(error_share=0.5, fanout_p99_ms=500, for_s=2), remote=False, clients=10)
    assert guard.reason_to_stop(tries(0, 9)) == ""
    assert guard.reason_to_stop(fanout(500)) == ""
    assert "fan-out p99" in guard.reason_to_stop(fanout(500))


def test_an_unhealthy_target_stops_the_run_with_what_it_answered() -> None:
    guard = Guard(Abort(health_url="http://h/health", for_s=2), remote=False, clients=10)
    seconds = ("is slow", "", "HTTP Error 503", "HTTP Error 503")
    reasons = [guard.reason_to_stop(tries(9, 0), unhealthy) for unhealthy in seconds]
    assert reasons == ["", "", "", "http://h/health HTTP Error 503, for 2 consecutive seconds"]


def test_availability_counts_once_all_clients_have_been_up() -> None:
    guard = Guard(Abort(availability_below=0.5, for_s=2), remote=False, clients=10)
    low = interval(0, useful=3.0)
    assert guard.reason_to_stop(low) == "", "the fleet is brought up"
    assert guard.reason_to_stop(low) == ""
    assert guard.reason_to_stop(interval(0, clients=4, useful=4.0)) == "", "those that are there are served"
    assert guard.reason_to_stop(low) == ""
    assert guard.reason_to_stop(interval(0)) == ""
    assert guard.reason_to_stop(low) == ""
    assert "30 % of the clients were served, abort.availability_below is 0.5" in guard.reason_to_stop(low)


def test_clients_of_a_process_that_died_are_not_served() -> None:
    guard = Guard(Abort(availability_below=0.5, for_s=1), remote=False, clients=10)
    assert guard.reason_to_stop(interval(0)) == ""
    assert "40 % of the clients" in guard.reason_to_stop(interval(0, clients=4, useful=4.0, missing=6))


@pytest.mark.parametrize(
    ("abort", "remote", "said"),
    [
        pytest.param(Abort(), False, [], id="none on loopback"),
        pytest.param(Abort(), True, ["failed attempts ≥ 90 %", "fan-out p99 > 10 s"], id="two elsewhere"),
        pytest.param(
            Abort(availability_below=0.2, health_url="http://h/"),
            False,
            ["availability < 20 %", "http://h/ unhealthy"],
            id="what the scenario says",
        ),
    ],
)
def test_what_is_armed_is_said_with_its_bound(abort: Abort, remote: bool, said: list[str]) -> None:
    assert armed(abort, remote=remote) == said


def test_attempts_of_clients_that_nobody_serves_stop_no_run() -> None:
    old = SomeClients(clients=5, connected=0, useful=0.0, attempts=9, limited=0, failed=9)
    seen = interval(0, clients=10, useful=10.0, unserved=5, outcomes={"rejected": 9}, fleet_groups={1: old})
    abort = Abort(error_share=0.5, availability_below=0.5, for_s=1)
    guard = Guard(abort, remote=True, clients=15, unserved=[1])
    assert guard.reason_to_stop(seen) == ""
    down = replace(seen, useful=1.0)
    assert "of the clients were served" in guard.reason_to_stop(down)
    assert "100 % of the attempts failed" in Guard(abort, remote=True, clients=15).reason_to_stop(seen)
