"""More pods, or fewer."""

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Count


class Scale(Event, frozen=True, kw_only=True, tag="scale"):
    """The number of pods becomes `pods`: new pods join the proxy's upstream by a reload when they are ready;
    surplus pods leave the upstream and are stopped.

    A dead pod that is about to be restarted counts. If several `scale` events overlap, the last one applies.
    """

    kind = "mitigation"

    pods: Count
    """Number of pods afterwards."""

    async def strike(self, stack: Stack) -> Details:
        """Starts or stops the difference."""
        gateway = stack.own_gateway
        there = gateway.running
        surplus = there[self.pods :]
        added = await gateway.add(self.pods - len(there)) if self.pods > len(there) else 0
        gateway.withdraw(surplus)
        await stack.route()
        for pod in surplus:
            await gateway.terminate(pod)
        return {"pods": self.pods, "added": added, "removed": len(surplus)}
