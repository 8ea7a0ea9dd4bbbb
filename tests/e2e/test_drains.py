"""Drains and deploys on real nginx, real pods and real clients, as the simulator has them."""

from pathlib import Path
from typing import Any

import pytest

from reports.rundir.reader import Run
from tests.e2e.command_line import SMALL_STORM, carried_out, last_known
from tests.e2e.own_gateway import stormed
from tests.support.gateways import line

pytestmark = pytest.mark.e2e

CLIENTS = 60
LONG_ENOUGH = "phases.duration_s=40"
"""For two pods that start one after the other on a busy machine."""


def drained(tmp_path: Path, event: str, *sets: str) -> Run:
    # No client hangs up because a pod stood still for a while.
    phases = ("phases.duration_s=24", "phases.during_s=4", "fleet.policy=naive", "fleet.stale_after_s=0")
    overrides = (*SMALL_STORM, f"fleet.clients={CLIENTS}", *phases, f"event=[{event}]", *sets)
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=overrides, timeout_s=240)
    return run


def clients_of(run: Run, pod: int) -> float:
    """Those of a pod in the last second of which it has told."""
    return next(row["clients"] or 0 for row in reversed(run.pods) if row["pod"] == pod)


def disconnects(run: Run, from_s: int, to_s: int) -> list[float]:
    return [row["disconnects"] or 0 for row in run.between(from_s, to_s)]


def said(run: Run, name: str) -> dict[str, Any]:
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "end")


def assert_even(run: Run, window_s: int, clients: float) -> None:
    """Half of the clients in half of a window that begins at 2 s, and not many in any second.

    A pod or a generator that stands still for three seconds moves those of three seconds into the next one.
    """
    assert sum(disconnects(run, 2, 2 + window_s // 2)) == pytest.approx(clients / 2, abs=clients / 4)
    assert max(disconnects(run, 0, 24)) <= 0.4 * clients


def test_a_drain_disconnects_equally_many_in_each_second_of_its_window(tmp_path: Path) -> None:
    run = drained(tmp_path, '{at_s=2, do="drain", window_s=18, close_code=1012}')
    assert_even(run, 18, clients=CLIENTS)
    assert sum(disconnects(run, 0, 24)) == CLIENTS
    assert said(run, "drain")["dropped"] == CLIENTS
    assert last_known(run, "connected") == CLIENTS


def test_clients_of_a_pod_that_is_drained_go_to_the_other_one(tmp_path: Path) -> None:
    run = drained(tmp_path, '{at_s=2, do="drain", window_s=16, pods=[0], leave_upstream=true}')
    assert sum(disconnects(run, 0, 24)) == pytest.approx(CLIENTS / 2, abs=5)
    assert_even(run, 16, clients=CLIENTS / 2)
    # They stay there when the first one is back in the upstream.
    assert clients_of(run, 1) > 0.8 * CLIENTS
    assert clients_of(run, 0) < 0.2 * CLIENTS


def test_a_deploy_replaces_every_pod(tmp_path: Path) -> None:
    event = '{at_s=1, do="deploy", max_surge=1, max_unavailable=0, drain_s=2}'
    run = drained(tmp_path, event, LONG_ENOUGH)
    end = said(run, "deploy")
    assert end["pods"] == 2
    assert {row["pod"] for row in run.pods if (row["t_s"] or 0) > end["t_s"]} == {2, 3}
    assert last_known(run, "connected") == CLIENTS
    assert CLIENTS <= sum(disconnects(run, 1, 40)) <= 2 * CLIENTS


def test_a_gateway_of_the_user_gets_sigterm_and_drains_in_its_own_way(tmp_path: Path) -> None:
    event = 'event=[{at_s=1, do="deploy", max_surge=1, max_unavailable=0, drain_s=15}]'
    _, run = stormed(tmp_path, line("healthy"), event, LONG_ENOUGH)
    assert said(run, "deploy")["pods"] == 2
    for pod in (0, 1):
        log = (run.directory / "pods" / f"pod-{pod}.log").read_text(encoding="utf-8")
        assert log.rstrip().endswith("drains")
    assert last_known(run, "connected") == last_known(run, "clients")
