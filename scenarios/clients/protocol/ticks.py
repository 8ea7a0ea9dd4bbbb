"""Finds a tick's number and time in the arguments of its event.

A field is a path such as `due_ns`, `meta.ts` or `1.ts`: through the event's first argument or, where the
path begins with a number, through all of them. A tick without a time of its own is due at the moment its
first receiver had it: what is measured then is the spread of the fan-out.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Literal

import msgspec
from msgspec import Struct

from reports.rundir.schema import FeedFit
from scenarios.clients.protocol.schedule import NumberedSchedule, Schedule
from scenarios.clients.protocol.streams import Streams
from scenarios.scenario.model import Feed

DEFAULT_DUE_FIELD = "due_ns"
DEFAULT_SEQ_FIELD = "seq"
SAME_TICK_NS = 5_000_000_000
"""Ticks without a time are told apart by number or content; the same one is another tick after this."""

FOR_EVER_NS = 2**63
NUMBER_LASTS_NS = SAME_TICK_NS // 5
"""Shorter than the time after which a number is another tick's, so that this is noticed."""

UNNUMBERED = -1
"""The number of a tick that has none: what was missed between two of them cannot be known."""

_NS_PER_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_REMEMBERED = 4_096
_DIGEST_BYTES = 16
_LARGEST = 2**63 - 1

Reference = Literal["due", "schedule", "first receipt"]
"""What latencies count from: the stamp of a tick, a schedule fitted to stamps, or the first receipt."""


class Tick(Struct, frozen=True):
    """A tick of the feed, by number or `UNNUMBERED`; due on this machine's CLOCK_MONOTONIC."""

    seq: int
    due_ns: int
    offset: str = ""
    """Of its event, for clients that recover sessions."""


class TickError(Exception):
    """An event with the tick's name whose content cannot be used."""


class TickReader:
    """Reads the ticks of one feed; all sessions of a process share it.

    wall_offset_ns: what to add to the wall clock to get the monotonic one; the caller keeps it up to
    date. by_schedule: the schedule says when a numbered tick was due, and not the tick, whose sender
    has another clock.
    """

    def __init__(
        self, feed: Feed, schedule: Schedule, wall_offset_ns: int = 0, *, by_schedule: bool = False
    ) -> None:
        self.wall_offset_ns = wall_offset_ns
        self._known = schedule if by_schedule and isinstance(schedule, NumberedSchedule) else None
        self._schedule = schedule
        self._streams = schedule if isinstance(schedule, Streams) else None
        self._unit_ns = _NS_PER_UNIT[feed.due_unit]
        self._wall = feed.due_clock == "wall"
        self._due_path = None if feed.due_field is None else _path(feed.due_field)
        self._seq_path = None if feed.seq_field is None else _path(feed.seq_field)
        self._received_ns: OrderedDict[tuple[str, bytes | int], tuple[int, int]] = OrderedDict()

    @property
    def reference(self) -> Reference | None:
        """What latencies count from; None before the first tick, where that is for the tick to say."""
        if self._due_path is None:
            return None
        if self._streams is not None and self._streams.used:
            return "schedule"
        return "due" if self._due_path else "first receipt"

    @property
    def fits(self) -> tuple[FeedFit, ...]:
        """The schedules that have been fitted, or why there are none; empty where nothing is fitted."""
        if self._streams is None or self._due_path is None:
            return ()
        for path, what, key in (
            (self._due_path, "publish time", "feed.due_field"),
            (self._seq_path, "number", "feed.seq_field"),
        ):
            if not path:
                return (FeedFit(problem=f"the ticks carry no {what}; {key} says where it is"),)
        return self._streams.fits

    @property
    def lasting(self) -> bool:
        """Whether what bytes mean may be remembered at all."""
        return self.lasting_ns > 0

    @property
    def lasting_ns(self) -> int:
        """For how long equal bytes mean the same, so that it may be remembered.

        A time in the tick means the same at any time. A number comes again when the feed starts over, and its
        tick is then another one. A content alone may come again at any moment.
        """
        if self._due_path or (self._known and self._seq_path):
            return FOR_EVER_NS
        return NUMBER_LASTS_NS if self._seq_path else 0

    def read(self, arguments: bytes, now_ns: int, pod: str = "") -> Tick:
        """The tick in an event's JSON array, name included, received now. Raises TickError.

        pod: which one numbered it, where each numbers its own.
        """
        try:
            values = msgspec.json.decode(arguments)[1:]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TickError(str(error)) from None
        if self._due_path is None:
            self._due_path = _found(values, _path(DEFAULT_DUE_FIELD))
        if self._seq_path is None:
            self._seq_path = _found(values, _path(DEFAULT_SEQ_FIELD))
        seq = _integer(values, self._seq_path) if self._seq_path else None
        if self._known and seq is not None:
            due_ns = int(self._known.due_ns([seq])[0])
        elif self._due_path:
            due_ns = self._due_ns(values)
        else:
            # Of a content, which may be large, the digest is enough to know it again.
            identity = blake2b(arguments, digest_size=_DIGEST_BYTES).digest() if seq is None else seq
            due_ns = self._first_receipt_ns(identity, now_ns, pod)
            if self._streams is not None:
                self._streams.fitted = False  # when a tick was received says nothing of its schedule
        if seq is None:
            return Tick(UNNUMBERED, due_ns)
        return Tick(*self._schedule.learn(seq, due_ns, pod))

    def _first_receipt_ns(self, identity: bytes | int, now_ns: int, pod: str) -> int:
        """When the tick with this content or number was first received."""
        key = pod, identity
        first_ns, latest_ns = self._received_ns.get(key, (now_ns, now_ns))
        # A number comes again when the feed starts over, a content may come again at any moment.
        known_for_ns = now_ns - (latest_ns if isinstance(identity, int) else first_ns)
        if known_for_ns >= SAME_TICK_NS:
            first_ns = now_ns
        self._received_ns[key] = (first_ns, now_ns)
        self._received_ns.move_to_end(key)
        if len(self._received_ns) > _REMEMBERED:
            self._received_ns.popitem(last=False)
        return first_ns

    def _due_ns(self, values: list[Any]) -> int:
        assert self._due_path  # noqa: S101
        found = _value(values, self._due_path)
        try:
            if isinstance(found, bool) or not isinstance(found, int | float | str):
                raise TypeError
            # Whole numbers stay exact; JavaScript writes its 64-bit integers as text.
            number = int(found) if isinstance(found, str) else found
            due_ns = round(number * self._unit_ns)
        except (TypeError, ValueError, OverflowError):
            raise TickError(f"no number at {'.'.join(map(str, self._due_path))}") from None
        if self._wall:
            due_ns += self.wall_offset_ns
        if not 0 <= due_ns <= _LARGEST:
            raise TickError(f"time {due_ns} ns out of range")
        return due_ns


_Path = tuple[str | int, ...]


def _path(field: str | int) -> _Path:
    field = str(field)
    if not field:
        return ()
    steps = tuple(int(step) if step.isdecimal() else step for step in field.split("."))
    return steps if isinstance(steps[0], int) else (0, *steps)


def _value(values: Any, path: _Path) -> Any:
    for step in path:
        try:
            values = values[step]
        except (LookupError, TypeError):
            return None
    return values


def _found(values: list[Any], path: _Path) -> _Path:
    """The path, if there is anything at its end; else the empty one."""
    return path if _value(values, path) is not None else ()


def _integer(values: list[Any], path: _Path) -> int:
    found = _value(values, path)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _LARGEST:
        raise TickError(f"no whole number at {'.'.join(map(str, path))}")
    return found
