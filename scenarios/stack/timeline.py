"""Carries out a scenario's events: each is a function of the running stack, found by its name."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from scenarios.model import Event
from scenarios.stack.gateway import Gateway
from scenarios.stack.generator import Generator
from scenarios.stack.nginx import Nginx
from scenarios.stack.processes import Child


class Stack(Struct, frozen=True):
    """The running parts that an event may act on."""

    gateway: Gateway | None
    """None, like nginx, where the target is somebody else's."""
    nginx: Nginx | None
    generator: Generator

    @property
    def children(self) -> list[Child]:
        """Every process that has to live as long as the run."""
        own = [*self.gateway.children] if self.gateway else []
        return [*own, *([self.nginx.child] if self.nginx else []), self.generator.child]


async def drop_all(stack: Stack, _event: Event) -> dict[str, Any]:
    """Every pod cuts all its clients at once; the feed goes on.

    The pods of somebody else cannot be told to: there, the clients lose their connections by themselves.
    """
    if stack.gateway is None:
        await stack.generator.cut()
        return {"dropped_by": "clients"}
    return {"dropped": await stack.gateway.drop_all()}


EVENTS: dict[str, Callable[[Stack, Event], Awaitable[dict[str, Any]]]] = {"drop_all": drop_all}
"""Events by the name that a scenario gives in `do`; each returns details for events.jsonl."""
