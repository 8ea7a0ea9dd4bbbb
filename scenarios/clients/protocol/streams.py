"""Numberings of ticks side by side: one for each pod, and another one where a pod begins anew.

Numbers of different streams are never compared. Each stream has a range of numbers of its own here, so that
a client sees by a number alone whether a tick is the one after its newest. What it missed between two
streams is counted by time.

Where due times come from a schedule, each stream is fitted to the stamps of the calm phase; see
`schedule_fit.py`. A tick of a stream without a fit is due by its stamp.
"""

from typing import Any

import numpy as np

from reports.rundir.schema import FeedFit
from scenarios.clients.protocol.schedule import LONGEST_GAP
from scenarios.clients.protocol.schedule_fit import FEWEST, SHORTEST_NS, Fitter

_RANGE_BITS = 40
_MIDDLE = 1 << (_RANGE_BITS - 1)
_CLOSED = 0
"""Number that no stream has: what a client misses next is counted by time, from when that was done last."""
_MOST_STAMPS = 100_000
_MOST_REPORTED = 64
MOST_PODS = 1_000
"""Pods whose newest stream is remembered."""
_MOST_PLACES = 1 << 22
"""Streams that have ranges of their own; numbers are 64 bits wide."""
IN_A_ROW = 5
"""Ticks after which a stream has left its schedule, or is back on it."""
_RESTART_PERIODS = 1.5
"""A number that goes back, stamped so long after the newest one, is that of a pod that began anew."""


class _Stream:
    """One numbering of one pod. base: what makes a number of the pod one of this stream."""

    __slots__ = (
        "_contrary",
        "_judged_seq",
        "base",
        "first_ns",
        "fitter",
        "from_calm",
        "latest_ns",
        "latest_seq",
        "left",
        "name",
    )

    def __init__(
        self, name: str, place: int, seq: int, stamp_ns: int, rate_hz: float, *, from_calm: bool
    ) -> None:
        self.name = name
        self.base = (place << _RANGE_BITS) + _MIDDLE - seq
        self.latest_seq, self.latest_ns = seq, stamp_ns
        self.first_ns = stamp_ns
        self.fitter = Fitter(rate_hz)
        self.from_calm = from_calm
        self.left = False
        """Its ticks run ahead of the schedule: their rate is another one now."""
        self._judged_seq, self._contrary = seq, 0

    def judge(self, seq: int, *, early: bool) -> None:
        """Takes note whether a tick was early; several in a row decide whether the schedule is left.

        A few early ones are a step of the wall clock. A tick that is sent to many clients is one tick.
        """
        if seq <= self._judged_seq:
            return
        self._judged_seq = seq
        self._contrary = self._contrary + 1 if early != self.left else 0
        if self._contrary == IN_A_ROW:
            self.left, self._contrary = early, 0

    def problem(self) -> str:
        """Why its ticks are due by their stamps; empty where they are not."""
        if self.left:
            return "its ticks ran ahead of the schedule, so their rate has changed"
        if self.fitter.fit is not None:
            return ""
        if not self.from_calm:
            return "its first tick came after the calm phase"
        if self.fitter.ticks < FEWEST or self.latest_ns - self.first_ns < SHORTEST_NS:
            needed = f"expected ≥ {FEWEST} in ≥ {SHORTEST_NS / 1e9:g} s"
            return f"too few ticks before the first event: {needed}, got {self.fitter.ticks}"
        return "its ticks did not come at a steady rate before the first event"

    def report(self) -> FeedFit:
        """What became of it, for the run directory."""
        fitted = self.fitter.fit
        return FeedFit(
            stream=self.name,
            ticks=fitted.ticks if fitted else 0,
            rate_hz=fitted.rate_hz if fitted else None,
            spread_ms=fitted.spread_ns / 1e6 if fitted else None,
            problem=self.problem(),
        )


