"""What the modelled clients see, second by second, in the terms of the real recorder: the books of the loop,
read."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scenarios.simulator.loop import at
from scenarios.simulator.loop.accounts import BINS, LOWEST_US, WIDTH
from scenarios.simulator.loop.world import Tables
from scenarios.wire.interval import GroupTimes, Interval, Samples, SomeClients
from scenarios.wire.merge import add_clients
from scenarios.wire.tick_counts import TickCounts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SLOTS_PER_S = 10
_VALUES_US = np.round(LOWEST_US * np.exp((np.arange(BINS) + 0.5) * WIDTH)).astype(np.int64)


def samples(counts: Any) -> Samples:
    """A histogram as the messages carry it."""
    filled = np.flatnonzero(counts != 0)
    return Samples(_VALUES_US[filled].tobytes(), np.asarray(counts)[filled].astype(np.int64).tobytes())


def samples_by_second(counts: Any, first_second: int) -> dict[int, Samples]:
    """Histograms of shape (seconds, BINS) as the messages carry them, without those that are empty."""
    rows, bins = np.divmod(np.flatnonzero(counts != 0), BINS)
    values, numbers = _VALUES_US[bins].tobytes(), counts[rows, bins].astype(np.int64).tobytes()
    bounds = np.searchsorted(rows, np.arange(len(counts) + 1)) * _VALUES_US.itemsize
    return {
        first_second + row: Samples(values[begin:end], numbers[begin:end])
        for row, (begin, end) in enumerate(pairwise(bounds.tolist()))
        if end > begin
    }


class Cell(NamedTuple):
    """Clients that have in common all that they are told apart by."""

    part: int
    """Place of their group in the fleet."""
    size: int
    """How many clients share their address."""
    is_served: bool = True
    """Whether a gateway of today lets them join."""


class Recorder:
    """Counts of one run; seconds and ticks are whole numbers from 0 on.

    tables: those of the loop. cells: which there are; cell_clients: how many clients each has. grouped: the
    fleet has groups.
    """

    def __init__(
        self, tables: Tables, *, cells: Sequence[Cell], cell_clients: Ints, grouped: bool = False
    ) -> None:
        self._tables = tables
        self._cells, self._cell_clients, self._grouped = cells, cell_clients, grouped
        self._is_served = np.array([cell.is_served for cell in cells])
        self._served_groups = sorted(
            {cell.part for cell, size in zip(cells, cell_clients, strict=True) if cell.is_served and size}
        )
        self._numbers = tables[at.NUMBERS]
        self._numbers[at.N_CLOSED] = -1
        self._no_news()

    def _no_news(self) -> None:
        self._numbers[at.N_LOW], self._numbers[at.N_HIGH] = len(self._tables[at.HELD]), 0

    @property
    def attempts_by_slot(self) -> Any:
        """Attempts by the tenth of a second in which they began, or will."""
        return self._tables[at.ATTEMPTS_BY_SLOT].sum(axis=1)

    @property
    def held_back(self) -> int:
        """Attempts that the cap made wait, since the last interval."""
        return int(self._numbers[at.N_HELD_BACK])

    def take_interval(self, second: int, said: "Said", *, connected_by_cell: Ints) -> Interval:
        """Everything since the last call, but for what `take_times` and `take_ticks` have.

        said: what endings are called.
        """
        tables, numbers = self._tables, self._numbers
        begun = tables[at.ATTEMPTS_BY_SLOT][second * SLOTS_PER_S : (second + 1) * SLOTS_PER_S]
        slots, begun_by_cell = begun.sum(axis=1).tolist(), begun.sum(axis=0).tolist()
        points = int(numbers[at.N_POINTS])
        useful = tables[at.USEFUL] / points if points else None
        cells = [
            (
                cell,
                SomeClients(
                    clients=int(self._cell_clients[place]),
                    connected=int(connected_by_cell[place]),
                    useful=None if useful is None else float(useful[place]),
                    attempts=begun_by_cell[place],
                    limited=int(said.limited_by_cell[place]),
                    failed=int(said.failed_by_cell[place]),
                    gave_up=int(tables[at.GAVE_UP_BY_CELL][place]),
                ),
            )
            for place, cell in enumerate(self._cells)
        ]
        interval = Interval(
            second=second,
            clients=int(self._cell_clients[self._is_served].sum()),
            unserved=int(self._cell_clients[~self._is_served].sum()),
            connected=int(connected_by_cell.sum()),
            useful=None if useful is None else float(useful.sum()),
            attempts=sum(slots),
            attempts_per_slot=tuple(slots),
            held_back=int(numbers[at.N_HELD_BACK]),
            gave_up_by_reason=dict(said.gave_up),
            outcomes=dict(said.outcomes),
            disconnects=dict(said.disconnects),
            shared_ips=add_clients({cell.size: some} for cell, some in cells if cell.is_served),
            fleet_groups=add_clients({cell.part: some} for cell, some in cells) if self._grouped else {},
            ticks=int(numbers[at.N_TICKS]),
            missed=int(numbers[at.N_MISSED]),
            fanout=samples(tables[at.FANOUT]),
            effective={},
            censored={},
            attempt_durations={},
            loop_lag=Samples(),
            retry_late=Samples(),
            stale_clients=float(numbers[at.N_STALE] / points) if points else None,
            reference="due",
        )
        for table in (at.FANOUT, at.USEFUL, at.GAVE_UP_BY_CELL):
            tables[table][:] = 0
        numbers[[at.N_TICKS, at.N_MISSED, at.N_STALE, at.N_POINTS, at.N_HELD_BACK]] = 0
        return interval

    def take_times(self) -> dict[int, GroupTimes]:
        """Latencies and ages since the last call, of the clients of each group that is served."""
        tables = self._tables
        low, high = self._numbers[at.N_LOW : at.N_HIGH + 1].tolist()
        found = {}
        for group in self._served_groups:
            effective, censored = (
                samples_by_second(tables[table][low:high, :, group], low)
                for table in (at.EFFECTIVE, at.CENSORED)
            )
            ages = samples(tables[at.STALENESS][:, group])
            found[group] = GroupTimes(effective=effective, censored=censored, staleness=ages)
        tables[at.EFFECTIVE][low:high] = tables[at.CENSORED][low:high] = 0
        tables[at.STALENESS][:] = 0
        self._no_news()
        return found

    def take_ticks(self) -> list[tuple[Cell, dict[int, TickCounts]]]:
        """What became of ticks since the last call, by cell and by the second of the due time."""
        counted = [self._tables[each] for each in (at.HELD, at.IN_TIME, at.NEVER_HELD, at.SKIPPED)]
        held, in_time, never, skipped = counted
        found = {}
        for place, cell in enumerate(self._cells):
            seconds = np.flatnonzero(held[:, place] + never[:, place])
            parts = (part[seconds, place] for part in (in_time, held - in_time, never, skipped))
            found[cell] = {
                second: TickCounts(in_time=on_time, late=late, never=lost, skipped=left_out)
                for second, on_time, late, lost, left_out in zip(
                    seconds.tolist(), *(part.tolist() for part in parts), strict=True
                )
            }
        for table in counted:
            table[:] = 0
        return [(cell, counts) for cell, counts in found.items() if counts]


class Said(NamedTuple):
    """What has ended since the last interval, by the words that are written for it."""

    outcomes: Counter[str]
    disconnects: Counter[str]
    gave_up: Counter[str]
    failed_by_cell: Any
    """Attempts that ended without a session, of shape (cells,)."""
    limited_by_cell: Any
    """Of these, those that a limit has refused."""
