"""A pod that is a copy of the user's own gateway: it takes no orders, and the system tells about it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from msgspec.structs import replace

from gateway_stub.protocol import Controls
from scenarios.host.hosts import PodHost
from scenarios.host.process import Child, StackError, Watch, last_lines
from scenarios.programs.kept import KeptProgram, start_kept
from scenarios.programs.log_limit import cut_log
from scenarios.programs.metrics_endpoint import ask_gauges
from scenarios.programs.placeholders import invocation
from scenarios.programs.readiness import answers, opens_session
from scenarios.programs.tree import Connections, Tree, TreeUse, listening_ports
from scenarios.scenario.model import Scenario
from scenarios.stack.pod import Pod
from scenarios.wire.pod_second import PodSecond

_SECOND_NS = 1_000_000_000
_ASKED = 8
"""So many times a gauge is looked for before it is said to be missing."""
_METRICS_TIMEOUT_S = 0.8
"""Shorter than a second, so that every second is asked anew."""


class OwnPod(Pod):
    """A pod behind the user's command.

    values: of placeholders, besides those of the pod. on_crash: called with the index and the process when
    that has ended by itself, in a run that goes on without it; see `tolerant`.
    """

    def __init__(
        self,
        index: int,
        scenario: Scenario,
        *,
        host: PodHost,
        log: Path,
        descriptors: int,
        cores: tuple[int, ...],
        epoch_ns: int,
        values: Mapping[str, str | int | float],
        http: aiohttp.ClientSession,
        connections: Connections,
        watch: Watch,
        on_second: Callable[[int, PodSecond], None],
        on_crash: Callable[[int, KeptProgram], Awaitable[None]],
        note: Callable[..., Any],
    ) -> None:
        super().__init__(index, host=host, log=log, watch=watch, on_second=on_second)
        self.ready_timeout_s = scenario.gateway.start_timeout_s
        self.tolerant = False
        """The run goes on when the process ends by itself."""
        self._scenario = scenario
        self._descriptors = descriptors
        self._cores = cores
        self._epoch_ns = epoch_ns
        self._values = {**values, "port": host.port, "pod": index, "host": host.listen}
        self._http = http
        self._connections = connections
        self._on_crash = on_crash
        self._note = note
        self._found_gauges: set[str] = set()
        self._asked = 0
        self._crashes: set[asyncio.Task[None]] = set()

    async def launch(self, controls: Controls) -> Child:  # noqa: ARG002 - there is nothing to control
        """Starts the user's command."""
        environment = {"PORT": str(self.host.port), "HOST": self.host.listen, "POD": str(self.index)}
        gateway = self._scenario.gateway
        return await start_kept(
            self.name,
            gateway,
            invocation(gateway, self._values, environment=environment),
            folder=Path(self._scenario.folder),
            log=self._log,
            cores=self._cores,
            descriptors=self._descriptors,
        )

    def guard(self, child: Child) -> None:
        """Fails the run when the process ends by itself, or tells of it where the run goes on."""
        task = asyncio.create_task(self._await_end(child))
        self._crashes.add(task)
        task.add_done_callback(self._crashes.discard)

    async def release(self) -> None:
        """Forgets what is still to be told of crashes."""
        for task in self._crashes:
            task.cancel()
        await asyncio.gather(*self._crashes, return_exceptions=True)

    def check_start(self, child: Child) -> None:
        """Raises StackError where the process has ended before it was ready, unless the run goes on."""
        if not self.tolerant:
            super().check_start(child)

    def not_ready(self) -> str:
        """Names the port, and those on which the process listens instead."""
        said = f"{self.name} was not ready on port {self.host.port} within {self.ready_timeout_s:g} s"
        if isinstance(self.child, KeptProgram):
            others = [port for port in listening_ports(self.child) if port != self.host.port]
            if others:
                said += (
                    f"; it listens on {', '.join(map(str, others))}: expected the port in PORT, or {{port}}"
                )
        last = last_lines(self._log, 1)
        return f"{said}; {self._log}: {last[0]}" if last else f"{said}; {self._log} is empty"

    async def is_live(self, timeout_s: float) -> bool:
        """Whether the liveness path is answered with 200 in time."""
        return await self._answers(self._scenario.gateway.liveness_path, timeout_s)

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether the readiness path is answered with 200 in time, or an Engine.IO session is opened."""
        gateway = self._scenario.gateway
        if gateway.ready_path:
            return await self._answers(gateway.ready_path, timeout_s)
        return await opens_session(self._http, f"http://{self.address}{gateway.path}", timeout_s)

    async def _answers(self, path: str, timeout_s: float) -> bool:
        return await answers(self._http, f"http://{self.address}{path}", timeout_s)

    async def drop(self, share: float, seed: int) -> int:  # noqa: ARG002
        """Nothing: it takes no orders."""
        return 0

    async def drain(self, window_s: float, close_code: int | None, seed: int) -> int:  # noqa: ARG002
        """Nothing, likewise: it closes sessions when it is told to end, in its own way."""
        return 0

    async def control(self, controls: Controls) -> bool:
        """Nothing: what could be told to it is refused when a scenario is loaded."""
        self.in_force = controls
        return True

    async def report(self, child: Child) -> None:
        """Looks at the processes once a second, until they have ended."""
        assert isinstance(child, KeptProgram)  # noqa: S101 - `launch` has made it
        tree = Tree(child)
        last = tree.use()
        while not child.ended():
            next_ns = (time.monotonic_ns() - self._epoch_ns) // _SECOND_NS + 1
            delay_s = (self._epoch_ns + next_ns * _SECOND_NS - time.monotonic_ns()) / 1e9
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), max(0.0, delay_s))
            now = tree.use()
            if not now.main_ns or now.t_ns - last.t_ns < _SECOND_NS // 20:
                continue
            self.tell(await self._second(last, now))
            last = now
            if cut_log(self._log):
                self._note("log_cut", log=self._log.name)

    async def _second(self, last: TreeUse, now: TreeUse) -> PodSecond:
        span_ns, busiest_ns = now.t_ns - last.t_ns, now.busiest_ns(last)
        second = PodSecond(
            t_ns=now.t_ns,
            span_ns=span_ns,
            cpu_ns=now.cpu_ns - last.cpu_ns,
            rss_bytes=now.rss_bytes,
            occupied_ns=None if busiest_ns is None else min(busiest_ns, span_ns),
            clients=self._connections.to(self.host.port),
        )
        metrics = self._scenario.gateway.metrics
        if metrics is None or self.paused:
            return second
        port = metrics.port + self.index if metrics.port else self.host.port
        names = {metrics.loop_utilisation, metrics.loop_lag, metrics.clients} - {""}
        url = f"http://{self.host.address}:{port}{metrics.path}"
        told = await ask_gauges(self._http, url, names, _METRICS_TIMEOUT_S)
        self._found_gauges |= told.keys()
        self._asked += 1
        if self._asked == _ASKED and (missing := sorted(names - self._found_gauges)):
            self._note("gauges_missing", pod=self.index, path=metrics.path, gauges=missing)
        # Of several samples, such as one for each worker, loops count by the busiest, and clients together.
        if 0 <= (share := max(told.get(metrics.loop_utilisation, [-1.0]))) <= 1:
            second = replace(second, occupied_ns=round(share * second.span_ns))
        if lags_s := told.get(metrics.loop_lag):
            second = replace(second, lag_ms=max(lags_s) * 1000)
        if clients := told.get(metrics.clients):
            second = replace(second, clients=round(sum(clients)))
        return second

    async def _await_end(self, child: Child) -> None:
        await child.wait()
        if not self.has(child):
            return
        if not self.tolerant:
            self._watch.tell(child.ended_by_itself())
            return
        async with self._changing:
            if not self.has(child):
                return
            self.forget()
        assert isinstance(child, KeptProgram)  # noqa: S101
        try:
            await self._on_crash(self.index, child)
        except StackError as error:
            self._watch.tell(error)
