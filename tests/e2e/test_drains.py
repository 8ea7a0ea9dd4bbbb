"""Drains and deploys on real nginx, real pods and real clients, as the simulator has them."""

from pathlib import Path
from typing import Any

import pytest

from reports.rundir.reader import Run
from tests.e2e.command_line import SMALL_STORM, carried_out
from tests.e2e.own_gateway import stormed
from tests.support.gateways import line

pytestmark = pytest.mark.e2e

CLIENTS = 60


def drained(tmp_path: Path, event: str, *sets: str) -> Run:
    phases = ("phases.duration_s=26", "phases.during_s=4", "fleet.policy=naive", "fleet.stale_after_s=6")
    overrides = (*SMALL_STORM, f"fleet.clients={CLIENTS}", *phases, f"event=[{event}]", *sets)
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=overrides, timeout_s=240)
    return run


def disconnects(run: Run, from_s: int, to_s: int) -> list[float]:
    return [row["disconnects"] or 0 for row in run.between(from_s, to_s)]


def said(run: Run, name: str) -> dict[str, Any]:
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "end")


@pytest.mark.parametrize("keys", ["", ", close_code=1012"])
def test_a_drain_disconnects_equally_many_in_each_second_of_its_window(tmp_path: Path, keys: str) -> None:
    run = drained(tmp_path, f'{{at_s=3, do="drain", window_s=6{keys}}}')
    # A busy machine moves some from one second to the next, but not all clients into one.
    assert sum(disconnects(run, 3, 6)) == pytest.approx(CLIENTS / 2, abs=CLIENTS / 5)
    assert max(disconnects(run, 3, 11)) <= 0.4 * CLIENTS
    assert sum(disconnects(run, 0, 26)) == CLIENTS
    assert said(run, "drain")["dropped"] == CLIENTS
    assert run.rows[-1]["connected"] == CLIENTS


def test_clients_of_a_pod_that_is_drained_go_to_the_other_one(tmp_path: Path) -> None:
    run = drained(tmp_path, '{at_s=3, do="drain", window_s=4, pods=[0], leave_upstream=true}')
    clients = {(int(row["t_s"] or 0), row["pod"]): row["clients"] or 0 for row in run.pods}
    assert sum(disconnects(run, 0, 26)) == pytest.approx(CLIENTS / 2, abs=5)
    # They stay there when the first one is back in the upstream.
    assert clients[24, 1] > 0.8 * CLIENTS
    assert clients[24, 0] < 0.2 * CLIENTS


def test_a_deploy_replaces_every_pod(tmp_path: Path) -> None:
    run = drained(tmp_path, '{at_s=3, do="deploy", max_surge=1, max_unavailable=0, drain_s=2}')
    assert said(run, "deploy")["pods"] == 2
    assert {row["pod"] for row in run.pods if (row["t_s"] or 0) >= 24} == {2, 3}
    assert run.rows[-1]["connected"] == CLIENTS
    assert CLIENTS <= sum(disconnects(run, 3, 26)) <= 2 * CLIENTS


def test_a_gateway_of_the_user_gets_sigterm_and_drains_in_its_own_way(tmp_path: Path) -> None:
    event = 'event=[{at_s=3, do="deploy", max_surge=1, max_unavailable=0, drain_s=5}]'
    _, run = stormed(tmp_path, line("healthy"), event, "phases.duration_s=26")
    assert said(run, "deploy")["pods"] == 2
    for pod in (0, 1):
        log = (run.directory / "pods" / f"pod-{pod}.log").read_text(encoding="utf-8")
        assert log.rstrip().endswith("drains")
    assert run.rows[-1]["connected"] == run.rows[-1]["clients"]
