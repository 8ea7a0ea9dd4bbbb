"""The services of docker-compose.yml on a Docker engine, and what that engine says of them."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.support.needs import compose_command

ROOT = Path(__file__).parents[2]
PROJECT = "reconnect-storm-test"
IMAGE = "reconnect-storm"
USER = 1000
GATEWAYS = 2
WORKERS = 2
CLIENTS = 60

SMALL_STORM = (
    f"fleet.clients={CLIENTS}",
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
    """The services, under a project name of their own."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._command = [*compose_command(), "--project-name", PROJECT]
        self._environment = {
            **os.environ,
            "RUNS": str(runs),
            "RECONNECT_STORM_UID": str(USER),
            "RECONNECT_STORM_GID": str(USER),
            "COLUMNS": "200",
        }

    def compose(
        self, *arguments: str, timeout_s: float = 120, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Carries out `docker compose ARGUMENTS`."""
        return subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def up(self, *options: str, gateways: int = GATEWAYS, workers: int = WORKERS) -> None:
        """Brings up so many containers, lost ones among them; returns once all workers have joined."""
        self._environment |= {"GATEWAYS": str(gateways), "WORKERS": str(workers)}
        done = self.compose("up", "--detach", *options, timeout_s=600)
        assert done.returncode == 0, done.stderr
        wait_for(f"{workers} workers", lambda: f"generator_workers {workers}\n" in generator_metrics())

    def start_storm(self, *arguments: str, sets: tuple[str, ...] = SMALL_STORM) -> "subprocess.Popen[str]":
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

    def event_files(self) -> set[Path]:
        """The events of all runs so far, those that go on among them."""
        return set(self.runs.glob("*/*/**/events.jsonl"))

    def await_event(self, name: str, *, before: set[Path]) -> None:
        """Waits until a run that is newer than `before` has noted an event of that name."""
        wait_for(
            name, lambda: any(f'"{name}"' in path.read_text("utf-8") for path in self.event_files() - before)
        )


def wait_for(what: str, condition: Callable[[], Any], *, within_s: float = 60) -> None:
    """Returns once it holds; a server that does not answer yet does not count as a failure."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail(f"waited {within_s:g} s in vain for: {what}")


def generator_metrics() -> str:
    """What the Locust master tells Prometheus. Raises OSError where it does not answer."""
    with urllib.request.urlopen("http://127.0.0.1:8089/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def docker(*arguments: str) -> list[str]:
    """What `docker ARGUMENTS` prints, line by line."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def in_image(*command: str) -> str:
    """What a command prints in a container of the image."""
    return "\n".join(docker("run", "--rm", "--entrypoint", command[0], IMAGE, *command[1:]))


def containers(service: str) -> list[str]:
    """Names of the running containers of a service."""
    wanted = (f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={service}")
    return docker("ps", "--format", "{{.Names}}", *(part for text in wanted for part in ("--filter", text)))


def left_behind() -> dict[str, list[str]]:
    """Everything on the engine that belongs to the project, images apart."""
    mine = ("--filter", f"label=com.docker.compose.project={PROJECT}", "--quiet")
    return {
        "containers": docker("ps", "--all", *mine),
        "networks": docker("network", "ls", *mine),
        "volumes": docker("volume", "ls", *mine),
    }
