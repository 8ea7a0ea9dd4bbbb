"""Carries out a scenario's events: each is a function of the running stack, found by its name."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from scenarios.model import Event
from scenarios.stack.gateway import Gateway
from scenarios.stack.generator import Generator
from scenarios.stack.nginx import Nginx


class Stack(Struct, frozen=True):
    """The running parts that an event may act on."""

    gateway: Gateway
    nginx: Nginx
    generator: Generator


async def drop_all(stack: Stack, _event: Event) -> dict[str, Any]:
    """Every pod cuts all its clients at once; the feed goes on."""
    return {"dropped": await stack.gateway.drop_all()}


EVENTS: dict[str, Callable[[Stack, Event], Awaitable[dict[str, Any]]]] = {"drop_all": drop_all}
"""Events by the name that a scenario gives in `do`; each returns details for events.jsonl."""
