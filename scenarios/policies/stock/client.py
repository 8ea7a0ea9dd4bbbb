"""What the models of client libraries have in common."""

import random
from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from typing import Annotated, ClassVar

from msgspec import Meta

from scenarios.policies.backoff import BasePolicy
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset

Attempts = Annotated[int, Meta(ge=0, le=1_000_000)]
Factor = Annotated[float, Meta(ge=1, le=1000)]

REFUSALS_IN_SOCKETIO = frozenset({OutcomeKind.CONNECT_ERROR, OutcomeKind.NAMESPACE_DISCONNECT})


class StockClient(BasePolicy, frozen=True, kw_only=True):
    """A client library: its options are the fields, under its own names and in its own units."""

    library: ClassVar[str]
    """Its name as people write it."""
    version: ClassVar[str]
    """The version that was read."""
    package: ClassVar[str] = ""
    """`npm:…` or `pypi:…` where the real library is driven by a test."""
    former: ClassVar[Mapping[str, str]] = {}
    """Earlier names of parameters, which old scenario files have."""
    resets: ClassVar[Reset] = "open"
    """What clears its count of attempts; `reset` says so to clients, and may depend on options."""
    final: ClassVar[frozenset[OutcomeKind]] = frozenset()
    """Outcomes after which it makes no further attempt, whatever their details."""
    stop_rule: ClassVar[str] = ""
    """Stop rules that depend on a status or a close code, in words."""

    @property
    def reset(self) -> Reset:
        return self.resets

    @property
    def stops_on(self) -> frozenset[OutcomeKind]:
        return self.final

    def curve(self, rng: random.Random) -> Iterator[float]:
        """The delays of an outage in which nothing but failed connections happens."""
        raise NotImplementedError

    def stops(self, outcome: Outcome) -> bool:
        """Whether the client makes no further attempt after this."""
        return outcome.kind in self.stops_on

    def delays(self, rng: random.Random) -> Generator[float, Outcome | None, None]:
        for delay_s in self.curve(rng):
            outcome = yield delay_s
            if outcome is not None and self.stops(outcome):
                return


def at_most(attempts: int | None, delays: Iterator[float]) -> Iterator[float]:
    """The first delays; all of them if `attempts` is None."""
    return islice(delays, attempts)


def stepped(steps_s: tuple[float, ...], then_s: float | None = None) -> Iterator[float]:
    """Delays from a table, then the same one for ever; with None they end there."""
    yield from steps_s
    while then_s is not None:
        yield then_s


def growing(first: float, factor: float, cap: float) -> Iterator[float]:
    """first, first·factor, first·factor², …, none above the cap."""
    delay = first
    while True:
        yield min(delay, cap)
        delay = min(delay * factor, cap)
