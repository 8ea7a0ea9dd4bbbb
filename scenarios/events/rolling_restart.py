"""All pods are restarted, one after the other."""

import asyncio

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Seconds


class RollingRestart(Event, frozen=True, kw_only=True, tag="rolling_restart"):
    """One pod after the other is ended with SIGTERM, started again and awaited; each drops its clients.

    Pods that have left by the time when it would be their turn are passed over.
    """

    gap_s: Seconds = 2.0
    """Between a pod's readiness and the end of the next one."""

    async def strike(self, stack: Stack) -> Details:
        """Restarts all that are there now, and still are when it is their turn."""
        gateway = stack.own_gateway
        restarted = 0
        for position, pod in enumerate(gateway.running):
            if position:
                await asyncio.sleep(self.gap_s)
            if pod not in gateway.running:
                continue
            with gateway.coming_back(pod):
                await gateway.terminate(pod)
                restarted += await gateway.restart(pod)
        return {"pods": restarted}
