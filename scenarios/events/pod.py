"""One pod dies, or is frozen for a while."""

import asyncio
from contextlib import nullcontext

from scenarios.events.event import Context, Details, Event, pod_complaint
from scenarios.events.stack import Stack
from scenarios.fields import Index, PositiveSeconds, Seconds


class KillPod(Event, frozen=True, kw_only=True, tag="kill_pod"):
    """A pod is killed with SIGKILL, and restarted some time later; nginx keeps it in the upstream.

    A pod that is already dead is not killed again, and one that another event has restarted is not restarted
    again.
    """

    pod: Index = 0
    """Index of the pod, from 0."""
    restart: bool = True
    """Whether the pod is started again."""
    restart_after_s: Seconds = 1.0
    """Time from the kill to the restart."""

    def complaint(self, context: Context) -> str:
        """The pod has to exist."""
        return pod_complaint(self.pod, context)

    async def strike(self, stack: Stack) -> Details:
        """Kills the pod, waits, and restarts it."""
        gateway = stack.own_gateway
        with gateway.coming_back(self.pod) if self.restart else nullcontext():
            clients = await gateway.kill(self.pod)
            if self.restart:
                await asyncio.sleep(self.restart_after_s)
                await gateway.restart(self.pod)
        return {"pod": self.pod, "clients": clients}


class PausePod(Event, frozen=True, kw_only=True, tag="pause_pod"):
    """A pod is frozen (SIGSTOP) and continues with SIGCONT: a long garbage collection, a frozen host.

    If several pauses overlap, the pod continues when the last one is over. A dead pod cannot be paused, and a
    pod that is killed during a pause restarts without one.
    """

    pod: Index = 0
    """Index of the pod, from 0."""
    for_s: PositiveSeconds = 5.0
    """Duration of the pause."""

    @property
    def lasts_s(self) -> float:
        """As long as it is frozen."""
        return self.for_s

    def complaint(self, context: Context) -> str:
        """The pod has to exist."""
        return pod_complaint(self.pod, context)

    async def strike(self, stack: Stack) -> Details:
        """Freezes the pod, waits, and resumes it in any case."""
        async with stack.own_gateway.paused(self.pod):
            await asyncio.sleep(self.for_s)
        return {"pod": self.pod, "for_s": self.for_s}
