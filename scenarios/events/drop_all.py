"""Everybody loses the connection at once."""

from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


class DropAll(Event, frozen=True, kw_only=True, tag="drop_all"):
    """Every pod cuts all its clients at once; the feed goes on.

    Pods of somebody else cannot be told to: there, the clients lose their connections by themselves.
    """

    any_target = True

    async def strike(self, stack: "Stack") -> Details:
        """Cuts them."""
        if stack.gateway is None:
            await stack.generator.cut()
            return {"dropped_by": "clients"}
        return {"dropped": await stack.gateway.drop(1.0)}
