"""Counts and times what the clients see, second by second.

Recording must cost next to nothing per tick, so a tick appends to two lists and writes one array element;
everything else happens once a second, on whole arrays. Clients are told apart by how many share their IP:
each group of them has a bucket of its own.

Effective latency of tick k for one client: the first moment at which the client holds k or a later tick,
minus k's due time. A client that was away therefore adds, when its next tick arrives, one value for every
tick that it never got. What is not known yet when the accounting is finalised is censored: a lower bound.

Staleness of a client at a point of the 100 ms grid: that moment minus the due time of its newest tick, joined
or not. A client that never held a tick counts from the first point of the grid at which it was there.
"""

from array import array
from collections import Counter
from typing import Any

import numpy as np

from scenarios.clients.buckets import Bucket, Timed, joined
from scenarios.clients.protocol.packets import Events
from scenarios.clients.protocol.schedule import Schedule
from scenarios.clients.protocol.ticks import UNNUMBERED, Tick
from scenarios.clients.skips import Skips
from scenarios.scenario.model import MOST_ADDRESS_SHARES
from scenarios.wire.interval import Interval, Samples, SharedIpGroup
from scenarios.wire.merge import add, add_by_key
from scenarios.wire.tick_counts import skipped_ticks

SECOND_NS = 1_000_000_000
SLOT_NS = SECOND_NS // 10
USEFUL_STALENESS_NS = SECOND_NS
LAG_PROBE_NS = 25_000_000

# Ticks that were never got are summed up after so many: each takes 16 bytes until then.
_MOST_GAP_TICKS = 1_000_000
# The due time of the newest tick of a client that holds none.
_NEVER = 0
# Below -1, so that the first tick of all is not taken for the successor of one that was held.
_NOTHING_HELD = -2


