"""Counts and times what the clients see, second by second.

Recording must cost next to nothing per tick, so a tick appends to two lists and writes one array element;
everything else happens once a second, on whole arrays.

Effective latency of tick k for one client: the first moment at which the client holds k or a later tick,
minus k's due time. A client that was away therefore adds, when its next tick arrives, one value for every
tick that it never got. What nobody knows yet when the books are closed is censored: it took at least so long.
"""

from array import array
from collections import Counter
from typing import Any

import numpy as np

from scenarios.clients.messages import Interval, Samples

SECOND_NS = 1_000_000_000
SLOT_NS = SECOND_NS // 10
USEFUL_STALENESS_NS = SECOND_NS
LAG_PROBE_NS = 10_000_000

# Below -1, so that the first tick of all is not taken for the successor of one that was held.
_NOTHING_HELD = -2


class FeedSchedule:
    """When each tick is due, from the feed's rate and any one tick."""

    def __init__(self, rate_hz: float) -> None:
        # In whole nanoseconds, as the pods count: the times agree exactly, whatever tick is the anchor.
        self.period_ns = round(1e9 / rate_hz)
        self._anchor: tuple[int, int] | None = None

    def learn(self, seq: int, due_ns: int) -> None:
        """Anchors the schedule at a tick that was received."""
        if self._anchor is None:
            self._anchor = (seq, due_ns)

    def due_ns(self, seqs: Any) -> Any:
        """Due times of tick numbers, as an int64 array of the same shape."""
        assert self._anchor is not None, "no tick seen yet"  # noqa: S101
        seq, due = self._anchor
        return due + (np.asarray(seqs, np.int64) - seq) * self.period_ns

    def latest_due(self, now_ns: int) -> int:
        """Number of the newest tick due by `now_ns`; -1 where no tick was ever seen."""
        if self._anchor is None:
            return -1
        seq, due = self._anchor
        return seq + (now_ns - due) // self.period_ns


class Recorder:
    """One process's counters. `clients` is the number of client indices, from 0.

    The hot path is public on purpose: a client appends to `latency_ns` and `due_ns` and sets its element
    of `held_due_ns` itself.
    """

    def __init__(self, clients: int, epoch_ns: int, rate_hz: float) -> None:
        self.epoch_ns = epoch_ns
        self.schedule = FeedSchedule(rate_hz)
        self.held_due_ns = array("q", bytes(8 * clients))
        self.held_seq = array("q", [_NOTHING_HELD]) * clients
        self.joined = bytearray(clients)
        self.started = 0
        self._second: int | None = None
        self._new_second()

    def _new_second(self) -> None:
        self.latency_ns: list[int] = []
        self.due_ns: list[int] = []
        self.outcomes: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()
        self.attempts_in_slot = 0
        self.retry_late_ns: list[int] = []
        self._slots: list[int] = []
        self._useful: list[int] = []
        self._lag_ns: list[int] = []
        self._late_fanout_ns: list[int] = []
        self._durations: dict[str, list[int]] = {}
        self._gaps: list[tuple[Any, Any]] = []
        self._censored: list[tuple[Any, Any]] = []
        self._missed = 0

    def attempt_ended(self, outcome: str, duration_ns: int) -> None:
        """An attempt ended; `joined` is one of the outcomes."""
        self.outcomes[outcome] += 1
        self._durations.setdefault(outcome, []).append(duration_ns)

    def tick_out_of_order(self, client: int, seq: int, due_ns: int, now_ns: int) -> None:
        """Takes any tick that is not the one after the client's newest; the caller did not record it."""
        self.schedule.learn(seq, due_ns)
        held = self.held_seq[client]
        latency = now_ns - due_ns
        if seq <= held:
            # An old tick from a pod that lags behind the client's former one: delivered, but no news.
            self._late_fanout_ns.append(latency)
            return
        if held >= 0:
            missed = self.schedule.due_ns(np.arange(held + 1, seq))
            self._missed += len(missed)
            self._gaps.append((missed, now_ns - missed))
        self.latency_ns.append(latency)
        self.due_ns.append(due_ns)
        self.held_seq[client] = seq
        self.held_due_ns[client] = due_ns

    def close_books(self, now_ns: int) -> None:
        """Counts every tick that was due by now and that some client does not hold as censored."""
        latest = self.schedule.latest_due(now_ns)
        for client in range(self.started):
            held = self.held_seq[client]
            if 0 <= held < latest:
                due = self.schedule.due_ns(np.arange(held + 1, latest + 1))
                self._censored.append((due, now_ns - due))
                self.held_seq[client] = latest
                # held_due_ns stays: the client has become no fresher by our bookkeeping.

    def lag_probe(self, lag_ns: int) -> None:
        """A probe that was due every 10 ms ran this late; the probes that it displaced count too."""
        while lag_ns >= 0:
            self._lag_ns.append(lag_ns)
            lag_ns -= LAG_PROBE_NS

    def sample_slot(self, now_ns: int) -> None:
        """Closes a 100 ms slot."""
        self._slots.append(self.attempts_in_slot)
        self.attempts_in_slot = 0
        started = self.started
        fresh = np.frombuffer(self.held_due_ns, np.int64)[:started] > now_ns - USEFUL_STALENESS_NS
        joined = np.frombuffer(self.joined, np.uint8)[:started].astype(bool)
        self._useful.append(int(np.count_nonzero(fresh & joined)))

    def take_interval(self, second: int) -> Interval:
        """Everything since the last call, as second number `second`."""
        latency = np.array(self.latency_ns, np.int64)
        late = np.array(self._late_fanout_ns, np.int64)
        due = np.array(self.due_ns, np.int64)
        slots = tuple(self._slots) if self._slots else (self.attempts_in_slot,)
        interval = Interval(
            second=second,
            clients=self.started,
            connected=sum(self.joined[: self.started]),
            useful=sum(self._useful) / len(self._useful) if self._useful else None,
            attempts=sum(slots),
            attempts_per_slot=slots,
            outcomes=dict(self.outcomes),
            disconnects=dict(self.disconnects),
            ticks=len(latency) + len(late),
            missed=self._missed,
            fanout=Samples.of(np.concatenate((latency, late))),
            effective=self._by_due_second([(due, latency), *self._gaps]),
            censored=self._by_due_second(self._censored),
            attempt_durations={name: Samples.of(times) for name, times in self._durations.items()},
            loop_lag=Samples.of(self._lag_ns),
            retry_late=Samples.of(self.retry_late_ns),
        )
        self._new_second()
        return interval

    def _by_due_second(self, parts: list[tuple[Any, Any]]) -> dict[int, Samples]:
        due = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
        latency = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])
        seconds = (due - self.epoch_ns) // SECOND_NS
        return {int(s): Samples.of(latency[seconds == s]) for s in np.unique(seconds)}
