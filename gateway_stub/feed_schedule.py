"""When ticks are due: a rate that may change at agreed moments. Pods and clients share it.

Tick k is due at a time that follows from the schedule alone, whatever any process was doing then.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Any, Self

from msgspec import Meta, Struct
from msgspec.structs import replace


class Stretch(Struct, frozen=True):
    """Ticks from number `first_seq` on are due every `period_ns`, the first of them at `from_ns`."""

    first_seq: int
    from_ns: int
    period_ns: Annotated[int, Meta(gt=0)]

    def due_ns(self, seq: int) -> int:
        """When tick `seq` would be due if this stretch went on for ever in both directions."""
        return self.from_ns + (seq - self.first_seq) * self.period_ns


class FeedSchedule(Struct, frozen=True):
    """Number and due time of every tick; times are monotonic nanoseconds.

    Raises ValueError where the stretches do not join up: no tick may have two due times, or none.
    """

    stretches: Annotated[tuple[Stretch, ...], Meta(min_length=1)]
    """In order; the one before a stretch says when its first tick is due, itself when all later ones are."""

    def __post_init__(self) -> None:
        if self.stretches and self.stretches[0].first_seq != 0:
            raise ValueError("the first stretch of a feed has to begin with tick 0")
        for before, after in pairwise(self.stretches):
            if after.first_seq <= before.first_seq or after.from_ns != before.due_ns(after.first_seq):
                raise ValueError(
                    f"tick {after.first_seq} is due at {after.from_ns} ns in one stretch of the feed, "
                    f"at {before.due_ns(after.first_seq)} ns in the one before it"
                )

    @classmethod
    def of(cls, epoch_ns: int, rate_hz: float) -> Self:
        """A feed that keeps one rate; tick 0 is due at the epoch."""
        return cls((Stretch(0, epoch_ns, period_ns(rate_hz)),))

    def changed(self, at_ns: int, rate_hz: float) -> Self:
        """The same schedule with another rate from the first tick on that is due at `at_ns` or later.

        Changes that were to come after that tick are forgotten.
        """
        seq = self.first_seq_from(at_ns)
        kept = tuple(stretch for stretch in self.stretches if stretch.first_seq < seq)
        return replace(self, stretches=(*kept, Stretch(seq, self.due_ns(seq), period_ns(rate_hz))))

    def shifted(self, by_ns: int) -> Self:
        """The same feed on a clock that is ahead by so much."""
        moved = tuple(replace(stretch, from_ns=stretch.from_ns + by_ns) for stretch in self.stretches)
        return replace(self, stretches=moved)

    def due_ns(self, seq: int) -> int:
        """When tick `seq` is due."""
        place = bisect_right(self.stretches, seq, key=lambda stretch: stretch.first_seq) - 1
        return self.stretches[max(0, place)].due_ns(seq)

    def due_ns_of(self, seqs: Any) -> Any:
        """The same for an array of numbers, as an int64 array of the same shape."""
        # Pods have no arrays, and numpy is a quarter of what a pod loads.
        import numpy as np  # noqa: PLC0415

        seqs = np.asarray(seqs, np.int64)
        firsts, froms, periods = np.array([(s.first_seq, s.from_ns, s.period_ns) for s in self.stretches]).T
        place = np.maximum(0, np.searchsorted(firsts, seqs, side="right") - 1)
        return froms[place] + (seqs - firsts[place]) * periods[place]

    def first_seq_from(self, now_ns: int) -> int:
        """The first tick that is due at `now_ns` or later, from 0 on."""
        return self.latest_due(now_ns - 1) + 1

    def latest_due(self, now_ns: int) -> int:
        """The newest tick that is due by `now_ns`; -1 before the first one."""
        place = bisect_right(self.stretches, now_ns, key=lambda stretch: stretch.from_ns) - 1
        if place < 0:
            return -1
        stretch = self.stretches[place]
        return stretch.first_seq + (now_ns - stretch.from_ns) // stretch.period_ns


def period_ns(rate_hz: float) -> int:
    """The time between two ticks, in whole nanoseconds: every process rounds alike."""
    return round(1e9 / rate_hz)
