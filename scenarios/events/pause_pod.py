"""A pod stands still for a while."""

import asyncio

from scenarios.events.event import Context, Details, Event, pod_complaint
from scenarios.events.stack import Stack
from scenarios.fields import Index, PositiveSeconds


class PausePod(Event, frozen=True, kw_only=True, tag="pause_pod"):
    """A pod is stopped with SIGSTOP and goes on with SIGCONT: a long garbage collection, a frozen host.

    Where several pauses overlap, it goes on when the last of them is over. A pod that is dead cannot be
    paused, and one that is killed meanwhile comes back without a pause.
    """

    pod: Index = 0
    for_s: PositiveSeconds = 5.0

    @property
    def lasts_s(self) -> float:
        """As long as it stands still."""
        return self.for_s

    def complaint(self, context: Context) -> tuple[str, object, str] | None:
        """The pod has to be there."""
        return pod_complaint(self.pod, context)

    async def strike(self, stack: Stack) -> Details:
        """Stops it, waits, lets it go on; it goes on in any case."""
        async with stack.own_gateway.paused(self.pod):
            await asyncio.sleep(self.for_s)
        return {"pod": self.pod, "for_s": self.for_s}
