"""All pods are restarted, one after the other."""

import asyncio
from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event
from scenarios.quantities import Seconds

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


class RollingRestart(Event, frozen=True, kw_only=True, tag="rolling_restart"):
    """One pod after the other is ended with SIGTERM, started again and awaited; each drops its clients."""

    gap_s: Seconds = 2.0
    """Between a pod's readiness and the end of the next one."""

    async def strike(self, stack: "Stack") -> Details:
        """Restarts all that are running now."""
        gateway = stack.own_gateway
        pods = gateway.running
        for position, pod in enumerate(pods):
            if position:
                await asyncio.sleep(self.gap_s)
            await gateway.terminate(pod)
            await gateway.restart(pod)
        return {"pods": len(pods)}
