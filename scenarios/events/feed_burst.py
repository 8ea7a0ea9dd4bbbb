"""The market opens: more ticks a second."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from scenarios.events.event import Details, Event
from scenarios.quantities import PositiveSeconds

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


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

    async def strike(self, stack: "Stack") -> Details:
        """Tells everybody beforehand when the rate rises and falls, and waits until it is over."""
        await stack.burst_feed(self.factor, self.for_s)
        await asyncio.sleep(self.for_s)
        return {"factor": self.factor, "for_s": self.for_s}
