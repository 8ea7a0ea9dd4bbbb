"""The feed sends more ticks per second, or none, while every connection stays open."""

from typing import Annotated

from msgspec import Meta

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import PositiveSeconds


def feed_complaint(name: str, context: Context) -> str:
    """Why the feed cannot be changed; empty if it can."""
    if context.own_gateway and not context.publisher:
        return (
            f"do: not supported: {name} needs a feed that this program can stall: expected feed.command, or"
            " the built-in stub"
        )
    return ""


class FeedBurst(Event, frozen=True, kw_only=True, tag="feed_burst"):
    """The feed sends `factor` times as many ticks per second for `for_s`, and then returns to its rate.

    A burst that starts during another one replaces it: when the newer one ends, the feed returns to its usual
    rate, and the end of the older one changes nothing.
    """

    own_gateway = "with `feed.command`"

    factor: Annotated[float, Meta(gt=0, le=1_000)]
    """Multiple of the usual ticks per second."""
    for_s: PositiveSeconds
    """Duration of the burst."""

    @property
    def lasts_s(self) -> float:
        """Duration of the burst."""
        return self.for_s

    def complaint(self, context: Context) -> str:
        """The feed has to be the stub's, or that of a publisher."""
        return feed_complaint(self.name, context)

    async def strike(self, stack: Stack) -> Details:
        """Raises the rate, and lets it fall at the end."""
        await stack.burst_feed(self.factor, self.for_s)
        return {"factor": self.factor, "for_s": self.for_s}


class FeedStall(Event, frozen=True, kw_only=True, tag="feed_stall"):
    """The feed stalls for `for_s`, and then sends all ticks that were due, in order.

    If several stalls overlap, ticks are sent when the last one is over.

    A consumer group that rebalances behaves like this, repeatedly: `every_s = [30, 40]`.
    """

    own_gateway = "with `feed.command`"

    for_s: PositiveSeconds = 10.0
    """Duration of the stall."""

    @property
    def lasts_s(self) -> float:
        """Duration of the stall."""
        return self.for_s

    def complaint(self, context: Context) -> str:
        """The feed has to be the stub's, or that of a publisher."""
        return feed_complaint(self.name, context)

    async def strike(self, stack: Stack) -> Details:
        """Stalls the feed, and waits for the end."""
        await stack.stall_feed(self.for_s)
        return {"for_s": self.for_s}
