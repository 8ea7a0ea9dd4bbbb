"""What some tests need besides Python, and what is to be done where a machine has not got it.

A test says `@pytest.mark.needs_haproxy`; where there is none, `tests/conftest.py` skips it, with the reason.
With RECONNECT_STORM_SKIP=forbid, as CI has it, such a test fails, unless no script could help it.
"""

import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from scenarios.host.machine import MachineError
from scenarios.proxies import haproxy
from tests.support import victoriametrics
from tests.support.prometheus import programs

ROOT = Path(__file__).parents[2]
SKIP_VARIABLE = "RECONNECT_STORM_SKIP"
SKIP_VALUES = ("allow", "forbid")


class Need(Struct, frozen=True):
    """Something that a machine may lack."""

    what: str
    is_there: Callable[[], bool]
    otherwise: str
    """What to install or to do."""
    required: bool = True
    """Whether RECONNECT_STORM_SKIP=forbid insists on it."""

    @property
    def reason(self) -> str:
        """Why a test is skipped."""
        return f"{self.what}: found none; {self.otherwise}"


def succeeds(*command: str) -> bool:
    """Whether that program is there and ends well."""
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


COMPOSE_VARIABLE = "RECONNECT_STORM_COMPOSE"
"""Which compose the container tests use, such as `docker-compose` where `docker compose` is there as well."""


@functools.cache
def compose_command() -> Sequence[str]:
    """The compose that is asked for, or else version 2 as a plugin, or else `docker-compose`."""
    if asked := os.environ.get(COMPOSE_VARIABLE, "").split():
        return asked
    return ("docker", "compose") if succeeds("docker", "compose", "version") else ("docker-compose",)


def _haproxy() -> bool:
    try:
        haproxy.executable()
    except MachineError:
        return False
    return True


def _chromium() -> bool:
    # Costs a moment, which only tests of pages are to pay.
    from tests.support.chromium import find_chromium

    try:
        find_chromium()
    except FileNotFoundError:
        return False
    return True


def _namespaces() -> bool:
    # Makes one, which only tests of several hosts are to pay for.
    from tests.e2e.network import available as can_make_hosts

    return can_make_hosts()


def _two_cores() -> bool:
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) >= 2


def _loopback_range() -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.11.12.1", 0))
        except OSError:
            return False
    return True


NEEDS: Mapping[str, Need] = {
    "haproxy": Need("HAProxy", _haproxy, "install the package haproxy, or run .ci/haproxy"),
    "chromium": Need("Chromium or Chrome", _chromium, "install the package chromium, or run .ci/browser"),
    "prometheus": Need(
        "Prometheus with promtool",
        lambda: bool(programs()),
        "install the package prometheus, or run .ci/prometheus",
    ),
    "victoriametrics": Need(
        "VictoriaMetrics with OpenTelemetry",
        lambda: victoriametrics.program() is not None,
        "run .ci/prometheus on Debian 12, or install the package victoria-metrics of Debian 13",
        # Where the packages of Debian 13 cannot be had, nobody can help it.
        required=False,
    ),
    "node": Need(
        "Node with npm",
        lambda: shutil.which("node") is not None and shutil.which("npm") is not None,
        "install the packages nodejs and npm, or run .ci/node",
    ),
    "docker": Need(
        "a Docker engine with compose",
        lambda: succeeds("docker", "info") and succeeds(*compose_command(), "version"),
        "start one, or run .ci/engine",
    ),
    "namespaces": Need(
        "network namespaces, with devices that join them",
        _namespaces,
        "be root on Linux, and install the package iproute2, or run .ci/network",
        # A kernel without tun devices gets none from a package.
        required=False,
    ),
    "git": Need("git", lambda: shutil.which("git") is not None, "install the package git"),
    "checkout": Need(
        "a commit of this project",
        lambda: succeeds("git", "-C", str(ROOT), "rev-parse", "--verify", "HEAD^{commit}"),
        "run the tests in a clone that git is allowed to read",
    ),
    "openssl": Need("openssl", lambda: shutil.which("openssl") is not None, "install the package openssl"),
    "two_cores": Need(
        "two cores to which processes can be pinned",
        _two_cores,
        "use Linux, on a machine that lets them have two",
    ),
    "loopback_range": Need(
        "addresses of 127/8 besides 127.0.0.1",
        _loopback_range,
        "use Linux, or give the loopback interface those addresses",
    ),
}


@functools.cache
def available(name: str) -> bool:
    """Whether this machine has it; looks once."""
    return NEEDS[name].is_there()