class Recorder:
    """One process's counters.

    The hot path is public on purpose: a client writes its ticks into `bucket_of` its group itself. It also
    counts in `disconnects`, `held_back` and `unopened`.
    """

    def __init__(self, epoch_ns: int, schedule: Schedule, *, recovery: bool = False) -> None:
        self.epoch_ns = epoch_ns
        self.schedule = schedule
        self.held_due_ns = array("q")
        self.held_seq = array("q")
        # When a client's staleness began to count, for as long as it holds no tick; 0 before its first slot.
        self._there_since_ns = array("q")
        self.joined = bytearray()
        # Clients are counted by how many share an address; a group is the place of that number in the dict.
        self._groups: dict[int, int] = {}
        self._skips = Skips() if recovery else None
        self._group_of = array("B")
        self._buckets: list[Bucket] = []
        self.client_error = ""
        """The first thing that a policy raised; it is said again every second."""
        self._new_second()

    @property
    def started(self) -> int:
        """Clients that have been added."""
        return len(self.joined)

    @property
    def points(self) -> int:
        """Points of the 100 ms grid since the last interval: what its means weigh."""
        return len(self._useful)

    def add_client(self, clients_per_ip: int = 1) -> int:
        """Makes room for a client that shares its address with so many; returns its index."""
        self.held_due_ns.append(_NEVER)
        self._there_since_ns.append(_NEVER)
        self.held_seq.append(_NOTHING_HELD)
        self.joined.append(0)
        if clients_per_ip not in self._groups:
            self._groups[clients_per_ip] = len(self._groups)
            self._buckets.append(Bucket(self.epoch_ns, self.held_seq, self.held_due_ns))
        self._group_of.append(self._groups[clients_per_ip])
        return len(self.joined) - 1

    def bucket_of(self, client: int) -> Bucket:
        """Where a client writes its ticks, for as long as it is there."""
        return self._buckets[self._group_of[client]]

    def _new_second(self) -> None:
        self.disconnects: Counter[str] = Counter()
        self.held_back = 0
        self.unopened = 0
        self.gave_up_by_reason: Counter[str] = Counter()
        self._first_attempt_ns = self._last_join_ns = 0
        self._attempts: Counter[int] = Counter()
        self._outcomes: Counter[tuple[int, str]] = Counter()
        self._attempts_in_slot = 0
        self.retry_late_ns: list[int] = []
        self._slots: list[int] = []
        self._useful: list[Any] = []
        self._staleness: list[Samples] = []
        self._stale: list[int] = []
        self._lag_ns: list[int] = []
        self._late_fanout_ns: list[int] = []
        self._late_due_ns: list[int] = []
        self._durations: dict[str, list[int]] = {}
        self._gap_ticks = 0
        self._summed_gaps: list[dict[int, Samples]] = []
        self._censored: list[tuple[Any, Any, Any]] = []
        self._missed = 0
        self._recovery: Counter[str] = Counter()
        self._unnumbered = False

    def attempt_began(self, client: int, now_ns: int) -> None:
        """An attempt began."""
        if not self._first_attempt_ns:
            self._first_attempt_ns = now_ns
        self._attempts_in_slot += 1
        self._attempts[self._group_of[client]] += 1

    def attempt_ended(self, client: int, outcome: str, began_ns: int, now_ns: int) -> None:
        """An attempt ended; `joined` is one of the outcomes."""
        if outcome == "joined":
            self._last_join_ns = now_ns
        self._outcomes[self._group_of[client], outcome] += 1
        self._durations.setdefault(outcome, []).append(now_ns - began_ns)

    def gave_up_after(self, reason: str) -> None:
        """A client stopped for good; reason: one of `GAVE_UP`."""
        self.gave_up_by_reason[reason] += 1

    def asked_for_recovery(self, recovered: bool, replayed: Events) -> None:
        """A client that asked for the state of its session has joined; replayed: what it was sent again."""
        self._recovery["recovery_asked"] += 1
        if recovered:
            self._recovery["recovered"] += 1
            self._recovery["replayed"] += sum(type(event) is Tick for event in replayed)

    def tick_out_of_order(self, client: int, seq: int, due_ns: int, now_ns: int) -> None:
        """Takes any tick that is not the one after the client's newest; the caller did not record it."""
        held, bucket = self.held_seq[client], self.bucket_of(client)
        latency = now_ns - due_ns
        if seq == UNNUMBERED:
            seq = _NOTHING_HELD  # so that no gap is ever seen
            self._unnumbered = True
        elif held >= 0:
            missed = self.schedule.missed((held, self.held_due_ns[client]), (seq, due_ns))
            if missed is None:
                # An old tick from a pod that lags behind the client's former one: delivered, but no news.
                self._late_fanout_ns.append(latency)
                self._late_due_ns.append(due_ns)
                if self._skips is not None and self._skips.found(client, seq):
                    bucket.found(due_ns)
                elif self._skips is not None:
                    self._recovery["duplicated"] += 1
                return
            if self._skips is not None and len(missed) == seq - held - 1:
                self._skips.add(client, held, seq)
            self._missed += len(missed)
            bucket.add_gap((missed, now_ns - missed))
            self._gap_ticks += len(missed)
            if self._gap_ticks > _MOST_GAP_TICKS:
                self._sum_gaps()
        bucket.latency_ns.append(latency)
        bucket.due_ns.append(due_ns)
        self.held_seq[client] = seq
        self.held_due_ns[client] = due_ns

    def finalise(self, now_ns: int) -> None:
        """Counts every tick that was due by now and that some client does not hold as censored."""
        held, held_due_ns = np.frombuffer(self.held_seq, np.int64), np.frombuffer(self.held_due_ns, np.int64)
        groups = np.frombuffer(self._group_of, np.uint8)
        censored = []
        for group, bucket in enumerate(self._buckets):
            members = np.flatnonzero(groups == group)
            found = self.schedule.lacking(held[members], held_due_ns[members], now_ns)
            if found is None:
                continue
            due, lacking, counted = found
            bucket.censor(due, lacking)
            censored.append((due, now_ns - due, lacking))
            # held_due_ns stays: the client has become no fresher by our bookkeeping.
            held[members] = counted
        if censored:
            self._censored += censored
            self.schedule.finalised(now_ns)

    def lag_probe(self, lag_ns: int) -> None:
        """A probe that was due every 25 ms ran this late; the probes that it displaced count too."""
        while lag_ns >= 0:
            self._lag_ns.append(lag_ns)
            lag_ns -= LAG_PROBE_NS

    def sample_slot(self, now_ns: int) -> None:
        """Closes a 100 ms slot."""
        self._slots.append(self._attempts_in_slot)
        self._attempts_in_slot = 0
        held_due_ns = np.frombuffer(self.held_due_ns, np.int64)
        fresh = held_due_ns > now_ns - USEFUL_STALENESS_NS
        joined = np.frombuffer(self.joined, np.uint8).astype(bool)
        self._useful.append(self._by_group(fresh & joined))
        there_since_ns = np.frombuffer(self._there_since_ns, np.int64)
        there_since_ns[there_since_ns == _NEVER] = now_ns
        staleness_ns = now_ns - np.where(held_due_ns == _NEVER, there_since_ns, held_due_ns)
        # Here and not once a second: ten short pauses make nobody late, one long one does.
        self._staleness.append(Samples.of(staleness_ns))
        self._stale.append(int(np.count_nonzero(staleness_ns >= USEFUL_STALENESS_NS)))

    def take_interval(self, second: int) -> Interval:
        """Everything since the last call, as second number `second`."""
        received = due, latency = joined(bucket.take_received() for bucket in self._buckets)
        late = np.array(self._late_fanout_ns, np.int64)
        fanout = np.concatenate((latency, late))
        late_due = np.array(self._late_due_ns, np.int64)
        # A clock that is ahead shows by stamp alone.
        by_stamp, stamped = self.schedule.by_stamp(np.concatenate((due, late_due)), fanout) or (None, 0)
        stamp_fanout = fanout if by_stamp is None else by_stamp
        early = stamp_fanout[stamp_fanout < 0]
        # A second that is cut short ends within a slot.
        open_slot = (self._attempts_in_slot,) if self._attempts_in_slot or not self._slots else ()
        slots = (*self._slots, *open_slot)
        outcomes: Counter[str] = Counter()
        for (_, outcome), count in self._outcomes.items():
            outcomes[outcome] += count
        shared_ips = self._take_shared_ips()
        self._sum_gaps()
        gaps = add_by_key(self._summed_gaps)
        counted = {size: self._buckets[group].take_counts() for size, group in self._groups.items()}
        group_ticks = {size: counts for size, counts in counted.items() if counts}
        useful = [group.useful for group in shared_ips.values() if group.useful is not None]
        interval = Interval(
            second=second,
            clients=self.started,
            connected=sum(self.joined),
            useful=sum(useful) if self._useful else None,
            attempts=sum(slots),
            attempts_per_slot=slots,
            first_attempt_ns=self._first_attempt_ns or None,
            last_join_ns=self._last_join_ns or None,
            held_back=self.held_back,
            unopened=self.unopened,
            client_error=self.client_error,
            gave_up_by_reason=dict(self.gave_up_by_reason),
            outcomes=dict(outcomes),
            disconnects=dict(self.disconnects),
            shared_ips=shared_ips,
            ticks=len(latency) + len(late),
            missed=self._missed,
            recovery=dict(self._recovery),
            skipped=skipped_ticks(group_ticks),
            group_ticks=group_ticks,
            unnumbered=self._unnumbered,
            early=len(early),
            earliest_ns=-int(early.min()) if len(early) else 0,
            fanout=Samples.of(fanout),
            fanout_by_stamp=Samples() if by_stamp is None else Samples.of(by_stamp),
            stamped=stamped,
            effective=add_by_key([self._by_due_second(received), gaps]),
            censored=add_by_key(self._by_due_second(part[:2], part[2]) for part in self._censored),
            attempt_durations={name: Samples.of(times) for name, times in self._durations.items()},
            loop_lag=Samples.of(self._lag_ns),
            retry_late=Samples.of(self.retry_late_ns),
            staleness=add(self._staleness),
            stale_clients=float(np.mean(self._stale)) if self._stale else None,
        )
        self._new_second()
        return interval

    def _take_shared_ips(self) -> dict[int, SharedIpGroup]:
        joined = self._by_group(np.frombuffer(self.joined, np.uint8).astype(bool))
        clients = self._by_group(np.ones(self.started, bool))
        useful = np.mean(self._useful, axis=0) if self._useful else None
        return {
            size: SharedIpGroup(
                clients=int(clients[group]),
                connected=int(joined[group]),
                useful=None if useful is None else float(useful[group]),
                attempts=self._attempts[group],
                limited=self._outcomes[group, "limited"],
            )
            for size, group in self._groups.items()
        }

    def _by_group(self, clients: Any) -> Any:
        """How many of the clients in a mask are in each group."""
        return np.bincount(np.frombuffer(self._group_of, np.uint8)[clients], minlength=MOST_ADDRESS_SHARES)

    def _sum_gaps(self) -> None:
        self._summed_gaps.append(self._by_due_second(joined(bucket.take_gaps() for bucket in self._buckets)))
        self._gap_ticks = 0

    def _by_due_second(self, ticks: Timed, counts: Any = None) -> dict[int, Samples]:
        """Latencies by the second of their due time; counts: how often each was seen, once if not said."""
        due, latency = ticks
        if not len(due):
            return {}
        seconds = (due - self.epoch_ns) // SECOND_NS
        order = np.argsort(seconds, kind="stable")
        found, begins = np.unique(seconds[order], return_index=True)
        columns = (latency,) if counts is None else (latency, counts)
        cut = [np.split(column[order], begins[1:]) for column in columns]
        return {int(second): Samples.of(*of_it) for second, *of_it in zip(found, *cut, strict=True)}
