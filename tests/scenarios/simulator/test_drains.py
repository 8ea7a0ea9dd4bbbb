"""Drains and deploys on the modelled stack, which treats them as the real one does."""

from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from reports.rundir.reader import Run
from scenarios.policies.orders import Told
from scenarios.scenario.loader import load
from scenarios.scenario.timeline import places_needed
from scenarios.simulator.run import Prediction, simulate_in_memory
from scenarios.simulator.stack import most_pods

CLIENTS = 60
SMALL = (
    f"fleet.clients={CLIENTS}",
    "fleet.policy=naive",
    "gateway.handshake_cpu_ms=1",
    "phases.duration_s=24",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
)


def predicted(event: str, *sets: str) -> Run:
    loaded = load("mass-drop", [*SMALL, f"event=[{event}]", *sets])
    plan = Prediction(
        scenario=msgspec.structs.replace(loaded, matrix={}, arms={}), directory=Path(), arm="arm"
    )
    return simulate_in_memory(plan)


def disconnects(run: Run, from_s: int, to_s: int) -> list[float]:
    return [row["disconnects"] or 0 for row in run.between(from_s, to_s)]


def said(run: Run, name: str) -> dict[str, Any]:
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "end")


@pytest.mark.parametrize("window_s", [2, 6, 12])
def test_a_drain_disconnects_equally_many_in_each_second_of_its_window(window_s: int) -> None:
    run = predicted(f'{{at_s=3, do="drain", window_s={window_s}}}')
    found = disconnects(run, 3, 3 + window_s)
    assert found == pytest.approx([CLIENTS / window_s] * window_s, abs=3)
    # Each client is disconnected once, although it is back long before the drain has ended.
    assert sum(disconnects(run, 0, 24)) == CLIENTS
    assert said(run, "drain")["dropped"] == CLIENTS
    assert said(run, "drain")["t_s"] == pytest.approx(3 + window_s, abs=0.2)


def test_a_drain_without_a_window_disconnects_all_at_once() -> None:
    run = predicted('{at_s=3, do="drain", window_s=0}')
    assert disconnects(run, 3, 4) == [CLIENTS]


def test_pods_are_drained_one_after_the_other_and_clients_go_to_the_other_one() -> None:
    run = predicted('{at_s=3, do="drain", window_s=4, one_by_one=true, leave_upstream=true}')
    # All clients of the first pod are at the second one when its turn comes.
    assert sum(disconnects(run, 3, 7)) == pytest.approx(CLIENTS / 2, abs=1)
    assert sum(disconnects(run, 7, 12)) == pytest.approx(CLIENTS, abs=1)
    clients = {(row["t_s"], row["pod"]): row["clients"] or 0 for row in run.pods}
    assert clients[6, 1] > 0.9 * CLIENTS
    assert clients[11, 0] > 0.9 * CLIENTS


@pytest.mark.parametrize(("keys", "code"), [("", None), (", close_code=1012", 1012)])
def test_policies_are_told_the_close_code(keys: str, code: int | None) -> None:
    CODES.clear()
    predicted(f'{{at_s=3, do="drain", window_s=4{keys}}}', f"fleet.policy={__name__}:noting_codes")
    # What a policy of one's own is asked beforehand has no code.
    assert code in CODES
    assert {code, None} >= CODES


CODES: set[int | None] = set()


def noting_codes(rng: Random) -> Told:
    """A policy that notes how sessions are closed."""
    outcome = yield
    while True:
        if outcome.had_session:
            CODES.add(outcome.close_code)
        outcome = yield 0.1


def test_a_pod_that_stands_still_closes_what_is_due_when_it_goes_on() -> None:
    pause = '{at_s=4, do="pause_pod", pod=0, for_s=2}'
    run = predicted(f'{{at_s=3, do="drain", window_s=6, pods=[0]}}, {pause}', "fleet.stale_after_s=0")
    half = CLIENTS / 2
    found = disconnects(run, 3, 9)
    assert found[1:3] == pytest.approx([0, 0], abs=1)
    assert found[3] == pytest.approx(half / 2, abs=3)
    assert sum(found) == half


def test_a_deploy_replaces_every_pod_and_keeps_the_usual_number() -> None:
    run = predicted('{at_s=3, do="deploy", max_surge=1, max_unavailable=0, pre_stop_s=1, drain_s=2}')
    assert said(run, "deploy")["pods"] == 2
    pods = {t_s: {row["pod"] for row in run.pods if row["t_s"] == t_s} for t_s in (2, 22)}
    assert pods == {2: {0, 1}, 22: {2, 3}}
    assert run.rows[-1]["connected"] == CLIENTS
    # Nobody is sent to a pod that is leaving, and nobody loses more than two sessions.
    assert sum(row["refused"] or 0 for row in run.rows) == 0
    assert CLIENTS <= sum(disconnects(run, 3, 22)) <= 2 * CLIENTS


@pytest.mark.parametrize(
    ("others", "pods"),
    [
        ('{at_s=3.5, do="deploy", drain_s=2}', 2),
        ('{at_s=3, do="deploy"}', 2),
        ('{at_s=4, do="deploy", every_s=1, times=2}', 2),
        ('{at_s=3.5, do="scale", pods=4}', 4),
        ('{at_s=3.5, do="scale", pods=1}', 1),
    ],
)
def test_what_begins_during_a_deploy_leaves_as_many_pods_as_there_are_to_be(others: str, pods: int) -> None:
    run = predicted(f'{{at_s=3, do="deploy", drain_s=4}}, {others}')
    assert len({row["pod"] for row in run.pods if row["t_s"] == 23}) == pods
    assert run.rows[-1]["connected"] == CLIENTS


@pytest.mark.parametrize(("drain_s", "worst"), [(0, 20), (5, 6)])
def test_a_pod_of_a_deploy_has_time_for_its_clients(drain_s: int, worst: int) -> None:
    run = predicted(f'{{at_s=3, do="deploy", max_surge=1, max_unavailable=0, drain_s={drain_s}}}')
    most = max(disconnects(run, 3, 24))
    assert most > worst if not drain_s else most <= worst + 9


def test_a_deploy_takes_places_for_old_and_new_pods() -> None:
    events = 'event=[{at_s=2, do="deploy"}, {at_s=5, do="scale", pods=5}, {at_s=8, do="deploy"}]'
    scenario = load("mass-drop", [*SMALL, events, "gateway.pods=3"])
    assert places_needed(scenario) == 10
    assert most_pods(scenario) == 3 + 3 + 2 + 5
