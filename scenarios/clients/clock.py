"""The wall clock against the monotonic one: the kernel stamps what it receives with the former."""

from time import monotonic_ns, time_ns

STEP_NS = 10_000_000
"""NTP moves a clock by less between two looks at it; by more, somebody has set it."""
_READINGS = 3


class Clock:
    """Turns times of the wall clock into times of the monotonic clock; has to be set again now and then."""

    def __init__(self) -> None:
        self.wall_offset_ns = 0
        """What to add to the wall clock."""
        self._took_ns: int | None = None
        self._step_ns = 0
        self.set()

    def set(self) -> None:
        """Takes note of the offset, by the quickest reading: the others may have been interrupted."""
        readings = []
        for _ in range(_READINGS):
            before, wall, after = monotonic_ns(), time_ns(), monotonic_ns()
            readings.append((after - before, (before + after) // 2 - wall))
        took_ns, offset_ns = min(readings)
        step_ns = self.wall_offset_ns - offset_ns
        if self._took_ns is not None and abs(step_ns) > STEP_NS + took_ns + self._took_ns:
            self._step_ns += step_ns
        self._took_ns, self.wall_offset_ns = took_ns, offset_ns

    def take_step(self) -> int:
        """By how much the wall clock has been set since this was last asked, in ns; 0 if it was not."""
        step_ns, self._step_ns = self._step_ns, 0
        return step_ns
