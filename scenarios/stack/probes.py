"""Asks pods how they are, and acts on it: takes them out of nginx's upstream, or kills and restarts them."""

import asyncio
import time
from typing import TYPE_CHECKING

from scenarios.stack.pod import Pod
from scenarios.stack.stack import Stack

if TYPE_CHECKING:
    from scenarios.events.probes import Probes


class Orchestrator:
    """Probes all pods of a stack until it is cancelled."""

    def __init__(self, probes: "Probes", stack: Stack) -> None:
        self._probes = probes
        self._stack = stack

    async def run(self) -> None:
        """Never returns; cancel it."""
        async with asyncio.TaskGroup() as tasks:
            keepers: dict[int, asyncio.Task[None]] = {}
            while True:
                for pod in self._stack.own_gateway.pods:
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
        gateway = self._stack.own_gateway
        with gateway.coming_back(pod.index):
            clients = await gateway.kill(pod.index)
            self._stack.note("pod_killed", pod=pod.index, clients=clients, by="liveness probe")
            await asyncio.sleep(self._probes.restart_after_s)
            if await gateway.restart(pod.index):
                self._stack.note("pod_restarted", pod=pod.index)

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
        await self._stack.route()
        self._stack.note("pod_ejected" if ejected else "pod_readmitted", pod=pod.index)


def _is_there(pod: Pod) -> bool:
    return pod.ready and not pod.withdrawn
