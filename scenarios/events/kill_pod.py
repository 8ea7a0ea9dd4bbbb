"""A pod dies."""

import asyncio
from contextlib import nullcontext

from scenarios.events.event import Context, Details, Event, pod_complaint
from scenarios.events.stack import Stack
from scenarios.fields import Index, Seconds


class KillPod(Event, frozen=True, kw_only=True, tag="kill_pod"):
    """A pod is killed with SIGKILL, and started again some time later; nginx goes on asking it meanwhile.

    A pod that is dead already is not killed again, and one that somebody else has started by then is not
    started again.
    """

    pod: Index = 0
    restart: bool = True
    restart_after_s: Seconds = 1.0

    def complaint(self, context: Context) -> tuple[str, object, str] | None:
        """The pod has to be there."""
        return pod_complaint(self.pod, context)

    async def strike(self, stack: Stack) -> Details:
        """Kills it, waits, and starts it again."""
        gateway = stack.own_gateway
        with gateway.coming_back(self.pod) if self.restart else nullcontext():
            clients = await gateway.kill(self.pod)
            if self.restart:
                await asyncio.sleep(self.restart_after_s)
                await gateway.restart(self.pod)
        return {"pod": self.pod, "clients": clients}
