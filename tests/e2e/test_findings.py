"""Mistakes in the settings of a real nginx are found by the report of the run, and only these."""

import json
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.reader import Run
from tests.e2e.command_line import SMALL_STORM, carried_out

pytestmark = [pytest.mark.e2e, pytest.mark.needs_loopback_range]

CLIENTS = 60


def carried(tmp_path: Path, *sets: str) -> tuple[Run, dict[str, dict[str, Any]]]:
    """A run, and what it prints of its findings, by id."""
    printed, (run,) = carried_out(tmp_path, "run", "--retries", "0", "--json", sets=(*SMALL_STORM, *sets))
    ((result),) = json.loads(printed)
    assert result["findings"] == run.info.findings
    return run, {found["id"]: found for found in result["findings"]}


def test_case_8_a_limit_that_sees_one_address(tmp_path: Path) -> None:
    run, found = carried(tmp_path, "fleet.source=same", "edge.limit=per-ip")
    assert found["single-key"]["figures"].startswith(f"1 key, {CLIENTS} clients: all ")
    assert "`fleet.source` is `same`" in found["single-key"]["figures"]
    assert run.info.proxy_log is not None
    assert (run.info.proxy_log.addresses, run.info.proxy_log.address) == (1, "127.0.0.1")
    report = (run.directory.parent / "report.md").read_text(encoding="utf-8")
    assert "### Findings" in report
    assert "#### The limit saw a single key" in report


def test_a_limit_that_sees_every_client_is_no_finding(tmp_path: Path) -> None:
    run, found = carried(tmp_path, "edge.limit=per-ip")
    assert found == {}
    assert run.info.proxy_log is not None
    assert run.info.proxy_log.addresses == CLIENTS
    report = (run.directory.parent / "report.md").read_text(encoding="utf-8")
    assert "### Findings" not in report
    assert "HTTP/1.1" in report


FEW = 'edge.limit={name="per-ip", rate_per_s=0.1, burst=2}'
"""Three connections at once, and no more for ten seconds: also if the proxy stands still for some of them."""


def test_clients_behind_a_shared_ip_are_refused_at_their_first_attempt(tmp_path: Path) -> None:
    run, found = carried(tmp_path, "fleet.clients_per_ip=20", FEW)
    first = sum(row["first_attempts"] or 0 for row in run.shared_ips if (row["t_s"] or 0) >= 3)
    refused = sum(row["first_limited"] or 0 for row in run.shared_ips)
    # Each IP has three connections at once; another one may come while the first attempts do.
    assert first >= CLIENTS
    assert refused >= CLIENTS - 3 * 4
    assert "up to 20 clients share an IP" in found["refused-first-attempts"]["figures"]


@pytest.mark.measures
def test_case_12_quiet_sockets_end_at_one_age_and_in_pulses(tmp_path: Path) -> None:
    for attempt in range(3):
        run, found = carried(
            tmp_path / str(attempt),
            'event=[{at_s=2, do="feed_stall", for_s=26}]',
            "phases.duration_s=30",
            "fleet.stale_after_s=0",
            "edge.nginx.proxy_read_timeout_s=4",
        )
        # A part that stood still for a second moves a pulse.
        if run.info.validity["valid"]:
            break
    assert "fits this age: proxy_read_timeout (4 s)" in found["one-session-age"]["figures"]
    assert "proxy_read_timeout 3600s" in found["one-session-age"]["change"]
    assert "proxy_read_timeout (4 s)" in found["synchronised-drops"]["figures"]


def test_pods_that_are_late_are_taken_out_by_max_fails(tmp_path: Path) -> None:
    run, found = carried(
        tmp_path,
        'event=[{at_s=3, do="pause_pod", pod=0, for_s=5}, {at_s=3, do="pause_pod", pod=1, for_s=5}]',
        "gateway.pods=2",
        "fleet.connect_timeout_s=4",
        "edge.nginx.proxy_read_timeout_s=1.5",
        "edge.nginx.max_fails=1",
    )
    assert run.info.proxy_log is not None
    assert run.info.proxy_log.taken_out_alive >= 1
    assert "while the pod was alive" in found["pods-taken-out"]["figures"]
    assert found["pods-taken-out"]["change"].startswith("nginx: `server … max_fails=0;`")


def test_sockets_are_counted_by_worker(tmp_path: Path) -> None:
    run, _ = carried(tmp_path, "edge.nginx.workers=3", "edge.nginx.reuseport=true", "edge.limit=none")
    assert run.info.proxy_log is not None
    at_trigger = run.info.proxy_log.workers[0]
    assert at_trigger.t_s == run.info.trigger_s
    assert sum(at_trigger.sockets) == CLIENTS
    assert len(at_trigger.sockets) <= 3
