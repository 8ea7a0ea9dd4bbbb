"""The shortest safe drain window: the bisection, the drains that it plays, and what comes of them."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reports.tuning.drain import Drained, DrainWindows, Window, drained, lines, lowest_availability
from reports.tuning.result import Constraints, Outcome
from scenarios.cli.main import main
from scenarios.events.drain import Drain
from scenarios.scenario.loader import load
from scenarios.simulator.costs import Costs
from scenarios.tuning.drains import (
    EXACT,
    DrainSearch,
    Found,
    drains,
    limit_sentences,
    settings,
    shortest,
    with_drain,
)
from scenarios.tuning.evaluate import Task
from scenarios.tuning.evaluate import storm as simulated
from tests.support.histories import history, scenario, storm

LONGEST_S = 3_600.0


@given(st.floats(0.1, LONGEST_S))
def test_the_bisection_finds_the_shortest_safe_window_to_a_few_per_cent(safe_from_s: float) -> None:
    tried: list[float] = []

    def is_safe(window_s: float) -> bool:
        tried.append(window_s)
        return window_s >= safe_from_s

    found = shortest(is_safe, LONGEST_S)
    assert found.window_s is not None
    assert found.too_short_s is not None
    assert found.too_short_s < safe_from_s <= found.window_s
    assert found.window_s - found.too_short_s <= max(1.0, EXACT * found.window_s)
    assert len(tried) == len(set(tried)) <= 20


@pytest.mark.parametrize(
    ("safe_from_s", "found"), [(0.0, Found(0.0, None)), (LONGEST_S + 1, Found(None, LONGEST_S))]
)
def test_all_windows_may_be_safe_or_none(safe_from_s: float, found: Found) -> None:
    assert shortest(lambda window_s: window_s >= safe_from_s, LONGEST_S) == found


def test_the_longest_window_may_be_shorter_than_the_first_one_that_is_tried() -> None:
    assert shortest(lambda window_s: window_s > 1, 2.0) == Found(2.0, 1.0)


def test_a_drain_takes_the_place_of_faults_and_mitigations_and_gets_the_time_it_takes() -> None:
    scenario = load("incident", ["matrix={}"])
    drain = Drain(at_s=10, window_s=100.5)
    drained = with_drain(scenario, drain)
    assert drained.event == (drain,)
    settle_s = scenario.phases.duration_s - int(scenario.trigger_s or 0)
    assert drained.phases.duration_s == 111 + settle_s
    assert drained.phases.rescue_at_s == 0


def test_all_pods_are_drained_and_one_that_leaves() -> None:
    kinds = list(drains(load("mass-drop", ["gateway.pods=3", "fleet.clients=100", "matrix={}"])))
    assert [(name, clients) for name, clients, _ in kinds] == [("all pods", 100), ("one pod that leaves", 34)]
    assert kinds[1][2].leave_upstream
    assert len(list(drains(load("mass-drop", ["gateway.pods=1", "matrix={}"])))) == 1


SMALL = [
    "fleet.clients=60",
    'fleet.policy={name="spread", window_s=8}',
    "gateway.handshake_cpu_ms=1",
    "feed.rate_hz=2",
    "phases.duration_s=20",
    "phases.during_s=2",
    "phases.recovery_window_s=2",
    "phases.rescue_at_s=0",
    'event=[{at_s=2, do="drop_all"}]',
    "matrix={}",
]


def test_a_drain_keeps_as_many_clients_away_as_littles_law_says() -> None:
    scenario = with_drain(load("mass-drop", [*SMALL, "fleet.clients=1000"]), Drain(at_s=2, window_s=30))
    run = simulated(Task(candidate="now", scenario=scenario, trigger="drain", seed=1, costs=Costs()))
    # Each waits 4 s on average, then three round trips, then a quarter of a second for the next tick.
    away = [1 - (row["useful"] or 0) / 1000 for row in run.between(12, 30)]
    assert sum(away) / len(away) == pytest.approx((4 + 0.12 + 0.25) / 30, rel=0.1)
    assert lowest_availability(run) == pytest.approx(1 - sum(away) / len(away), abs=0.03)


@pytest.mark.parametrize(
    "bound_s", [20.0, 99.0], ids=["violated", "undecided, as the clients were not back by the end"]
)
def test_a_drain_whose_objectives_may_be_violated_is_not_safe(bound_s: float) -> None:
    slo = [{"metric": "back_99_s", "operator": "<=", "bound": bound_s}]
    found = drained(history(storm(0.0), scenario=scenario(slo=slo)), seed=1, until_s=62)
    assert [text.rpartition(": ")[2] for text in found.slos] == ["got ≥ 54 s"]


def test_an_objective_that_a_drain_does_not_measure_is_left_out() -> None:
    slo = [{"metric": "nginx_cpu", "phase": "during", "operator": "<=", "bound": 0.5}]
    rows = [row | {"nginx_cpu": None} for row in storm(lambda t: 0.0 if t < 13 else 100.0)]
    assert drained(history(rows, scenario=scenario(slo=slo)), seed=1, until_s=62).slos == ()


def test_a_window_is_safe_only_with_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[float, int]] = []

    def of_window(task: Task) -> Drained:
        (drain,) = task.scenario.event
        assert isinstance(drain, Drain)
        played.append((drain.window_s, task.seed))
        # The third seed takes 40 s, the others 10 s.
        served = 0.995 if drain.window_s >= (40 if task.seed == 3 else 10) else 0.97
        found = Outcome(
            trigger="drain",
            seed=task.seed,
            verdict="RECOVERED",
            time_to_recover_s=1,
            peak_load=0.5,
            base_load=0.1,
            nat_victim_s=0,
            availability=served,
            effective_p99_ms=100,
        )
        return Drained(outcome=found, slos=() if drain.window_s >= 20 else ("p99 ≤ 50 ms: got 100 ms",))

    monkeypatch.setattr("scenarios.tuning.drains.play_drain", of_window)
    found = DrainSearch(
        load("mass-drop", [*SMALL, "gateway.pods=1"]),
        costs=Costs(),
        constraints=Constraints(min_availability=0.99),
        seeds=(1, 2, 3),
        longest_s=100,
    ).run()
    (window,) = found.windows
    assert (window.window_s, window.too_short_s, window.availability) == (40, 38, 0.995)
    assert window.violated == ("availability: expected ≥ 99 %, got 97 %",)
    assert [seed for window_s, seed in played if window_s == 0] == [1], "the first violation is enough"
    assert [seed for window_s, seed in played if window_s == 40] == [1, 2, 3]


@pytest.mark.parametrize(
    ("proxy", "line"),
    [
        ("nginx", "    # no worker_shutdown_timeout: the gateway closes the sessions"),
        ("haproxy", "        hard-stop-after 130s"),
        ("envoy", "    envoy --drain-time-s 120 --parent-shutdown-time-s 130"),
    ],
)
def test_settings_are_those_of_the_proxy_in_use_and_of_kubernetes(proxy: str, line: str) -> None:
    scenario = load("drain", ["matrix={}", f"edge.proxy={proxy}"])
    found = settings(scenario, 119.5).splitlines()
    assert line in found
    assert "    terminationGracePeriodSeconds: 135" in found
    said = " ".join(found)
    assert "the sleep of 5 s, in which the pod leaves the endpoints, the window, and 10 s for what is" in said
    assert settings(scenario, None) == ""


def test_limits_are_told_with_what_the_largest_group_asks_of_them() -> None:
    scenario = load("mass-drop", ["edge.limit=per-ip", "fleet.clients_per_ip=50", "matrix={}"])
    (sentence,) = limit_sentences(scenario, 25.0)
    assert sentence.startswith("limit per-ip: ")
    assert sentence.endswith("the largest group behind one IP has 50 clients and reconnects at 2 per second")


def test_the_result_says_what_was_drained_how_fast_and_what_a_shorter_window_violates() -> None:
    violated = ("availability: expected ≥ 99 %, got 98 %",)
    found = DrainWindows(
        scenario="s",
        clients=1_000,
        pods=4,
        constraints=Constraints(min_availability=0.99),
        seeds=3,
        longest_s=600,
        windows=(
            Window(drained="all pods", clients=1_000, window_s=None, too_short_s=600, violated=violated),
            Window(
                drained="one pod that leaves",
                clients=250,
                window_s=50,
                availability=0.992,
                too_short_s=48,
                violated=violated,
            ),
            Window(drained="nobody", clients=0, window_s=0, availability=1.0),
        ),
    )
    assert not found.is_safe
    all_pods, one_pod, nobody = lines(found)[1:]
    assert (
        all_pods == f"- all pods (1,000 clients): no safe window up to 600 s; 600 s violates: {violated[0]}"
    )
    assert one_pod == (
        "- one pod that leaves (250 clients): 50 s, 5 clients per second; availability 99.2 %;"
        f" 48 s violates: {violated[0]}"
    )
    assert nobody == "- nobody (0 clients): 0 s, all at once; availability 100 %"


def test_the_command_prints_the_windows_or_json() -> None:
    keys = (*SMALL, "gateway.pods=1", 'fleet.policy={name="spread", window_s=3}')
    sets = [part for key in keys for part in ("--set", key)]
    options = ["--drain", "--seeds", "1", "--processes", "1", "--min-availability", "0.5"]
    done = CliRunner().invoke(main, ["tune", "mass-drop", *sets, *options, "--json"])
    assert done.exit_code == 0, done.output
    (window,) = json.loads(done.stdout)["windows"]
    # Half of the time of five seconds is enough for everybody to be back.
    assert window["window_s"] == 0
    assert 0.5 < window["availability"] < 0.9


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--max-window-s", "2"], 1, "no safe window up to 2 s"),
        (["--confirm"], 2, "--confirm: not supported together with --drain"),
        (["--trials", "3"], 2, "--trials: not supported together with --drain"),
    ],
)
def test_the_command_says_where_there_is_no_window(options: list[str], status: int, said: str) -> None:
    sets = [part for key in SMALL for part in ("--set", key)]
    common = ["--drain", "--seeds", "1", "--processes", "1"]
    done = CliRunner().invoke(main, ["tune", "mass-drop", *sets, *common, *options])
    assert done.exit_code == status, done.output
    assert said in done.output


def test_a_longest_window_without_a_search_for_windows_is_refused() -> None:
    done = CliRunner().invoke(main, ["tune", "mass-drop", "--max-window-s", "10"])
    assert done.exit_code == 2, done.output
    assert "--max-window-s: not supported without --drain" in done.output
