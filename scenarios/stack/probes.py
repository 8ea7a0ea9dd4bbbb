"""Asks pods how they are, and acts on it: takes them out of nginx's upstream, or kills and restarts them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from scenarios.events.stack import ProbeSettings


class Pod(Protocol):
    """A pod, real or modelled, as far as it is probed."""

    index: int
    ejected: bool

    @property
    def ready(self) -> bool:
        """Whether its process has said that it is ready, and has not been told to end."""
        ...

    @property
    def withdrawn(self) -> bool:
        """Whether it is to leave for good."""
        ...

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it is ready."""
        ...

    async def is_live(self, timeout_s: float) -> bool:
        """Whether it says in time that it is alive."""
        ...


class Gateway(Protocol):
    """The pods of a gateway, as far as they are probed."""

    @property
    def pods(self) -> Sequence[Pod]:
        """All that there have been."""
        ...

    @property
    def addresses(self) -> Sequence[str]:
        """Of the pods that the proxy knows."""
        ...

    async def kill(self, index: int) -> int:
        """Ends a pod at once; returns how many clients it had."""
        ...

    async def restart(self, index: int) -> bool:
        """Starts a pod that has ended; returns whether it is there, once it is ready."""
        ...

    def coming_back(self, index: int) -> AbstractContextManager[None]:
        """As long as this lasts, the pod counts as one that is there to stay, dead or not."""
        ...


class Orchestrator:
    """Probes all pods of a gateway until it is cancelled.

    route(): makes the proxy send new connections to the pods that are there now. note(name, **details):
    writes what was done.
    """

    def __init__(
        self,
        probes: ProbeSettings,
        gateway: Gateway,
        *,
        route: Callable[[], Awaitable[None]],
        note: Callable[..., Any],
    ) -> None:
        self._probes = probes
        self._gateway = gateway
        self._route = route
        self._note = note

    async def run(self) -> None:
        """Never returns; cancel it."""
        async with asyncio.TaskGroup() as tasks:
            keepers: dict[int, asyncio.Task[None]] = {}
            while True:
                for pod in self._gateway.pods:
                    if pod.index not in keepers and not pod.withdrawn:
                        keepers[pod.index] = tasks.create_task(self._keep(pod))
                await asyncio.sleep(self._probes.period_s)

    async def _keep(self, pod: Pod) -> None:
        probes = self._probes
        not_ready = not_live = 0
        was_there = True
        while not pod.withdrawn:
            began_s = time.monotonic()
            if not pod.ready:
                # Whoever starts it awaits it; it is asked once it is there, and has had its time.
                was_there, not_ready, not_live = False, 0, 0
            elif not was_there:
                was_there = True
                if pod.ejected:
                    await self._eject(pod, ejected=False)
                await asyncio.sleep(probes.grace_s)
            else:
                ready, live = await self._ask(pod)
                not_ready = 0 if ready else not_ready + 1
                not_live = 0 if live else not_live + 1
                if not _is_there(pod):
                    continue  # somebody has ended it while it was asked
                if pod.ejected != (not_ready >= probes.failures):
                    await self._eject(pod, ejected=not pod.ejected)
                if not_live >= probes.failures and _is_there(pod):
                    await self._replace(pod)
                    was_there, not_ready, not_live = False, 0, 0
                    continue
            await asyncio.sleep(max(0.0, began_s + probes.period_s - time.monotonic()))

    async def _replace(self, pod: Pod) -> None:
        gateway = self._gateway
        with gateway.coming_back(pod.index):
            clients = await gateway.kill(pod.index)
            self._note("pod_killed", pod=pod.index, clients=clients, by="liveness probe")
            await asyncio.sleep(self._probes.restart_after_s)
            if await gateway.restart(pod.index):
                self._note("pod_restarted", pod=pod.index)

    async def _ask(self, pod: Pod) -> tuple[bool, bool]:
        """(ready, live), as far as this orchestrator can tell the two apart."""
        probes = self._probes
        if probes.conflated:
            ready = await pod.is_ready(probes.timeout_s)
            return ready, ready
        ready, live = await asyncio.gather(
            pod.is_ready(probes.timeout_s), pod.is_live(probes.liveness_timeout_s)
        )
        return ready, live

    async def _eject(self, pod: Pod, *, ejected: bool) -> None:
        pod.ejected = ejected
        await self._route()
        self._note("pod_ejected" if ejected else "pod_readmitted", pod=pod.index)


def _is_there(pod: Pod) -> bool:
    return pod.ready and not pod.withdrawn
