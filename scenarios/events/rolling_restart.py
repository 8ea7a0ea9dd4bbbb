"""All pods are restarted, one after the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Seconds


class RollingRestart(Event, frozen=True, kw_only=True, tag="rolling_restart"):
    """One pod after the other is restarted with SIGTERM, until it is ready; each disconnects its clients.

    Pods that have left before their turn are skipped.
    """

    gap_s: Seconds = 2.0
    """Time from the readiness of a pod to the restart of the next one."""
    leave_upstream: bool = False
    """As with an orchestrator, a pod leaves the proxy's upstream before its SIGTERM, and is back in it once
    it is ready. Otherwise the proxy sends clients to it all the time. The last pod of an upstream stays."""

    async def strike(self, stack: Stack) -> Details:
        """Restarts all pods that run now, and still run at their turn."""
        gateway = stack.own_gateway
        restarted = 0
        for position, pod in enumerate(gateway.running):
            if position:
                await asyncio.sleep(self.gap_s)
            if pod not in gateway.running:
                continue
            with gateway.coming_back(pod):
                async with out_of_upstream(stack, [pod] if self.leave_upstream else ()):
                    await gateway.terminate(pod)
                    restarted += await gateway.restart(pod)
        return {"pods": restarted}


@asynccontextmanager
async def out_of_upstream(stack: Stack, pods: Sequence[int]) -> AsyncIterator[None]:
    """As long as this lasts, the proxy sends nobody to these pods.

    Whom something else keeps out as well is back when the last of them lets it in.
    """
    if not pods:
        yield
        return
    with stack.own_gateway.leaving(pods):
        await stack.route()
        yield
    await stack.route()
