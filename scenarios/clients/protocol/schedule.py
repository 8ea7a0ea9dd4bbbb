"""When ticks were due: by the schedule of our own pods, or by what was seen of somebody else's feed."""

import math
from collections import deque
from typing import Any, Protocol

import numpy as np

from gateway_stub.feed_schedule import FeedSchedule

_REMEMBERED = 10_000
_REGULAR_FROM = 10
_REGULAR_SPREAD = 1.5
_RESTART_NS = 1_000_000_000
LONGEST_GAP = 100_000
"""Of somebody else's feed: a number that jumps further says nothing of what was missed."""


def is_restart(held: tuple[int, int], received: tuple[int, int]) -> bool:
    """Whether somebody else's feed numbers its ticks anew, from the (number, due time) of an older and a
    newer one.

    Nobody missed anything between the two: the number went back although time went on, or jumped further
    than any gap would.
    """
    return received[0] - held[0] > LONGEST_GAP or (
        received[0] < held[0] and received[1] > held[1] + _RESTART_NS
    )


class Schedule(Protocol):
    """Number and due time of ticks; times are monotonic nanoseconds."""

    def learn(self, seq: int, due_ns: int, pod: str = "") -> tuple[int, int]:
        """Takes note of a tick that was received from a pod; returns the number and the due time by which it
        counts."""

    def missed(self, held: tuple[int, int], received: tuple[int, int]) -> Any:
        """Due times of the ticks between an older and a newer one, each a number and a due time, as an int64
        array; None where the second one is no news."""

    def lacking(self, held: Any, held_due_ns: Any, now_ns: int) -> tuple[Any, Any, Any] | None:
        """Due times by now of ticks that clients lack, how many clients lack each, and the numbers that all
        clients hold once that has been counted; None where nobody lacks any.

        held, held_due_ns: number, negative for none, and due time of each client's newest tick. Once this has
        been asked for all clients, `finalised` is to be called.
        """

    def finalised(self, now_ns: int) -> None:
        """What clients lacked by now has been counted, and is not to be counted again."""

    def stamp_ns(self, due_ns: int) -> int:
        """The publish time in the tick that was due then."""

    def by_stamp(self, due_ns: Any, latency_ns: Any) -> tuple[Any, int] | None:
        """The latencies of received ticks by their stamps, and how many of these ticks were due by them;
        None where that is so of all."""


class NumberedSchedule:
    """A feed in which a number is the same tick for everybody."""

    longest_gap: float
    """Ticks between two that a client got which it may have missed; more are no gap."""

    def restarted(self, held: tuple[int, int], received: tuple[int, int]) -> bool:
        """Whether the feed began anew between these two ticks, each a number and a due time."""
        raise NotImplementedError

    def due_ns(self, seqs: Any) -> Any:
        """Due times of tick numbers, as an int64 array of the same shape."""
        raise NotImplementedError

    def latest_due(self, now_ns: int) -> int:
        """Number of the newest tick due by `now_ns`; -1 where no tick was ever seen."""
        raise NotImplementedError

    def missed(self, held: tuple[int, int], received: tuple[int, int]) -> Any:
        """See `Schedule`; where the feed began anew, nobody missed anything."""
        if self.restarted(held, received):
            return np.empty(0, np.int64)
        return None if received[0] <= held[0] else self.due_ns(np.arange(held[0] + 1, received[0]))

    def lacking(self, held: Any, held_due_ns: Any, now_ns: int) -> tuple[Any, Any, Any] | None:  # noqa: ARG002
        """See `Schedule`."""
        latest = self.latest_due(now_ns)
        # A longer gap is no gap: the times are not what they were said to be.
        behind = (held >= 0) & (held < latest) & (latest - held <= self.longest_gap)
        if not behind.any():
            return None
        oldest = int(held[behind].min())
        due = self.due_ns(np.arange(oldest + 1, latest + 1))
        # How many clients lack each of these ticks: those whose newest one is before it.
        clients = np.cumsum(np.bincount(held[behind] - oldest, minlength=len(due)))
        return due, clients, np.where(behind, latest, held)

    def finalised(self, now_ns: int) -> None:
        """The numbers that clients hold say it already."""

    def stamp_ns(self, due_ns: int) -> int:
        """The same."""
        return due_ns

    def by_stamp(self, due_ns: Any, latency_ns: Any) -> None:  # noqa: ARG002
        """There is no other due time than the stamp."""
        return


