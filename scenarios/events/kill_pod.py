"""A pod dies."""

import asyncio
from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event, pod_complaint
from scenarios.quantities import Index, Seconds

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from scenarios.stack.running import Stack


class KillPod(Event, frozen=True, kw_only=True, tag="kill_pod"):
    """A pod is killed with SIGKILL, and started again some time later; nginx goes on asking it meanwhile."""

    pod: Index = 0
    restart: bool = True
    restart_after_s: Seconds = 1.0

    def complaint(self, scenario: "Scenario") -> tuple[str, object, str] | None:
        """The pod has to be there."""
        return pod_complaint(self.pod, scenario)

    async def strike(self, stack: "Stack") -> Details:
        """Kills it, waits, and starts it again."""
        gateway = stack.own_gateway
        clients = await gateway.kill(self.pod)
        if self.restart:
            await asyncio.sleep(self.restart_after_s)
            await gateway.restart(self.pod)
        return {"pod": self.pod, "clients": clients}