class Streams:
    """A `Schedule` of all pods. rate_hz: ticks per second of each. fitted: due times come from fits."""

    def __init__(self, rate_hz: float, *, fitted: bool) -> None:
        self.fitted = fitted
        self.used = False
        """Whether any tick was due by a fit."""
        self._rate_hz = rate_hz
        self._period_ns = round(1e9 / rate_hz)
        self._calm = True
        self._reported: list[_Stream] = []
        self._now: dict[str, _Stream] = {}
        """The newest stream of each pod."""
        self._begun: dict[str, int] = {}
        """How many streams each of these pods has had."""
        self._places = 0
        self._stamps: dict[int, int] = {}
        """Stamps of ticks that are due by a fit, by that due time."""
        self._closed_ns = -1

    def end_calm(self) -> None:
        """The first event is about to fire: what is stamped from now on says nothing of the schedule."""
        if not self._calm:
            return
        self._calm = False
        for stream in {*self._reported, *self._now.values()}:
            stream.fitter.refit()

    @property
    def remembered(self) -> int:
        """How many streams it still knows."""
        return len({*self._reported, *self._now.values()})

    @property
    def fits(self) -> tuple[FeedFit, ...]:
        """What is known of the first streams."""
        return tuple(stream.report() for stream in self._reported)

    def learn(self, seq: int, due_ns: int, pod: str = "") -> tuple[int, int]:
        """Takes note of a tick, which is stamped `due_ns`; returns its number and when it was due."""
        stream = self._stream_of(pod, seq, due_ns)
        number = stream.base + seq
        if self._calm:
            stream.fitter.add(seq, due_ns)
        fitted = stream.fitter.fit
        if fitted is None or not self.fitted:
            return number, due_ns
        scheduled_ns = fitted.due_ns(seq)
        # A tick may be late, but not early.
        early = due_ns < scheduled_ns - self._period_ns // 2
        if not self._calm:
            stream.judge(seq, early=early)
        if early or stream.left:
            return number, due_ns
        self.used = True
        self._stamps[scheduled_ns] = due_ns
        if len(self._stamps) > _MOST_STAMPS:
            del self._stamps[next(iter(self._stamps))]
        return number, scheduled_ns

    def _stream_of(self, pod: str, seq: int, stamp_ns: int) -> _Stream:
        stream = self._now.get(pod)
        if stream is None or self._begins_anew(stream, seq, stamp_ns):
            stream = self._begin(pod, seq, stamp_ns)
        elif seq > stream.latest_seq:
            stream.latest_seq, stream.latest_ns = seq, stamp_ns
        return stream

    def _begin(self, pod: str, seq: int, stamp_ns: int) -> _Stream:
        again = self._begun.get(pod, 0) + 1
        place = self._places % _MOST_PLACES + 1
        name = pod if again == 1 else f"{pod} #{again}"
        stream = _Stream(name, place, seq, stamp_ns, self._rate_hz, from_calm=self._calm)
        self._places += 1
        self._now[pod], self._begun[pod] = stream, again
        if len(self._now) > MOST_PODS:
            forgotten = next(iter(self._now))
            del self._now[forgotten], self._begun[forgotten]
        if len(self._reported) < _MOST_REPORTED:
            self._reported.append(stream)
        return stream

    def _begins_anew(self, stream: _Stream, seq: int, stamp_ns: int) -> bool:
        """Whether the number went back although time went on, or jumped further than any gap would.

        An equal number is the same tick, stamped for each client, or sent again to a client that joins.
        """
        went_on = stamp_ns > stream.latest_ns + _RESTART_PERIODS * self._period_ns
        return seq - stream.latest_seq > LONGEST_GAP or (seq < stream.latest_seq and went_on)

    # -- for the recorder ---------------------------------------------------------------------------

    def missed(self, held: tuple[int, int], received: tuple[int, int]) -> Any:
        """Due times of the ticks between two; None where the second one is no news."""
        (old, old_ns), (new, new_ns) = held, received
        if old >> _RANGE_BITS == new >> _RANGE_BITS:
            if new <= old:
                return None
            due = old_ns + np.arange(1, new - old) * (new_ns - old_ns) // (new - old)
        else:
            if new_ns <= (max(old_ns, self._closed_ns) if old == _CLOSED else old_ns):
                return None
            periods = round((new_ns - old_ns) / self._period_ns)
            due = old_ns + np.arange(1, periods if periods <= LONGEST_GAP else 1) * self._period_ns
        return due[due > self._closed_ns]

    def lacking(self, held: Any, held_due_ns: Any, now_ns: int) -> tuple[Any, Any, Any] | None:
        """Due times by now that clients lack, how many lack each, and what clients hold after that."""
        there = held >= 0
        periods = np.where(there, (now_ns - held_due_ns) // self._period_ns, 0)
        behind = there & (periods > 0) & (periods <= LONGEST_GAP)
        if not behind.any():
            return None
        since_ns, clients = np.unique(held_due_ns[behind], return_counts=True)
        each = (now_ns - since_ns) // self._period_ns
        due = np.concatenate(
            [one + np.arange(1, n + 1) * self._period_ns for one, n in zip(since_ns, each, strict=True)]
        )
        news = due > self._closed_ns
        return due[news], np.repeat(clients, each)[news], np.where(behind, _CLOSED, held)

    def finalised(self, now_ns: int) -> None:
        """What was due by now is not missed later."""
        self._closed_ns = now_ns

    def stamp_ns(self, due_ns: int) -> int:
        """The stamp of the tick that was due then."""
        return self._stamps.get(due_ns, due_ns)

    def by_stamp(self, due_ns: Any, latency_ns: Any) -> tuple[Any, int] | None:
        """The latencies of received ticks by their stamps, and how many of them were due by these; None
        where that is so of all."""
        if not self.fitted:
            return None
        each, place, counts = np.unique(due_ns, return_inverse=True, return_counts=True)
        stamps_ns = [self._stamps.get(due) for due in each.tolist()]
        late_ns = [0 if at is None else at - due for due, at in zip(each.tolist(), stamps_ns, strict=True)]
        stamped = int(counts[[at is None for at in stamps_ns]].sum())
        return latency_ns - np.array(late_ns, np.int64)[place], stamped
