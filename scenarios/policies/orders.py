"""What a policy can ask for: a number, a `Wait`, an `Attempt`; and, of a client that is not asked again, a
`Stop`."""

from collections.abc import Generator
from typing import Any

from msgspec import Struct

from scenarios.policies.outcome import Outcome


class Wait(Struct, frozen=True):
    """Make no attempt; ask again after these seconds."""

    seconds: float


class Attempt(Struct, frozen=True):
    """Make an attempt now, and tell how it ended, also by a join; a bare `yield` answers that."""


class Stop(Struct, frozen=True):
    """The client stops for good. Made of a policy's end, never yielded."""

    reason: str
    """A kind of outcome, or `POLICY_ENDED`."""


Order = float | Wait | Attempt | Stop
"""A number: make an attempt after that many seconds, and tell how it, or its session, has ended."""

Told = Generator[Any, Outcome, None]
"""A generator that is told outcomes, as a type: it yields a bare `yield` first, then orders."""

POLICY_ENDED = "policy_ended"
"""Why a client stops whose policy has no further delay, whatever happened before."""