class SharedSchedule(NumberedSchedule):
    """The feed of our own pods, which follow the same schedule; an order may replace it on both sides.

    Ticks keep their numbers and their due times when the rate changes, so a burst makes no gap of its own.
    It never begins anew: however far a number is from the last one, every tick in between was due.
    """

    longest_gap = math.inf

    def __init__(self, feed: FeedSchedule) -> None:
        self.feed = feed
        """To be replaced when the pods get another one."""
        self._begun = False

    def restarted(self, held: tuple[int, int], received: tuple[int, int]) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def learn(self, seq: int, due_ns: int, pod: str = "") -> tuple[int, int]:  # noqa: ARG002
        """There is nothing to learn but that the feed has begun: until then nobody expects a tick."""
        self._begun = True
        return seq, due_ns

    def due_ns(self, seqs: Any) -> Any:
        """Due times of tick numbers, as an int64 array of the same shape."""
        return self.feed.due_ns_of(seqs)

    def latest_due(self, now_ns: int) -> int:
        """Number of the newest tick due by `now_ns`; -1 where no tick was ever seen."""
        return self.feed.latest_due(now_ns) if self._begun else -1


class ObservedSchedule(NumberedSchedule):
    """A feed whose rate nobody promised: known are the ticks that some client received.

    Between two known ticks the due time is interpolated. After the last one, ticks are only expected where
    the known ones came at a regular pace: a quiet feed is not an outage.
    """

    longest_gap = float(LONGEST_GAP)

    def __init__(self) -> None:
        self._known: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._arrays: tuple[Any, int | None] | None = None

    def restarted(self, held: tuple[int, int], received: tuple[int, int]) -> bool:
        """By the two ticks; see `is_restart`."""
        return is_restart(held, received)

    def learn(self, seq: int, due_ns: int, pod: str = "") -> tuple[int, int]:  # noqa: ARG002
        """Takes note of a tick that was received, if it is newer than all others."""
        if self._known and is_restart(self._known[-1], (seq, due_ns)):
            self._known.clear()
        if not self._known or seq > self._known[-1][0]:
            self._known.append((seq, due_ns))
            self._arrays = None
        return seq, due_ns

    def due_ns(self, seqs: Any) -> Any:
        """Due times of tick numbers, as an int64 array of the same shape."""
        wanted = np.asarray(seqs, np.int64)
        known, pace = self._computed()
        # Relative to the newest tick: nanoseconds since boot need more digits than a float has.
        seq, due = known[-1]
        period = pace or 0
        inside = np.interp(wanted - seq, known[:, 0] - seq, (known[:, 1] - due).astype(np.float64))
        return due + np.where(wanted > seq, (wanted - seq) * period, inside.astype(np.int64))

    def latest_due(self, now_ns: int) -> int:
        """Number of the newest tick due by `now_ns`; -1 where no tick was ever seen."""
        if not self._known:
            return -1
        seq, due = self._known[-1]
        period = self._computed()[1]
        return seq + (max(0, now_ns - due) // period if period else 0)

    def _computed(self) -> tuple[Any, int | None]:
        if self._arrays is None:
            self._arrays = np.array(self._known, np.int64), self._period_ns()
        return self._arrays

    def _period_ns(self) -> int | None:
        """Median time between two ticks; None where they do not keep a pace."""
        if len(self._known) < _REGULAR_FROM:
            return None
        known = np.array(self._known, np.int64)
        periods = np.diff(known[:, 1]) / np.diff(known[:, 0])
        middle, late = np.percentile(periods, [50, 90])
        return int(middle) if 0 < late <= _REGULAR_SPREAD * middle else None
