"""The feed sends more ticks a second, or none, while every connection stays up."""

import asyncio
from typing import Annotated

from msgspec import Meta

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import PositiveSeconds


class FeedBurst(Event, frozen=True, kw_only=True, tag="feed_burst"):
    """The feed sends `factor` times as many ticks a second, for so long; afterwards its own rate again.

    A burst that begins during another one takes its place.
    """

    factor: Annotated[float, Meta(gt=0, le=1_000)]
    for_s: PositiveSeconds

    @property
    def lasts_s(self) -> float:
        """As long as the burst."""
        return self.for_s

    async def strike(self, stack: Stack) -> Details:
        """Tells everybody beforehand when the rate rises and falls, and waits until it is over."""
        await stack.burst_feed(self.factor, self.for_s)
        await asyncio.sleep(self.for_s)
        return {"factor": self.factor, "for_s": self.for_s}


class FeedStall(Event, frozen=True, kw_only=True, tag="feed_stall"):
    """No tick goes out for so long, then all that came due meanwhile do, in order.

    Where several stalls overlap, ticks go out when the last of them is over.

    A consumer group that rebalances behaves like that, and does it again and again: `every_s = [30, 40]`.
    """

    for_s: PositiveSeconds = 10.0

    @property
    def lasts_s(self) -> float:
        """As long as nothing goes out."""
        return self.for_s

    async def strike(self, stack: Stack) -> Details:
        """Holds the feed back, and waits for its end."""
        await stack.own_gateway.stall_feed(self.for_s)
        await asyncio.sleep(self.for_s)
        return {"for_s": self.for_s}
