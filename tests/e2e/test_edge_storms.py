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
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=(*SMALL_STORM, f"event=[{event}]", *sets))
    return run


def test_case_10_reloads_cut_all_sockets_in_clusters(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        '{at_s=2, do="nginx_reload", every_s=4.4, times=2}',
        "edge.nginx.worker_shutdown_timeout_s=3",
        "edge.limit=per-ip",
    )
    # Cut at 5 s, and those that came back before the second reload, at 9.4 s.
    assert total(run, "disconnects", 0, 4) == 0, "no limit that is put in force later has reloaded nginx"
    assert total(run, "disconnects", 4, 7) == CLIENTS
    assert total(run, "disconnects", 7, 9) == 0
    assert total(run, "disconnects", 9, 11) == CLIENTS
    limited = (run.directory / "nginx" / "gateway.conf.before").read_text(encoding="utf-8")
    assert "limit_req zone=per_ip" in limited


QUIET = '{at_s=3, do="feed_stall", for_s=4}'


def test_case_12_a_quiet_feed_is_cut_again_and_again_until_it_speaks(tmp_path: Path) -> None:
    sets = ("fleet.stale_after_s=0", "edge.nginx.proxy_read_timeout_s=2")
    run = run_of(tmp_path, QUIET, *sets)
    # All together, 2 s after the last tick; and again, 2 s after their return.
    assert total(run, "disconnects", 0, 4) == 0
    assert total(run, "disconnects", 4, 9) >= CLIENTS
    assert total(run, "disconnects", 9, 11) == 0


def test_case_12_pings_below_the_timeout_keep_quiet_sockets_open(tmp_path: Path) -> None:
    sets = ("fleet.stale_after_s=0", "edge.nginx.proxy_read_timeout_s=2", "gateway.ping_interval_s=1")
    assert total(run_of(tmp_path, QUIET, *sets), "disconnects", 0, 11) == 0
