"""Connection limits by name: the nginx directives, and the numbers behind them.

A limit counts new connections only: a GET on the Engine.IO path without a session id. nginx does not
count a request whose key is empty, so the map in the template gives every other request an empty key.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct


class LimitError(ValueError):
    """A limit that is not there, or parameters that it does not take."""


class PerAddress(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """New connections per second from one source address; the rest are refused with 429.

    nginx's rule: excess' = max(0, excess - rate·Δt + 1), refused where excess' > burst, and a refusal
    does not charge the bucket. `rate = 3, burst = 2` therefore means three at once, then three a second.
    """

    rate_per_s: Annotated[float, Meta(ge=1 / 60, le=10_000)] = 3.0
    burst: Annotated[int, Meta(ge=0, le=100_000)] = 2

    def zone(self, clients: int) -> str:
        """The `limit_req_zone` line; 128 bytes of state per address, doubled for safety."""
        megabytes = max(1, -(-clients * 256 // 1_000_000))
        return f"limit_req_zone $new_connection_from zone=per_ip:{megabytes}m rate={self._rate()};"

    def apply(self) -> str:
        """The line inside the Engine.IO location."""
        burst = f" burst={self.burst}" if self.burst else ""
        return f"limit_req zone=per_ip{burst} nodelay;" if burst else "limit_req zone=per_ip;"

    def _rate(self) -> str:
        # nginx takes whole numbers only; below 1/s, or for fractions, per minute is the finer unit.
        if self.rate_per_s == int(self.rate_per_s):
            return f"{int(self.rate_per_s)}r/s"
        return f"{max(1, round(self.rate_per_s * 60))}r/m"


LIMITS: dict[str, type[PerAddress] | None] = {"none": None, "per-ip": PerAddress}
"""Limits by name; None where nginx is to let everyone through."""


def limit(spec: str | dict[str, Any]) -> PerAddress | None:
    """The limit that a scenario asks for: a name, or a table with `name` and parameters.

    Raises LimitError with what was found and what is allowed.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = table.pop("name", None)
    if not isinstance(name, str) or name not in LIMITS:
        raise LimitError(f"found limit {name!r}, allowed: {', '.join(LIMITS)}")
    kind = LIMITS[name]
    if kind is None:
        if table:
            raise LimitError(f"limit {name!r} takes no parameters, found {', '.join(table)}")
        return None
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        allowed = ", ".join(kind.__struct_fields__)
        found = ", ".join(f"{key} = {value!r}" for key, value in table.items())
        raise LimitError(f"limit {name!r}: found {found}: {error}; allowed: {allowed}") from None
