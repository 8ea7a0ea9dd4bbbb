"""What the settings of all proxies have in common."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from scenarios.fields import invalid


def changed(settings: Struct) -> Mapping[str, Any]:
    """The keys that differ from their defaults, with their values."""
    defaults = msgspec.structs.asdict(type(settings)())
    said = msgspec.structs.asdict(settings)
    return {key: value for key, value in said.items() if value != defaults[key]}


def foreign_complaints(settings: Struct, *, of: str, proxy: str, target_url: str) -> Iterator[str]:
    """What is wrong with settings of a proxy that is not there, each beginning with the key.

    of: the proxy that the settings are for, and so the name of their table.
    """
    for name, value in changed(settings).items():
        key = f"edge.{of}.{name}"
        if target_url:
            yield invalid(key, value, "no such key with target.url, which has its own proxy")
        if proxy != of:
            yield invalid(key, value, f"edge.proxy = {of!r} for it, got {proxy!r}")


def room_complaints(settings: Struct, *, of: str, bounds: tuple[str, ...], clients: int) -> Iterator[str]:
    """Bounds of open connections that leave no room for all clients; 0 is no bound. bounds: their keys."""
    for name in bounds:
        if 0 < getattr(settings, name) < clients:
            yield invalid(
                f"edge.{of}.{name}",
                getattr(settings, name),
                f"at least {clients}, for a WebSocket of each of {clients} clients",
            )
