"""More pods, or fewer."""

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Count


class Scale(Event, frozen=True, kw_only=True, tag="scale"):
    """The number of pods becomes `pods`: new ones are started, and join the front's upstream by a reload once
    they are ready; surplus ones leave the upstream and are ended.

    A pod that is dead and about to be started again counts. Of orders that overlap, the last one holds.
    """

    kind = "mitigation"

    pods: Count

    async def strike(self, stack: Stack) -> Details:
        """Starts or ends what it takes."""
        gateway = stack.own_gateway
        there = gateway.running
        surplus = there[self.pods :]
        added = await gateway.add(self.pods - len(there)) if self.pods > len(there) else 0
        gateway.withdraw(surplus)
        await stack.route()
        for pod in surplus:
            await gateway.terminate(pod)
        return {"pods": self.pods, "added": added, "removed": len(surplus)}
