"""All clients, or a share of them, lose their connections at once."""

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Share


class DropAll(Event, frozen=True, kw_only=True, tag="drop_all"):
    """Every pod disconnects all its clients at once; the feed continues.

    A gateway of your own cannot be told to: there, nginx's workers are killed. With other proxies, and with
    an external target, the clients close their own connections.
    """

    any_target = True
    own_gateway = "by nginx, or by the clients"

    async def strike(self, stack: Stack) -> Details:
        """Cuts them."""
        return await stack.drop(1.0)


class DropShare(Event, frozen=True, kw_only=True, tag="drop_share"):
    """Every pod disconnects a random share of its clients at once; the feed continues.

    A gateway of your own, or an external target, cannot be told to: there, the clients close their own
    connections.
    """

    any_target = True
    own_gateway = "by the clients"

    share: Share
    """Share of the clients of each pod."""

    async def strike(self, stack: Stack) -> Details:
        """Cuts them."""
        return {**await stack.drop(self.share), "share": self.share}
