"""The containers for real: built, started, stormed, disturbed, and taken down without a trace.

One stack for all tests, which go by their order: bringing it up costs more than any of them.
"""

import os
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.support.needs import compose_command

pytestmark = [pytest.mark.compose, pytest.mark.needs_docker]

ROOT = Path(__file__).parents[2]
PROJECT = "reconnect-storm-test"
USER = 1000
GATEWAYS = 2
WORKERS = 2

SMALL_STORM = (
    "fleet.clients=60",
    "fleet.ramp_per_s=60",
    "fleet.clients_per_ip=1",
    "gateway.handshake_cpu_ms=5",
    "gateway.tick_cpu_us=0",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=8",
    "phases.during_s=3",
    "phases.recovery_window_s=2",
    "phases.rescue_at_s=0",
    "phases.control_s=4",
)
"""`mass-drop` as a storm of a few seconds. Whether it is believed does not matter here."""

GOOD_OR_INVALID = {0, 3}
"""A busy machine may make a run invalid, which is a result and not a failure."""


class Stack:
    """The services of docker-compose.yml, under a project name of their own."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._command = [*compose_command(), "--project-name", PROJECT]
        self._environment = {
            **os.environ,
            "RUNS": str(runs),
            "RECONNECT_STORM_UID": str(USER),
            "RECONNECT_STORM_GID": str(USER),
            "GATEWAYS": str(GATEWAYS),
            "WORKERS": str(WORKERS),
            "COLUMNS": "200",
        }

    def compose(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start_storm(self, *arguments: str, sets: tuple[str, ...] = SMALL_STORM) -> subprocess.Popen[str]:
        """Begins `storm ARGUMENTS`, its output all in one."""
        overrides = [part for override in sets for part in ("--set", override)]
        return subprocess.Popen(
            [*self._command, "run", "--rm", "-T", "storm", *arguments, *overrides],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def storm(self, *arguments: str, sets: tuple[str, ...] = SMALL_STORM) -> tuple[int, str]:
        """Carries out `storm ARGUMENTS`; returns its status and its output."""
        with self.start_storm(*arguments, sets=sets) as process:
            output, _ = process.communicate(timeout=180)
        return process.returncode, output

    def latest(self) -> list[Run]:
        """What the last command left in the runs folder."""
        return [Run.load(path) for path in find_runs([self.runs / "latest"])]


def docker(*arguments: str) -> list[str]:
    """What `docker ARGUMENTS` prints, line by line."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def containers(service: str = "") -> list[str]:
    """Names of the running containers of a service, or of all."""
    filters = [f"label=com.docker.compose.project={PROJECT}"]
    filters += [f"label=com.docker.compose.service={service}"] if service else []
    return docker("ps", "--format", "{{.Names}}", *(part for text in filters for part in ("--filter", text)))


