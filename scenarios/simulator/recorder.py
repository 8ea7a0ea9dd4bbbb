"""What the modelled clients see, second by second, in the terms of the real recorder.

Nobody looks at every client at every tick. Who is joined holds what its pod has sent; who is away is counted
by the tick that it held when it left. So a tick that arrives, a gap that closes and a point of the 100 ms
grid cost as much as there are pods or ticks, however many clients there are.

Histograms have bins that are 1 % wide.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reports.rundir.latency import LATE_FROM_US
from scenarios.wire.interval import GroupTimes, Interval, Samples, SomeClients
from scenarios.wire.merge import add_clients
from scenarios.wire.tick_counts import TickCounts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SLOTS_PER_S = 10
USEFUL_S = 1.0
_LOWEST_US, _HIGHEST_US = 10.0, 3.6e9
_WIDTH = 0.01
BINS = int(np.log(_HIGHEST_US / _LOWEST_US) / _WIDTH) + 2
_VALUES_US = np.round(_LOWEST_US * np.exp((np.arange(BINS) + 0.5) * _WIDTH)).astype(np.int64)
_FIRST_LATE_BIN = int(np.searchsorted(_VALUES_US, LATE_FROM_US))


def bins_of(seconds: Any) -> Ints:
    """The bin of each latency, of the same shape."""
    micros = np.maximum(np.asarray(seconds) * 1e6, _LOWEST_US)
    bins: Ints = np.minimum(np.log(micros / _LOWEST_US) / _WIDTH, BINS - 1).astype(np.int64)
    return bins


def samples(counts: Any) -> Samples:
    """A histogram as the messages carry it."""
    filled = np.flatnonzero(counts)
    return Samples(_VALUES_US[filled].tobytes(), np.asarray(counts)[filled].astype(np.int64).tobytes())


def shared_out(some: Ints, by_cell: Ints) -> Ints:
    """Of clients by cell, shape (n, cells), how many of each cell are among `some` of them, shape (n,).

    Whole numbers with the same sum, never more of a cell than it has.
    """
    upto = np.cumsum(by_cell, axis=1)
    shares: Ints = np.diff(some[:, None] * upto // np.maximum(upto[:, -1:], 1), axis=1, prepend=0)
    return shares


def portions_by_group(clients: Ints, by_group: Ints) -> Ints:
    """Of portions with `clients` each, shape (n, portions), how many clients of each group.

    by_group: of all portions together, shape (n, groups). The result, of shape (n, portions, groups), adds up
    to both.
    """
    if by_group.shape[1] == 1:
        return clients[:, :, None]
    left = by_group.copy()
    shares = np.zeros((*clients.shape, by_group.shape[1]), np.int64)
    for portion in range(clients.shape[1]):
        shares[:, portion] = shared_out(clients[:, portion], left)
        left -= shares[:, portion]
    return shares


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

    due_s: when each tick is due. cells: which there are; cell_clients: how many clients each has. grouped:
    the fleet has groups.
    """

    def __init__(
        self,
        *,
        seconds: int,
        due_s: Floats,
        cells: Sequence[Cell],
        cell_clients: Ints,
        grouped: bool = False,
    ) -> None:
        self.due_s = due_s
        self._due_second = np.clip(due_s.astype(np.int64), 0, seconds - 1)
        self._cells, self._cell_clients, self._grouped = cells, cell_clients, grouped
        self._is_served = np.array([cell.is_served for cell in cells])
        groups = 1 + max(cell.part for cell in cells)
        self._group_of = np.eye(groups, dtype=np.int64)[[cell.part for cell in cells]]
        """1 where a cell belongs to a group, shape (cells, groups)."""
        self._served_groups = sorted(
            {cell.part for cell, size in zip(cells, cell_clients, strict=True) if cell.is_served and size}
        )
        self._seconds = seconds
        # By group, as all that is about times.
        self._effective = np.zeros((seconds, BINS, groups), np.int64)
        self._censored = np.zeros((seconds, BINS, groups), np.int64)
        self._staleness = np.zeros((BINS, groups), np.int64)
        self._news = (seconds, 0)
        """The seconds [from, to) in which these two may hold something."""
        self.closed = -1
        """The newest tick whose accounting is final: nothing about it is news any more."""
        self.away_by_held = np.zeros((len(due_s) + 1, len(cells)), np.int64)
        """Clients without a tick from their present session, by the newest tick that they hold, plus 1, and
        by cell."""
        self.attempts_by_slot = np.zeros(seconds * SLOTS_PER_S + SLOTS_PER_S, np.int64)
        self.attempts_by_cell = np.zeros((seconds + 1, len(cells)), np.int64)
        # By due second and cell, since the last call of what takes them.
        self._held, self._in_time, self._never, self._skipped = np.zeros((4, seconds, len(cells)), np.int64)
        self._new_second()

    def _new_second(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()
        self.limited_by_cell, self.failed_by_cell, self._gave_up_by_cell = np.zeros(
            (3, len(self._cells)), np.int64
        )
        self.held_back = 0
        self.gave_up_by_reason: Counter[str] = Counter()
        self._ticks = self._missed = 0
        self._fanout = np.zeros(BINS, np.int64)
        self._useful: list[Ints] = []
        self._stale: list[int] = []

    def set_feed(self, due_s: Floats) -> None:
        """Ticks are due at other times from now on."""
        self.due_s = due_s
        self._due_second = np.clip(due_s.astype(np.int64), 0, self._seconds - 1)

    def attempted(self, start_s: Floats, cells: Ints, times: int = 1) -> None:
        """Tries begin, or will, at these moments; -1 takes it back. Both of shape (n,)."""
        slots = np.clip((start_s * SLOTS_PER_S).astype(np.int64), 0, len(self.attempts_by_slot) - 1)
        if len(slots) > len(self.attempts_by_slot):
            self.attempts_by_slot += times * np.bincount(slots, minlength=len(self.attempts_by_slot))
        else:
            np.add.at(self.attempts_by_slot, slots, times)
        places = np.minimum(slots // SLOTS_PER_S, self._seconds)
        if len(self._cells) > 1:
            places = places * len(self._cells) + cells
        by_place = self.attempts_by_cell.reshape(-1)
        if len(slots) > len(by_place):
            by_place += times * np.bincount(places, minlength=len(by_place))
        else:
            np.add.at(by_place, places, times)

    def gave_up_after(self, reason: str, cells: Ints) -> None:
        """Clients of these cells, shape (n,), stopped for good; reason: one of `GAVE_UP`."""
        self.gave_up_by_reason[reason] += len(cells)
        self._gave_up_by_cell += np.bincount(cells, minlength=len(self._cells))

    # -- ticks --------------------------------------------------------------------------------------

    @property
    def gave_up(self) -> int:
        """Clients that stopped for good in this second."""
        return self.gave_up_by_reason.total()

    def delivered(self, ticks: Ints, latency_s: Floats, clients: Ints, by_cell: Ints) -> None:
        """Ticks of shape (n,), which reach their clients in several portions.

        latency_s, clients: of each portion, the quickest one first, shape (n, portions). by_cell: the same
        clients by their cells, shape (n, cells); the portions are taken to have equal shares of them.
        """
        bins = bins_of(latency_s)
        np.add.at(self._fanout, bins, clients)
        self._ticks += int(clients.sum())
        news = ticks > self.closed
        due_second, bins, clients, by_cell = (
            self._due_second[ticks[news]],
            *(part[news] for part in (bins, clients, by_cell)),
        )
        portions = portions_by_group(clients, by_cell @ self._group_of)
        np.add.at(self._effective, (due_second[:, None], bins), portions)
        in_time = np.where(bins < _FIRST_LATE_BIN, clients, 0).sum(axis=1)
        np.add.at(self._held, due_second, by_cell)
        np.add.at(self._in_time, due_second, shared_out(in_time, by_cell))
        self._note_news(due_second)

    def left(self, held: Ints, cells: Ints) -> None:
        """Sessions of clients with a tick are over; held: the newest tick of each; both of shape (n,)."""
        self.away_by_held += self._by_held(held, cells)

    def caught_up(self, held: Ints, cells: Ints, tick: int, now_s: float) -> None:
        """Clients whose first tick of a session is `tick` learn which ones they have missed.

        held: the newest tick that each held before; cells: the cell of each; both of shape (n,).
        """
        counts = self._by_held(held, cells)
        self.away_by_held -= counts
        first = int(held.min()) + 1
        if first >= tick:
            return
        # Whoever held an older tick than k has missed k.
        missed = np.cumsum(counts, axis=0)[first:tick]
        due_second, bins = self._due_second[first:tick], bins_of(now_s - self.due_s[first:tick])
        np.add.at(self._effective, (due_second, bins), missed @ self._group_of)
        np.add.at(self._held, due_second, missed)
        np.add.at(self._in_time, due_second, np.where(bins[:, None] < _FIRST_LATE_BIN, missed, 0))
        np.add.at(self._skipped, due_second, missed)
        self._note_news(due_second)
        self._missed += int(missed.sum())

    def finalise(self, now_s: float, latest: int, joined: Ints, last_tick: Ints) -> None:
        """Counts what nobody holds yet as censored.

        latest: the newest tick that is due. joined: of each pod, clients with a tick from it, by cell, shape
        (pods, cells). last_tick: the newest one that it has sent.
        """
        by_held = self.away_by_held.copy()
        np.add.at(by_held, np.clip(last_tick, -1, latest) + 1, joined)
        without = np.cumsum(by_held, axis=0)[: latest + 1]
        due_second, waited_s = self._due_second[: latest + 1], now_s - self.due_s[: latest + 1]
        np.add.at(self._censored, (due_second, bins_of(waited_s)), without @ self._group_of)
        np.add.at(self._never, due_second, without)
        self._note_news(due_second)
        self.closed = latest
        self.away_by_held[latest + 1] += self.away_by_held[: latest + 1].sum(axis=0)
        self.away_by_held[: latest + 1] = 0

    def _by_held(self, held: Ints, cells: Ints) -> Ints:
        """How many of these clients hold each tick, plus 1, and are in each cell."""
        ticks, count = self.away_by_held.shape
        return np.bincount((held + 1) * count + cells, minlength=ticks * count).reshape(ticks, count)

    def _note_news(self, due_seconds: Ints) -> None:
        if len(due_seconds):
            low, high = self._news
            self._news = min(low, int(due_seconds.min())), max(high, int(due_seconds.max()) + 1)

    # -- the 100 ms grid ----------------------------------------------------------------------------

    def sample(self, now_s: float, last_tick: Ints, by_pod_and_cell: Ints) -> None:
        """A point of the grid. by_pod_and_cell: clients with a tick from their pod, shape (pods, cells)."""
        age_s = np.where(last_tick >= 0, now_s - self.due_s[np.maximum(last_tick, 0)], now_s)
        self._useful.append(by_pod_and_cell[age_s < USEFUL_S].sum(axis=0))
        held = np.flatnonzero(self.away_by_held.any(axis=1))
        away_s = now_s - np.where(held > 0, self.due_s[np.maximum(held - 1, 0)], 0.0)
        ages = np.concatenate((age_s, away_s))
        counts = np.concatenate((by_pod_and_cell, self.away_by_held[held])) @ self._group_of
        np.add.at(self._staleness, bins_of(np.maximum(ages, 0.0)), counts)
        self._stale.append(int(counts[ages >= USEFUL_S].sum()))

    # -- seconds ------------------------------------------------------------------------------------

    def take_interval(self, second: int, *, connected_by_cell: Ints) -> Interval:
        """Everything since the last call, but for what `take_times` and `take_ticks` have."""
        slots = self.attempts_by_slot[second * SLOTS_PER_S : (second + 1) * SLOTS_PER_S].tolist()
        useful = np.mean(self._useful, axis=0) if self._useful else None
        cells = [
            (
                cell,
                SomeClients(
                    clients=int(self._cell_clients[place]),
                    connected=int(connected_by_cell[place]),
                    useful=None if useful is None else float(useful[place]),
                    attempts=int(self.attempts_by_cell[second, place]),
                    limited=int(self.limited_by_cell[place]),
                    failed=int(self.failed_by_cell[place]),
                    gave_up=int(self._gave_up_by_cell[place]),
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
            held_back=self.held_back,
            gave_up_by_reason=dict(self.gave_up_by_reason),
            outcomes=dict(self.outcomes),
            disconnects=dict(self.disconnects),
            shared_ips=add_clients({cell.size: some} for cell, some in cells if cell.is_served),
            fleet_groups=add_clients({cell.part: some} for cell, some in cells) if self._grouped else {},
            ticks=self._ticks,
            missed=self._missed,
            fanout=samples(self._fanout),
            effective={},
            censored={},
            attempt_durations={},
            loop_lag=Samples(),
            retry_late=Samples(),
            stale_clients=float(np.mean(self._stale)) if self._stale else None,
            reference="due",
        )
        self._new_second()
        return interval

    def take_times(self) -> dict[int, GroupTimes]:
        """Latencies and ages since the last call, of the clients of each group that is served."""
        low, high = self._news
        found = {}
        for group in self._served_groups:
            effective, censored = (
                {
                    second: samples(counts[second, :, group])
                    for second in range(low, high)
                    if counts[second, :, group].any()
                }
                for counts in (self._effective, self._censored)
            )
            ages = samples(self._staleness[:, group])
            found[group] = GroupTimes(effective=effective, censored=censored, staleness=ages)
        self._effective[low:high] = self._censored[low:high] = 0
        self._staleness[:] = 0
        self._news = self._seconds, 0
        return found

    def take_ticks(self) -> list[tuple[Cell, dict[int, TickCounts]]]:
        """What became of ticks since the last call, by cell and by the second of the due time."""
        parts = (self._in_time, self._held - self._in_time, self._never, self._skipped)
        found = {
            cell: {
                int(second): TickCounts(in_time=in_time, late=late, never=never, skipped=skipped)
                for second in np.flatnonzero(self._held[:, place] + self._never[:, place])
                for in_time, late, never, skipped in ([int(part[second, place]) for part in parts],)
            }
            for place, cell in enumerate(self._cells)
        }
        for counted in (self._held, self._in_time, self._never, self._skipped):
            counted[:] = 0
        return [(cell, counts) for cell, counts in found.items() if counts]
