"""What the models of client libraries have in common."""

import random
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, ClassVar

from msgspec import Meta

from scenarios.policies.backoff import BasePolicy
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind

Attempts = Annotated[int, Meta(ge=0, le=1_000_000)]
Factor = Annotated[float, Meta(ge=1, le=1000)]
Steps = tuple[Annotated[float, Meta(ge=0, le=86_400_000)], ...]
"""Milliseconds."""

_RETRIED_STATUSES = frozenset({500, 502, 503, 504})
FINAL_STATUSES = "any HTTP status except 500, 502, 503 and 504"
"""What `is_final_status` finds, in words."""
REFUSED_BY_THE_NAMESPACE = frozenset({OutcomeKind.CONNECT_ERROR, OutcomeKind.NAMESPACE_DISCONNECT})


class StockClient(BasePolicy, frozen=True, kw_only=True):
    """A client library: its options are the fields, under its own names and in its own units."""

    library: ClassVar[str]
    """Its name as people write it."""
    version: ClassVar[str]
    """The version that was read; the month of the sources, where they were those of no release."""
    package: ClassVar[str] = ""
    """`npm:…` or `pypi:…` where the real library is driven by a test."""
    former: ClassVar[Mapping[str, str]] = {}
    """Earlier names of parameters, which old scenario files have."""
    final: ClassVar[str] = ""
    """Which statuses and close codes are final, in words."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        """The delays of an outage in which connections are lost and fail, and nothing else happens."""
        raise NotImplementedError

    def stops(self, outcome: Outcome) -> bool:  # noqa: ARG002
        """Whether the client makes no further attempt, for reasons that `stops_on` cannot say."""
        return False

    def delays(self, rng: random.Random) -> Iterator[float]:
        # A client that ignores outcomes is an iterator like any other, which costs less.
        looks = type(self).stops is not StockClient.stops
        return self._told(rng) if looks else self.curve(rng)

    def _told(self, rng: random.Random) -> Told:
        outcome = yield
        for delay_s in self.curve(rng):
            if self.stops(outcome):
                return
            outcome = yield delay_s


def is_final_status(outcome: Outcome) -> bool:
    """Whether the server answered with a status after which careful libraries do not try again."""
    return outcome.kind is OutcomeKind.HTTP_STATUS and outcome.status not in _RETRIED_STATUSES


def at_most(attempts: int | None, delays: Iterator[float]) -> Iterator[float]:
    """The first delays; all of them if `attempts` is None."""
    return islice(delays, attempts)


def stepped(steps_ms: Steps, then_ms: float) -> Iterator[float]:
    """Delays from a table, then the same one for ever, in seconds."""
    for step_ms in steps_ms:
        yield step_ms / 1000
    while True:
        yield then_ms / 1000


def growing(first: float, factor: float, cap: float) -> Iterator[float]:
    """first, first·factor, first·factor², …, none above the cap."""
    value = first
    while True:
        yield min(value, cap)
        value = min(value * factor, cap)
