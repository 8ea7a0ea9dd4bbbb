"""A storm through sidecars: everybody comes back, a dead pod makes them try again, nothing is left behind."""

import subprocess

import psutil
import pytest

from reports.analysis.judgement import judgement_of
from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.e2e.command_line import (
    GOOD_OR_INVALID,
    SMALL_STORM,
    assert_whole,
    command,
    last_known,
    storm_processes,
)

pytestmark = pytest.mark.e2e

CLIENTS = 60

# The pod that is added has nine seconds to start in, and the limit takes three to let all in again.
TIMELINE = """event=[
    {at_s=1, do="drop_all"},
    {at_s=4, do="kill_pod", pod=1, restart_after_s=2},
    {at_s=7, do="scale", pods=3},
    {at_s=16, do="drop_all"},
]"""
DROPPED_S, KILLED_S = 1, 4

LIMIT = 'mesh.limit={name="per-ip", rate_per_s=10, burst=1}'
"""Two sidecars let twenty in a second: of all together, where they take all for one.

With so small a burst, sidecars that nobody asks for a while let no more in afterwards. Clients that take two
seconds to come back, on a slow machine, are refused all the same.
"""

PATIENT = (
    'fleet.policy={name="full-jitter", base_s=0.4, cap_s=0.4}',
    "fleet.connect_timeout_s=10",
    "fleet.stale_after_s=0",
)
"""Clients hear of every refusal, also where that takes its time."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    sets = (
        *SMALL_STORM,
        *("mesh.sidecar=envoy", "mesh.retries=3", 'mesh.retry_on=["connect-failure", "reset"]'),
        *(LIMIT, "mesh.source=peer", " ".join(TIMELINE.split())),
        *PATIENT,
        *("phases.duration_s=26", "phases.during_s=3", "phases.recovery_window_s=2"),
    )
    folder = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        command("run", "--retries", "0", sets=sets, runs=folder),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode in GOOD_OR_INVALID, done.stdout + done.stderr
    (path,) = find_runs([folder / "latest"])
    run = Run.load(path)
    assert_whole([run])
    return run


def test_everybody_is_served_through_sidecars_and_comes_back(run: Run) -> None:
    assert max(row["useful"] or 0 for row in run.rows) == CLIENTS
    assert last_known(run, "connected") == CLIENTS
    dropped = sum(row["disconnects"] or 0 for row in run.between(DROPPED_S, KILLED_S))
    assert dropped >= CLIENTS - 5, "a sidecar says that its pod has hung up"
    assert not [line for line in run.events if line["event"] == "failed"]


def test_nginx_knows_the_sidecars_alone(run: Run) -> None:
    text = (run.directory / "nginx" / "gateway.conf").read_text(encoding="utf-8")
    for pod in (0, 1, 2):
        sidecar = (run.directory / "sidecars" / f"sidecar-{pod}.yaml").read_text(encoding="utf-8")
        port = sidecar.partition("name: pod\n")[2].partition("port_value: ")[2].partition("}")[0]
        assert f"server 127.0.0.1:{port} " in text


def test_a_pod_that_is_added_has_a_sidecar_of_its_own_from_then_on(run: Run) -> None:
    first_s = {pod: min(row["t_s"] or 0 for row in run.sidecars if row["pod"] == pod) for pod in (0, 1, 2)}
    assert max(first_s[0], first_s[1]) < 1
    assert first_s[2] >= 6
    assert any(row["pod"] == 2 and (row["clients"] or 0) > 0 for row in run.pods)


def test_a_killed_pod_leaves_its_sidecar_which_tries_again(run: Run) -> None:
    rows = [row for row in run.sidecars if row["pod"] == 1 and (row["t_s"] or 0) >= KILLED_S - 1]
    assert sum(row["retries"] or 0 for row in rows) > 0
    assert sum(row["connect_failures"] or 0 for row in rows) > 0, "it goes on while its pod is away"


def test_cpu_and_memory_are_their_own(run: Run) -> None:
    sidecars = judgement_of(run).summary.sidecars
    assert sidecars is not None
    assert sidecars.sidecars == 3
    assert sidecars.cpu_peak is not None
    assert 0 < sidecars.cpu_peak < 1.5
    assert sidecars.rss_mb is not None
    assert 5 < sidecars.rss_mb < 500


def test_nothing_is_left_behind(run: Run) -> None:
    assert storm_processes() == []
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(run.directory) in str(one.info)]


def test_a_limit_at_sidecars_that_lost_the_source_refuses_clients_that_are_alone(run: Run) -> None:
    assert sum(row["limited"] or 0 for row in run.rows if (row["t_s"] or 0) < DROPPED_S) == 0, (
        "not before the fleet is up"
    )
    (size,) = {row["clients_per_ip"] for row in run.shared_ips}
    assert size == 1
    assert sum(row["limited"] or 0 for row in run.between(DROPPED_S, KILLED_S)) > 0
    assert sum(row["joined"] or 0 for row in run.between(DROPPED_S, DROPPED_S + 2)) <= 2 * (2 + 2 * 10)


def test_what_sidecars_refused_is_what_clients_were_refused(run: Run) -> None:
    refused, limited = (sum(row[name] or 0 for row in run.rows) for name in ("sidecar_refused", "limited"))
    assert refused == pytest.approx(limited, rel=0.1, abs=5)
    assert sum(row["nginx_limited"] or 0 for row in run.rows) == 0
