"""Asks pods how they are, and acts on it: takes them out of nginx's upstream, or kills and restarts them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
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


Ask = Callable[[Pod], Awaitable[bool]]
Judge = Callable[[Pod, int], Awaitable[bool]]


class Orchestrator:
    """Probes all pods of a gateway until it is told to end, or cancelled.

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
        self._ended = asyncio.Event()

    def end(self) -> None:
        """From now on it asks and judges no pod; one that it is restarting still comes back."""
        self._ended.set()

    async def run(self) -> None:
        """Returns once it has been told to end, and has brought back every pod that it has killed."""
        async with asyncio.TaskGroup() as tasks:
            keepers: dict[int, asyncio.Task[None]] = {}
            while not self._ended.is_set():
                for pod in self._gateway.pods:
                    if pod.index not in keepers and not pod.withdrawn:
                        keepers[pod.index] = tasks.create_task(self._keep(pod))
                await self._wait(self._probes.period_s)

    async def _keep(self, pod: Pod) -> None:
        """Asks a pod by each of its probes: a probe that waits for its answer does not hold up the other."""
        if self._probes.conflated:
            await self._watch(pod, self._ask_ready, (self._judge_ready, self._judge_live))
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(pod, self._ask_ready, (self._judge_ready,)))
            tasks.create_task(self._watch(pod, self._ask_live, (self._judge_live,)))

    async def _watch(self, pod: Pod, ask: Ask, judges: tuple[Judge, ...]) -> None:
        """One probe of a pod. judges: what to do after so many failures; True where the pod is a new one."""
        failed = 0
        was_there = True
        # A modelled pod has a clock of its own.
        now_s = asyncio.get_running_loop().time
        while not pod.withdrawn and not self._ended.is_set():
            began_s = now_s()
            if not pod.ready:
                # Whoever starts it awaits it; it is asked once it is there, and has had its time.
                was_there, failed = False, 0
            elif not was_there:
                was_there = True
                if pod.ejected:
                    await self._eject(pod, ejected=False)
                await self._wait(self._probes.grace_s)
            else:
                failed = 0 if await ask(pod) else failed + 1
                for judge in judges:
                    # Somebody may have ended it, or these probes, while it was asked.
                    if _is_there(pod) and not self._ended.is_set() and await judge(pod, failed):
                        was_there, failed = False, 0
            await self._wait(max(0.0, began_s + self._probes.period_s - now_s()))

    async def _wait(self, seconds: float) -> None:
        """Waits so long, or until it is told to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def _ask_ready(self, pod: Pod) -> bool:
        return await pod.is_ready(self._probes.timeout_s)

    async def _ask_live(self, pod: Pod) -> bool:
        return await pod.is_live(self._probes.liveness_timeout_s)

    async def _judge_ready(self, pod: Pod, failed: int) -> bool:
        if pod.ejected and not failed:
            await self._eject(pod, ejected=False)
        elif not pod.ejected and failed >= self._probes.failures:
            await self._eject(pod, ejected=True)
        return False

    async def _judge_live(self, pod: Pod, failed: int) -> bool:
        if failed < self._probes.failures:
            return False
        await self._replace(pod)
        return True

    async def _replace(self, pod: Pod) -> None:
        gateway = self._gateway
        with gateway.coming_back(pod.index):
            clients = await gateway.kill(pod.index)
            self._note("pod_killed", pod=pod.index, clients=clients, by="liveness probe")
            await asyncio.sleep(self._probes.restart_after_s)
            if await gateway.restart(pod.index):
                self._note("pod_restarted", pod=pod.index)

    async def _eject(self, pod: Pod, *, ejected: bool) -> None:
        pod.ejected = ejected
        await self._route()
        self._note("pod_ejected" if ejected else "pod_readmitted", pod=pod.index)


class ProbesInForce:
    """The probes of one run, of which the last ones are in force."""

    def __init__(self) -> None:
        self._last: Orchestrator | None = None

    async def run(self, orchestrator: Orchestrator) -> None:
        """Probes in this way, and in no other, until the next one takes its place or it is cancelled."""
        if self._last:
            self._last.end()
        self._last = orchestrator
        await orchestrator.run()


def _is_there(pod: Pod) -> bool:
    return pod.ready and not pod.withdrawn
