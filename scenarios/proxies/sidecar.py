"""The proxy beside one pod: its configuration, its process, and what it says of itself."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
import psutil
from msgspec import Struct

from scenarios.host.machine import needed_descriptors
from scenarios.host.process import LocalChild, StackError, Watch, start
from scenarios.proxies.base import template
from scenarios.proxies.sidecar_stats import COUNTERS, NO_STATISTICS, SidecarLine, counts_of
from scenarios.scenario.mesh import sidecar_rule
from scenarios.scenario.model import Scenario

TEMPLATE = Path(__file__).parents[2] / "nginx" / "sidecar.yaml.template"

UNBOUNDED = 1_000_000_000
_LONGEST_EJECTION_S = 300
_READY_S = 30.0
_READY_POLL_S = 0.05
_ANSWER_S = 0.5
_STATISTICS = {"format": "json", "filter": f"^({'|'.join(map(re.escape, COUNTERS.values()))})$"}


class Ports(Struct, frozen=True):
    """Where a sidecar listens, on this machine's loopback."""

    traffic: int
    admin: int


def render(scenario: Scenario, *, name: str, pod: str, ports: Ports, directory: Path) -> str:
    """The configuration of the sidecar of the pod at `pod`; `directory` is for logs, and has the switch."""
    mesh, rule = scenario.mesh, sidecar_rule(scenario.mesh)
    pod_address, _, pod_port = pod.rpartition(":")
    conditions = ["retriable-status-codes" if on == "503" else on for on in mesh.retry_on]
    return template(TEMPLATE).render(
        name=name,
        port=ports.traffic,
        admin_port=ports.admin,
        pod_address=pod_address,
        pod_port=pod_port,
        switch=switch_of(directory),
        log=directory / f"{name}.access.log",
        mesh=mesh,
        peer=mesh.source == "peer",
        retry_on=",".join(conditions),
        rule=rule,
        fill_interval_s=60 if rule and rule.rate.per == "m" else 1,
        clients=scenario.fleet.clients,
        unbounded=UNBOUNDED,
        max_ejection_s=max(_LONGEST_EJECTION_S, mesh.outlier_ejection_s),
    )


def switch_of(directory: Path) -> Path:
    """The file that says whether the limit is in force at all sidecars of a run."""
    return directory / "limit.yaml"


class Sidecar:
    """One Envoy, from its start to its end; its pod may come and go meanwhile."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        pod: int,
        pod_address: str,
        ports: Ports,
        directory: Path,
        http: aiohttp.ClientSession,
    ) -> None:
        self.name = f"sidecar-{pod}"
        self.pod = pod
        self.address = f"127.0.0.1:{ports.traffic}"
        """Where the proxy sends what is for the pod."""
        self.configuration = directory / f"{self.name}.yaml"
        self.child: LocalChild | None = None
        self._text = render(
            scenario, name=self.name, pod=pod_address, ports=ports, directory=directory.resolve()
        )
        self._descriptors = needed_descriptors(scenario.fleet.clients)
        self._admin = f"http://127.0.0.1:{ports.admin}"
        self._log = directory / f"{self.name}.log"
        self._http = http
        self._last_ns = self._last_cpu_ns = 0
        self._last_counts: Mapping[str, int] = dict.fromkeys(COUNTERS, 0)

    def write(self) -> None:
        """Puts the configuration where the process will read it."""
        self.configuration.write_text(self._text, encoding="utf-8")

    async def start(self, binary: Path, cores: Sequence[int], watch: Watch) -> None:
        """Starts the process; see `await_ready`."""
        self.child = await start(
            self.name,
            [
                *(str(binary), "-c", str(self.configuration), "--concurrency", "1"),
                *("--disable-hot-restart", "--log-level", "error", "--file-flush-interval-msec", "1000"),
            ],
            log=self._log,
            cores=cores,
            descriptors=self._descriptors,
        )
        watch.over(self.child)
        self._last_ns = time.monotonic_ns()

    async def await_ready(self) -> None:
        """Returns once it takes connections. Raises StackError where that takes too long."""
        await self._until(lambda body: body.strip() == "LIVE", "/ready", "was not ready")

    async def await_limit(self) -> None:
        """Returns once it has read that the limit is in force. Raises StackError where it does not."""
        await self._until(_is_limited, "/runtime", "did not take the limit")

    async def stop(self, watch: Watch) -> None:
        """Ends it, and all connections through it."""
        child = self.child
        if child is not None:
            watch.release(child)
            await child.stop()
            # Who is cancelled before this leaves the process to whoever ends everything.
            self.child = None

    async def read(self) -> SidecarLine | None:
        """What it has used and done since it was read last; None where it is not there."""
        counts, now_ns = await self._counts(), time.monotonic_ns()
        child = self.child
        if child is None:
            return None
        try:
            process = psutil.Process(child.pid)
            times, rss_bytes = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            return None
        cpu_ns = int((times.user + times.system) * 1e9)
        line = SidecarLine(
            t_ns=now_ns,
            span_ns=now_ns - self._last_ns,
            cpu_ns=cpu_ns - self._last_cpu_ns,
            rss_bytes=rss_bytes,
            counts=counts and {name: counts[name] - self._last_counts[name] for name in counts},
        )
        self._last_ns, self._last_cpu_ns = now_ns, cpu_ns
        self._last_counts = counts or self._last_counts
        return line

    async def _counts(self) -> dict[str, int] | None:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        try:
            async with self._http.get(f"{self._admin}/stats", params=_STATISTICS, timeout=timeout) as answer:
                return counts_of(await answer.json(content_type=None))
        except (aiohttp.ClientError, OSError, RecursionError, *NO_STATISTICS):
            return None  # it is busy, or about to end

    async def _until(self, good: Callable[[str], bool], path: str, complaint: str) -> None:
        """Asks until the answer is good; `complaint` is what it did not do in time."""
        try:
            async with asyncio.timeout(_READY_S):
                while not good(await self._ask(path)):
                    if self.child is not None and (error := self.child.ended()):
                        raise error
                    await asyncio.sleep(_READY_POLL_S)
        except TimeoutError:
            raise StackError(f"{self.name} {complaint} within {_READY_S:g} s; see {self._log}") from None

    async def _ask(self, path: str) -> str:
        try:
            async with self._http.get(self._admin + path) as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError, ValueError):
            return ""


def _is_limited(runtime: str) -> bool:
    """Whether Envoy's `/runtime` says that the limit is in force; what is no such answer does not."""
    try:
        return bool(json.loads(runtime)["entries"]["limit.enabled"]["final_value"] == "100")
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
