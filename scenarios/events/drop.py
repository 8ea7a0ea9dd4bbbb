"""All clients, or a share of them, lose their connections at once."""

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Share


class DropAll(Event, frozen=True, kw_only=True, tag="drop_all"):
    """Every pod disconnects all its clients at once; the feed continues.

    The pods of an external target cannot be told to: there, the clients close their own connections.
    """

    any_target = True

    async def strike(self, stack: Stack) -> Details:
        """Cuts them."""
        if stack.gateway is None:
            await stack.generator.cut()
            return {"dropped_by": "clients"}
        return {"dropped": await stack.gateway.drop(1.0)}


class DropShare(Event, frozen=True, kw_only=True, tag="drop_share"):
    """Every pod disconnects a random share of its clients at once; the feed continues.

    The pods of an external target cannot be told to: there, the clients close their own connections.
    """

    any_target = True

    share: Share

    async def strike(self, stack: Stack) -> Details:
        """Cuts them."""
        if stack.gateway is None:
            await stack.generator.cut(self.share)
            return {"dropped_by": "clients", "share": self.share}
        return {"dropped": await stack.gateway.drop(self.share), "share": self.share}
