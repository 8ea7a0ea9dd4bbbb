"""HAProxy in front of the pods: its program, its configuration, and what its access log says.

Its stick tables know rates over sliding windows, which is another rule than nginx's. So a limit of a rate is
a bucket of tokens, kept in a tag of each key and counted by converters of HAProxy; see the template.

HAProxy as a child of this process.
"""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenarios.host.machine import MachineError, needed_descriptors
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.token_bucket import token_rule
from scenarios.proxies.access_log import AccessLine, read_lines
from scenarios.proxies.base import LocalProxy, complaint, program, template
from scenarios.scenario.edge.balance import POD_COOKIE
from scenarios.scenario.model import POD_HEADER, Scenario
from scenarios.scenario.stability import edge_limits

TEMPLATE = Path(__file__).parents[2] / "nginx" / "haproxy.cfg.template"
CONFIGURATION = "haproxy.cfg"

_BALANCE = {
    "least_conn": "leastconn",
    "round_robin": "roundrobin",
    "hash": "source",
    "ip_hash": "hash src,ipmask(24,128)",
    "cookie": "leastconn",
}
_LOG_COLUMNS = (
    "%[date(0,us)]",
    "%[date(0,us),sub(txn.at)]",
    "%ci",
    "%HM",
    "%ST",
    "%[var(txn.limit)]",
    "%si:%sp",
    "%[var(txn.answered)]",
    "%[var(txn.transport)]",
    "%[var(txn.sid)]",
)


def executable() -> Path:
    """The system's HAProxy. Raises MachineError where there is none."""
    found = program("haproxy")
    if found is None:
        raise MachineError("HAProxy: not on the PATH: expected the system's package")
    return found


def render(
    scenario: Scenario,
    *,
    listen: str,
    pods: Sequence[str],
    trusted: Sequence[str] = (),
    pod_cores: float | None = None,
    certificate: Path | None = None,
) -> str:
    """The configuration of a scenario.

    trusted: networks whose PROXY protocol headers count. certificate: with `edge.tls`, the file of
    certificate and key.
    """
    limits = edge_limits(scenario, pod_cores=pod_cores)
    settings = scenario.edge.haproxy_in_force
    return template(TEMPLATE).render(
        balance=_BALANCE[scenario.gateway.balance],
        clients=scenario.fleet.clients,
        cookie=POD_COOKIE if scenario.gateway.balance == "cookie" else "",
        # It takes two descriptors for each, and some for itself.
        connections=needed_descriptors(scenario.fleet.clients) // 2 - 64,
        haproxy=settings,
        time=haproxy_time,
        timeouts={
            "connect": settings.timeout_connect_s,
            "client": settings.timeout_client_s,
            "server": settings.timeout_server_s,
            "tunnel": settings.timeout_tunnel_s,
        },
        listen=listen,
        log_columns=_LOG_COLUMNS,
        path=scenario.gateway.path,
        pod_header=POD_HEADER if scenario.numbered_per_pod else "",
        pods=pods,
        proxy_protocol=scenario.fleet.source == "proxy-protocol",
        rules=limits.rules,
        windows=limits.windows,
        in_flight=limits.in_flight,
        stock=scenario.edge.defaults == "stock",
        refusal=limits.refusal,
        dry_run=limits.dry_run,
        token=token,
        tls=scenario.edge.tls,
        certificate=certificate,
        token_rule=token_rule,
        trusted=trusted,
    )


def token(rule: EdgeRule) -> str:
    """The header or the cookie that a rule counts by, as a sample."""
    kind, _, name = rule.token.partition(":")
    return f"req.cook({name})" if kind == "cookie" else f"req.fhdr({name})"


def haproxy_time(seconds: float) -> str:
    """A time as HAProxy writes it."""
    millis = max(1, round(seconds * 1000))
    return f"{millis}ms" if millis % 1000 else f"{millis // 1000}s"


def version() -> str:
    """As it tells it itself, such as `2.6.12-1+deb12u4`."""
    done = subprocess.run([executable(), "-v"], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.partition("version ")[2].split(" ")[0]


def check_syntax(configuration: Path, binary: Path | None = None) -> str:
    """What `haproxy -c` says against the file; empty when it accepts it."""
    return complaint([binary or executable(), "-c", "-f", configuration])


def access_line(row: Sequence[str]) -> AccessLine:
    """A line of its access log."""
    return AccessLine(
        ended_wall_s=float(row[0]) / 1e6,
        remote_address=row[2],
        status=int(row[4]),
        limit_status=row[5],
        upstream_status=row[7],
    )


def read_access_log(path: Path) -> list[AccessLine]:
    """All whole lines of its access log, among what it says of itself."""
    return read_lines(path, access_line)


class LocalHaproxy(LocalProxy):
    """HAProxy in front of the pods; old workers keep the connections that they have when it is reloaded."""

    name = "haproxy"

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        cores: tuple[int, ...] = (),
        binary: Path | None = None,
    ) -> None:
        super().__init__(port=port, directory=directory, cores=cores, binary=binary or executable())
        self._configuration = self.directory / CONFIGURATION

    @property
    def log(self) -> Path:
        """Its access log goes to standard output, and what it says of itself beside it."""
        return self.directory / "access.log"

    def arguments(self) -> list[str]:
        """A master that stays a child of ours, and a worker."""
        return ["-W", "-db", "-f", str(self._configuration)]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Writes the configuration and lets HAProxy check it."""
        self.write(CONFIGURATION, files[CONFIGURATION])
        self.accept(CONFIGURATION, check_syntax(self._configuration, self.binary))

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once there is a new worker."""
        await self.renew_workers(signal.SIGUSR2)
