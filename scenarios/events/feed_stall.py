"""The feed stops while every connection stays up."""

import asyncio
from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event
from scenarios.quantities import PositiveSeconds

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


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

    async def strike(self, stack: "Stack") -> Details:
        """Holds the feed back, and waits for its end."""
        await stack.own_gateway.stall_feed(self.for_s)
        await asyncio.sleep(self.for_s)
        return {"for_s": self.for_s}
