"""Envoy in front of the pods: what it runs with, and what its access log says.

A run has four files of it. `gateway.yaml` is the whole as one static configuration, which Envoy has checked
and people can read. `envoy.yaml` is what Envoy is started with; it names `routes.yaml`, with the limit, and
`pods.yaml`, which are read again whenever another file takes their place. The listener stays as it is, and
with it every connection.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.fronts import limit_at
from scenarios.limits import LIMITS, LimitError
from scenarios.model import Scenario
from scenarios.stability import edge_rules
from scenarios.stack.access_log import AccessLine, read_lines
from scenarios.stack.proxies import template

TEMPLATE = Path(__file__).parents[2] / "nginx" / "envoy.yaml.template"

WHOLE = "gateway.yaml"
BOOTSTRAP = "envoy.yaml"
ROUTES = "routes.yaml"
PODS = "pods.yaml"

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


def _expressible(name: str) -> bool:
    try:
        return bool(limit_at("envoy", name).rules)
    except LimitError:
        return False


PLACES = sum(map(_expressible, LIMITS))
"""The most rules that a limit can have: each by name, once."""


def render(
    scenario: Scenario,
    *,
    listen: str,
    pods: Sequence[str],
    directory: Path,
    pod_cores: float | None = None,
) -> dict[str, str]:
    """The files of a scenario, by name. directory: where they are, and where the log goes."""
    whole = template(TEMPLATE)
    values: dict[str, Any] = {
        "balance": scenario.gateway.balance,
        "clients": scenario.fleet.clients,
        "directory": str(directory),
        "dry_run_header": _DRY_RUN_HEADER,
        "listen": listen,
        "log_columns": _LOG_COLUMNS,
        "places": PLACES,
        "pods": pods,
        "proxy_protocol": scenario.fleet.source == "proxy-protocol",
        "rules": edge_rules(scenario, pod_cores=pod_cores),
    }
    parts = {WHOLE: "whole", BOOTSTRAP: "bootstrap", ROUTES: "routes", PODS: "pods"}
    return {name: whole.render(part=part, **values).lstrip("\n") for name, part in parts.items()}


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
