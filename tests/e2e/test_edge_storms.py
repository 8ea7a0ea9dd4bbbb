"""Storms that ordinary settings of nginx make by themselves.

Numbers of cases are those of docs/reported-storms.md.
"""

from pathlib import Path

import pytest

from reports.rundir.reader import Run
from tests.e2e.command_line import SMALL_STORM, carried_out
from tests.e2e.own_gateway import total

pytestmark = pytest.mark.e2e

CLIENTS = 60


def run_of(tmp_path: Path, event: str, *sets: str) -> Run:
    # Whatever stands still for three seconds makes no client hang up.
    sets = (*SMALL_STORM, f"event=[{event}]", "fleet.stale_after_s=0", *sets)
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=sets)
    return run


def test_case_10_reloads_cut_all_sockets_in_clusters(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        '{at_s=2, do="nginx_reload", every_s=7, times=2}',
        "edge.nginx.worker_shutdown_timeout_s=2",
        "edge.limit=per-ip",
        "phases.duration_s=15",
    )
    # Cut at 4 s, and those that came back before the second reload, at 11 s; a busy machine is late.
    assert total(run, "disconnects", 0, 3) == 0, "no limit that is put in force later has reloaded nginx"
    assert total(run, "disconnects", 3, 8) == CLIENTS
    assert total(run, "disconnects", 8, 10) == 0
    assert total(run, "disconnects", 10, 15) == CLIENTS
    limited = (run.directory / "nginx" / "gateway.conf.before").read_text(encoding="utf-8")
    assert "limit_req zone=per_ip" in limited


QUIET = '{at_s=2, do="feed_stall", for_s=10.5}'
CUTS_QUIET_SOCKETS = "edge.nginx.proxy_read_timeout_s=7"
"""3.5 s less than the feed is stalled, and more than that longer than pods are quiet otherwise: a pod, or
nginx, may stand still for three seconds."""


def test_case_12_a_quiet_feed_is_cut_again_and_again_until_it_speaks(tmp_path: Path) -> None:
    run = run_of(tmp_path, QUIET, CUTS_QUIET_SOCKETS, "phases.duration_s=16")
    # All together, 7 s after the last tick.
    assert total(run, "disconnects", 0, 8) == 0
    assert total(run, "disconnects", 8, 13) >= CLIENTS
    assert total(run, "disconnects", 13, 16) == 0


def test_case_12_pings_below_the_timeout_keep_quiet_sockets_open(tmp_path: Path) -> None:
    run = run_of(tmp_path, QUIET, CUTS_QUIET_SOCKETS, "gateway.ping_interval_s=1", "phases.duration_s=13")
    assert total(run, "disconnects", 0, 13) == 0