def left_behind() -> dict[str, list[str]]:
    """Everything on the engine that belongs to the project, images apart."""
    mine = ("--filter", f"label=com.docker.compose.project={PROJECT}", "--quiet")
    return {
        "containers": docker("ps", "--all", *mine),
        "networks": docker("network", "ls", *mine),
        "volumes": docker("volume", "ls", *mine),
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    runs = tmp_path_factory.mktemp("runs")
    if os.getuid() == 0:
        os.chown(runs, USER, USER)
    else:
        runs.chmod(0o777)
    stack = Stack(runs)
    try:
        up = stack.compose("up", "--detach", "--build", timeout_s=600)
        assert up.returncode == 0, up.stderr
        yield stack
    finally:
        down = stack.compose("down", "--volumes", "--remove-orphans")
    assert down.returncode == 0, down.stderr
    assert left_behind() == {"containers": [], "networks": [], "volumes": []}


def test_the_services_are_there_and_reachable_from_this_machine_alone(stack: Stack) -> None:
    assert len(containers("gateway")) == GATEWAYS
    assert len(containers("locust-worker")) == WORKERS
    ports = docker("ps", "--format", "{{.Ports}}", "--filter", f"label=com.docker.compose.project={PROJECT}")
    published = [part for line in ports for part in line.split(", ") if "->" in part]
    assert published
    assert all(part.startswith("127.0.0.1:") for part in published), published


def test_a_comparison_of_two_by_two_runs_against_the_containers(stack: Stack) -> None:
    status, output = stack.storm("compare", "--retries", "0")
    assert status in GOOD_OR_INVALID, output
    # A control that others on the machine have disturbed has been played once more.
    runs = [run for run in stack.latest() if not run.info.control]
    assert len(runs) < len(stack.latest())
    assert [run.info.arm for run in runs] == [
        f"{policy} + {limit}" for policy in ("naive", "incident") for limit in ("none", "per-ip")
    ]
    for run in runs:
        assert run.info.status == "complete"
        assert max(value or 0 for value in run.column("useful")) == 60
        assert run.info.machine["pod_cores"] == 0.5
        assert len(run.info.clocks) == WORKERS
        assert all(abs(clock.offset_ns) <= clock.error_ns for clock in run.info.clocks), (
            "one kernel, one clock"
        )
    assert "src=" not in (stack.runs / "latest" / "report.html").read_text(encoding="utf-8")
    assert {path.stat().st_uid for path in stack.runs.rglob("*")} == {USER}


def test_more_pods_than_containers_are_refused_before_anything_starts(stack: Stack) -> None:
    status, output = stack.storm("run", sets=('event=[{at_s=3, do="scale", pods=5}]',))
    assert status == 2, output
    assert f"needs 5 gateway hosts, {GATEWAYS} are running" in " ".join(output.split())
    assert "--scale gateway=5" in " ".join(output.split())


def test_a_pod_that_is_killed_and_a_worker_that_is_lost_are_in_the_record(stack: Stack) -> None:
    faults = 'event=[{at_s=3, do="kill_pod", pod=1}, {at_s=4, do="nginx_reload"}]'
    before = set(find_runs([stack.runs])) if any(stack.runs.iterdir()) else set()
    with stack.start_storm("run", "--retries", "0", sets=(*SMALL_STORM, faults)) as process:
        await_event(stack.runs, "kill_pod", not_in=before)
        docker("kill", containers("locust-worker")[0])
        output, _ = process.communicate(timeout=120)
    assert process.returncode in GOOD_OR_INVALID, output
    (run,) = stack.latest()
    assert run.info.status == "complete"
    events = {line["event"]: line for line in run.events if line.get("phase") != "begin"}
    assert events["kill_pod"]["clients"] > 0
    assert events["worker_lost"]["clients"] == 30
    assert run.column("useful")[-1] == 30, "the other worker's clients are all back"


def await_event(runs: Path, name: str, *, not_in: set[Path], within_s: float = 60) -> None:
    """Waits until a run that is not one of those has noted an event of that name."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        new = {path for path in runs.glob("*/*/**/events.jsonl") if path.parent not in not_in}
        if any(f'"{name}"' in path.read_text(encoding="utf-8") for path in new):
            return
        time.sleep(0.1)
    pytest.fail(f"{name} did not happen within {within_s} s")


def test_the_web_ui_starts_a_test_by_hand(stack: Stack) -> None:
    form = {"user_count": "20", "spawn_rate": "20", "host": "http://nginx:8080"}
    with urllib.request.urlopen(
        "http://127.0.0.1:8089/swarm", urllib.parse.urlencode(form).encode()
    ) as answer:
        assert answer.status == 200
    try:
        until_s = time.monotonic() + 20
        while "generator_useful_clients 20\n" not in generator_metrics() and time.monotonic() < until_s:
            time.sleep(0.5)
        assert "generator_useful_clients 20\n" in generator_metrics()
    finally:
        urllib.request.urlopen("http://127.0.0.1:8089/stop", b"").close()


def generator_metrics() -> str:
    with urllib.request.urlopen("http://127.0.0.1:8089/metrics") as answer:
        text: str = answer.read().decode()
    return text


def test_prometheus_would_find_every_pod_by_the_name_of_the_service(stack: Stack) -> None:
    script = (
        "import socket, urllib.request as u;"
        "found = {a[4][0] for a in socket.getaddrinfo('gateway', 8001, socket.AF_INET)};"
        "pages = [u.urlopen(f'http://{ip}:8001/metrics').read() for ip in found];"
        "print(sum(b'gateway_clients' in page for page in pages))"
    )
    done = stack.compose("exec", "-T", "nginx", "python", "-c", script)
    assert done.stdout.strip() == str(GATEWAYS), done.stderr
