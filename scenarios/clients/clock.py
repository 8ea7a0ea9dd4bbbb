"""The wall clock against the monotonic one: the kernel stamps what it receives with the former."""

from time import monotonic_ns, time_ns

_READINGS = 3


class Clock:
    """Turns times of the wall clock into times of the monotonic clock; has to be set again now and then."""

    def __init__(self) -> None:
        self.wall_offset_ns = 0
        """What to add to the wall clock."""
        self.set()

    def set(self) -> None:
        """Takes note of the offset, by the quickest reading: the others may have been interrupted."""
        readings = []
        for _ in range(_READINGS):
            before, wall, after = monotonic_ns(), time_ns(), monotonic_ns()
            readings.append((after - before, (before + after) // 2 - wall))
        self.wall_offset_ns = min(readings)[1]
