"""A run on hosts of a site: host agents on addresses of their own, as containers would have them."""

import contextlib
import signal
from pathlib import Path

import psutil
import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.proxies.nginx import read_access_log
from tests.e2e.agents import BEGINS_S, EDGE, PODS, agents
from tests.e2e.command_line import GOOD_OR_INVALID, last_known, storm_processes, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs_loopback_range]

CLIENTS = 60
LONG = ("phases.duration_s=300",)
"""For a storm that is killed, however late."""
LONGEST_S = 240
"""Of a command with a run and its report; each of its parts starts in seconds on a busy machine."""

TIMELINE = """event=[
    {at_s=1, do="kill_pod", pod=1, restart_after_s=0.5},
    {at_s=4, do="pause_pod", pod=0, for_s=1},
    {at_s=6, do="scale", pods=3},
    {at_s=9, do="nginx_reload"},
    {at_s=10, do="set_limit", limit="per-ip"},
    {at_s=11, do="drop_all"},
    {at_s=13, do="scale", pods=2},
    {at_s=14, do="nginx_restart"},
]"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    event = " ".join(TIMELINE.split())
    with agents() as made:
        with made.storm(
            *("run", "--retries", "0"),
            # Patient clients: what is tested is not how soon a busy machine gets them back.
            sets=(event, "fleet.stale_after_s=6", "fleet.connect_timeout_s=4", "phases.duration_s=20"),
            runs=folder,
        ) as storm:
            output, _ = storm.communicate(timeout=LONGEST_S)
        assert storm.returncode in GOOD_OR_INVALID, output
        wait_for("hosts that are idle again", made.idle)
    (path,) = find_runs([folder / "latest"])
    return Run.load(path)


def test_a_run_on_a_site_is_whole(run: Run) -> None:
    assert run.info.status == "complete"
    assert run.column("t_s")[-1] == 19
    assert last_known(run, "connected") == CLIENTS
    for name in ("gateway.conf", "gateway.conf.before", "access.log", "error.log"):
        assert (run.directory / "nginx" / name).exists(), name
    assert {path.name for path in (run.directory / "pods").iterdir()} >= {"pod-0.log", "pod-1.log"}


def test_every_event_works_there(run: Run) -> None:
    ended = {line["event"]: line for line in run.events if line.get("phase") == "end"}
    assert ended["kill_pod"]["clients"] == pytest.approx(CLIENTS / 2, abs=5)
    assert ended["scale"]["pods"] == 2
    assert {row["pod"] for row in run.pods} == {0, 1, 2}
    standing = [row["ticks"] or 0 for row in run.between(4, 9)]
    assert min(standing) < 0.8 * CLIENTS * 5
    dropped = [row["disconnects"] or 0 for row in run.between(14, 20)]
    # Those of the pod that left a second before may not be back yet.
    assert sum(dropped) >= (run.between(13, 14)[0]["connected"] or 0) > 0
    before, after = (
        (run.directory / "nginx" / name).read_text() for name in ("gateway.conf.before", "gateway.conf")
    )
    assert "limit_req_zone" not in before
    assert "limit_req_zone" in after


def test_clients_have_addresses_of_their_own_by_proxy_protocol(run: Run) -> None:
    assert run.info.scenario["fleet"]["source"] == "proxy-protocol"
    lines = read_access_log(run.directory / "nginx" / "access.log")
    assert len({line.remote_address for line in lines}) == CLIENTS


def test_cpu_comes_from_the_hosts_and_the_rest_is_known_on_one_machine(run: Run) -> None:
    assert run.info.machine["cpu_from"] in {"processes", "cgroup v1", "cgroup v2"}
    assert run.info.machine["kernels"] == 1
    assert run.info.clocks == ()
    for name in ("pod_cpu", "nginx_cpu", "generator_cpu", "foreign_cpu"):
        known = [cell for row in run.between(0, 20) if (cell := row.get(name)) is not None]
        assert len(known) > 10, name
        assert max(known) > 0 or name == "foreign_cpu", name


def test_a_storm_that_is_killed_leaves_idle_hosts(tmp_path: Path) -> None:
    with agents() as made:
        wait_for("a pod behind nginx", lambda: made.edge() == "ready")
        with made.storm("run", sets=("gateway.pods=4",), runs=tmp_path) as refused:
            output, _ = refused.communicate(timeout=LONGEST_S)
        assert refused.returncode == 2
        assert "needs 4 gateway hosts, 3 are running" in output
        with made.storm("run", "--retries", "0", sets=LONG, runs=tmp_path) as storm:
            wait_for("a storm", lambda: _has_begun(tmp_path), BEGINS_S)
            assert made.health(EDGE) == "taken"
            with made.storm("run", "--retries", "0", sets=(), runs=tmp_path / "second") as second:
                output, _ = second.communicate(timeout=LONGEST_S)
            assert second.returncode == 5
            assert "in use by another run" in output
            storm.send_signal(signal.SIGKILL)
            storm.communicate()
        wait_for("idle hosts", made.idle)
        wait_for("a pod behind nginx", lambda: made.edge() == "ready")
        wait_for("an end of all generators", lambda: not _processes("locustfile"))
        wait_for("a pod on each host", lambda: _processes("gateway_stub") == len(PODS))


def test_a_standing_generator_takes_part_and_is_free_again_when_its_storm_was_killed(tmp_path: Path) -> None:
    with agents(workers=1) as made:
        options, folder = ("run", "--retries", "0"), tmp_path / "killed"
        with made.storm(*options, sets=LONG, runs=folder) as killed:
            wait_for("a storm", lambda: _has_begun(tmp_path), BEGINS_S)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        wait_for("idle hosts", made.idle)
        with made.storm(
            *options, sets=("fleet.stale_after_s=0", "phases.duration_s=8"), runs=tmp_path / "whole"
        ) as storm:
            output, _ = storm.communicate(timeout=LONGEST_S)
        assert storm.returncode in GOOD_OR_INVALID, output
    (path,) = find_runs([tmp_path / "whole" / "latest"])
    run = Run.load(path)
    assert run.info.status == "complete"
    assert last_known(run, "connected") == CLIENTS
    (clock,) = run.info.clocks
    assert abs(clock.offset_ns) <= clock.error_ns + 1_000_000, "it is the same clock"
    for name in ("generator_cpu", "foreign_cpu"):
        assert any(row.get(name) is not None for row in run.between(0, 8)), name


def _processes(of: str) -> int:
    """How many run by now with this in their command line; who was killed may end a moment later."""
    found = 0
    for process in storm_processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += of in " ".join(process.cmdline())
    return found


def _has_begun(runs: Path) -> bool:
    """Whether some seconds of a run have been written."""
    return any(len(path.read_text().splitlines()) > 3 for path in runs.rglob("series.csv"))
