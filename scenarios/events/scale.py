"""More pods, or fewer."""

import asyncio
from collections.abc import Sequence

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Count


class Scale(Event, frozen=True, kw_only=True, tag="scale"):
    """The number of pods becomes `pods`: new pods join the proxy's upstream by a reload when they are ready;
    surplus pods leave the upstream and are stopped.

    A dead pod that is about to be restarted counts. If several `scale` events overlap, the last one applies.
    One that begins during a deploy waits until all new pods of that are there.
    """

    kind = "mitigation"

    pods: Count
    """Number of pods afterwards."""

    async def strike(self, stack: Stack) -> Details:
        """Starts or stops the difference."""
        gateway = stack.own_gateway
        async with gateway.replacing:
            there = gateway.running
        surplus = there[self.pods :]
        added = await gateway.add(self.pods - len(there)) if self.pods > len(there) else 0
        await retire(stack, surplus)
        return {"pods": self.pods, "added": added, "removed": len(surplus)}


async def retire(stack: Stack, pods: Sequence[int], *, pre_stop_s: float = 0.0, drain_s: float = 0.0) -> None:
    """Pods leave the proxy's upstream for good, and end one after the other.

    pre_stop_s: from the one to the other. drain_s: that a pod has for its clients.
    """
    gateway = stack.own_gateway
    gateway.withdraw(pods)
    await stack.route()
    await asyncio.sleep(pre_stop_s)
    for pod in pods:
        await gateway.terminate(pod, drain_s)
