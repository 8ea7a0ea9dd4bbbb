"""Counts and times what the clients see, second by second.

Recording must cost next to nothing per tick, so a tick appends to two lists and writes one array element;
everything else happens once a second, on whole arrays. Clients are told apart by their group of the fleet and
by how many share their IP: those that have both in common make a cell, and each cell has a bucket of its own.

Effective latency of tick k for one client: the first moment at which the client holds k or a later tick,
minus k's due time. A client that was away therefore adds, when its next tick arrives, one value for every
tick that it never got. What is not known yet when the accounting is finalised is censored: a lower bound.

Staleness of a client at a point of the 100 ms grid: that moment minus the due time of its newest tick, joined
or not. A client that never held a tick counts from the first point of the grid at which it was there.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from scenarios.clients.buckets import Bucket, Timed, joined
from scenarios.clients.protocol.packets import Events
from scenarios.clients.protocol.schedule import Schedule
from scenarios.clients.protocol.ticks import UNNUMBERED, Tick
from scenarios.clients.skips import Skips
from scenarios.scenario.fleet.groups import MOST_ADDRESS_SHARES, MOST_GROUPS
from scenarios.wire.interval import GroupTimes, Interval, Samples, SomeClients
from scenarios.wire.merge import add, add_by_key, add_clients
from scenarios.wire.tick_counts import add_groups, skipped_ticks

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
    """One process's counters. grouped: the fleet has groups.

    The hot path is public on purpose: a client writes its ticks into `bucket_of` its cell itself. It also
    counts in `disconnects`, `held_back` and `unopened`, and appends to `session_ages_ns`.
    """

    def __init__(
        self, epoch_ns: int, schedule: Schedule, *, grouped: bool = False, recovery: bool = False
    ) -> None:
        self.epoch_ns = epoch_ns
        self.schedule = schedule
        self.held_due_ns = array("q")
        self.held_seq = array("q")
        # When a client's staleness began to count, for as long as it holds no tick; 0 before its first slot.
        self._there_since_ns = array("q")
        self.joined = bytearray()
        self._grouped = grouped
        # By group and clients per IP, and in the order of the buckets.
        self._cells: dict[tuple[int, int], int] = {}
        self._cell_of = array("H")
        self._skips = Skips() if recovery else None
        self._group_of = array("B")
        self._buckets: list[Bucket] = []
        # Clients that no gateway of today serves: what is said of all clients is not said of them.
        self._unserved = bytearray()
        self._unserved_groups: set[int] = set()
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

    def add_client(self, clients_per_ip: int = 1, group: int = 0, *, served: bool = True) -> int:
        """Makes room for a client that shares its address with so many; returns its index."""
        self.held_due_ns.append(_NEVER)
        self._there_since_ns.append(_NEVER)
        self.held_seq.append(_NOTHING_HELD)
        self.joined.append(0)
        self._group_of.append(group)
        self._unserved.append(not served)
        if not served:
            self._unserved_groups.add(group)
        cell = group, clients_per_ip
        if cell not in self._cells:
            self._cells[cell] = len(self._cells)
            self._buckets.append(Bucket(self.epoch_ns, self.held_seq, self.held_due_ns))
        self._cell_of.append(self._cells[cell])
        return len(self.joined) - 1

    def bucket_of(self, client: int) -> Bucket:
        """Where a client writes its ticks, for as long as it is there."""
        return self._buckets[self._cell_of[client]]

    def _new_second(self) -> None:
        self.disconnects: Counter[str] = Counter()
        self.session_ages_ns: list[int] = []
        self.held_back = 0
        self.unopened = 0
        self.gave_up_by_reason: Counter[str] = Counter()
        self._first_attempt_ns = self._last_join_ns = 0
        self._attempts: Counter[int] = Counter()
        self._first_attempts: Counter[int] = Counter()
        self._first_limited: Counter[int] = Counter()
        self._gave_up: Counter[int] = Counter()
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
        # Of ticks that were never got, and of those that are censored, by bucket.
        self._summed_gaps: list[tuple[int, dict[int, Samples]]] = []
        self._censored: list[tuple[int, dict[int, Samples]]] = []
        self._group_staleness: list[dict[int, Samples]] = []
        self._missed = 0
        self._recovery: Counter[str] = Counter()
        self._tls: Counter[str] = Counter()
        self._unnumbered = False

    def attempt_began(self, client: int, now_ns: int, *, first: bool = False) -> None:
        """An attempt began; first: since the client lost its session, or of all."""
        if not self._first_attempt_ns:
            self._first_attempt_ns = now_ns
        self._attempts_in_slot += 1
        self._attempts[self._cell_of[client]] += 1
        if first:
            self._first_attempts[self._cell_of[client]] += 1

    def attempt_ended(
        self, client: int, outcome: str, began_ns: int, now_ns: int, *, first: bool = False
    ) -> None:
        """An attempt ended; `joined` is one of the outcomes."""
        if outcome == "joined":
            self._last_join_ns = now_ns
        elif first and outcome == "limited":
            self._first_limited[self._cell_of[client]] += 1
        self._outcomes[self._cell_of[client], outcome] += 1
        self._durations.setdefault(outcome, []).append(now_ns - began_ns)

    def gave_up_after(self, client: int, reason: str) -> None:
        """A client stopped for good; reason: one of `GAVE_UP`."""
        self.gave_up_by_reason[reason] += 1
        self._gave_up[self._cell_of[client]] += 1

    def tls_handshake(self, resumed: bool) -> None:
        """A client has completed a TLS handshake: a full one, or one that resumed its session."""
        self._tls["tls_resumed" if resumed else "tls_full"] += 1

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
        cells = np.frombuffer(self._cell_of, np.uint16)
        censored = []
        for cell, bucket in enumerate(self._buckets):
            members = np.flatnonzero(cells == cell)
            found = self.schedule.lacking(held[members], held_due_ns[members], now_ns)
            if found is None:
                continue
            due, lacking, counted = found
            bucket.censor(due, lacking)
            censored.append((cell, self._by_due_second((due, now_ns - due), lacking)))
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
        self._useful.append(self._by_cell(fresh & joined))
        there_since_ns = np.frombuffer(self._there_since_ns, np.int64)
        there_since_ns[there_since_ns == _NEVER] = now_ns
        staleness_ns = now_ns - np.where(held_due_ns == _NEVER, there_since_ns, held_due_ns)
        served = ~np.frombuffer(self._unserved, np.bool_)
        if self._grouped:
            self._group_staleness.append(self._by_served_group(staleness_ns, served))
        staleness_ns = staleness_ns[served]
        # Here and not once a second: ten short pauses make nobody late, one long one does.
        self._staleness.append(Samples.of(staleness_ns))
        self._stale.append(int(np.count_nonzero(staleness_ns >= USEFUL_STALENESS_NS)))

    def take_interval(self, second: int) -> Interval:
        """Everything since the last call, as second number `second`."""
        received = [bucket.take_received() for bucket in self._buckets]
        due, latency = joined(received)
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
        cells = self._take_cells()
        self._sum_gaps()
        gaps = add_by_key(gaps for _, gaps in self._summed_gaps)
        ticks = {cell: self._buckets[place].take_counts() for cell, place in self._cells.items()}
        group_ticks = add_groups({size: counts} for (_, size), counts in ticks.items() if counts)
        useful = [some.useful for some in cells.values() if some.useful is not None]
        interval = Interval(
            second=second,
            clients=self.started - sum(self._unserved),
            unserved=sum(self._unserved),
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
            session_ages=Samples.of(self.session_ages_ns),
            shared_ips=add_clients(
                {size: some} for (group, size), some in cells.items() if group not in self._unserved_groups
            ),
            fleet_groups=add_clients({group: some} for (group, _), some in cells.items())
            if self._grouped
            else {},
            ticks=len(latency) + len(late),
            missed=self._missed,
            recovery=dict(self._recovery),
            tls=dict(self._tls),
            skipped=skipped_ticks(group_ticks),
            group_ticks=group_ticks,
            fleet_group_ticks=(
                add_groups({group: counts} for (group, _), counts in ticks.items() if counts)
                if self._grouped
                else {}
            ),
            unnumbered=self._unnumbered,
            early=len(early),
            earliest_ns=-int(early.min()) if len(early) else 0,
            fanout=Samples.of(fanout),
            fanout_by_stamp=Samples() if by_stamp is None else Samples.of(by_stamp),
            stamped=stamped,
            fleet_group_times=self._group_times(received) if self._grouped else {},
            effective=add_by_key([self._by_due_second((due, latency)), gaps]),
            censored=add_by_key(censored for _, censored in self._censored),
            attempt_durations={name: Samples.of(times) for name, times in self._durations.items()},
            loop_lag=Samples.of(self._lag_ns),
            retry_late=Samples.of(self.retry_late_ns),
            staleness=add(self._staleness),
            stale_clients=float(np.mean(self._stale)) if self._stale else None,
        )
        self._new_second()
        return interval

    def _take_cells(self) -> dict[tuple[int, int], SomeClients]:
        joined = self._by_cell(np.frombuffer(self.joined, np.uint8).astype(bool))
        clients = self._by_cell(np.ones(self.started, bool))
        useful = np.mean(self._useful, axis=0) if self._useful else None
        failed: Counter[int] = Counter()
        for (cell, outcome), count in self._outcomes.items():
            failed[cell] += count if outcome != "joined" else 0
        return {
            cell: SomeClients(
                clients=int(clients[place]),
                connected=int(joined[place]),
                useful=None if useful is None else float(useful[place]),
                attempts=self._attempts[place],
                limited=self._outcomes[place, "limited"],
                failed=failed[place],
                first_attempts=self._first_attempts[place],
                first_limited=self._first_limited[place],
                gave_up=self._gave_up[place],
            )
            for cell, place in self._cells.items()
        }

    def _by_cell(self, clients: Any) -> Any:
        """How many of the clients in a mask are in each cell."""
        cells = np.frombuffer(self._cell_of, np.uint16)[clients]
        return np.bincount(cells, minlength=MOST_ADDRESS_SHARES * MOST_GROUPS)

    def _sum_gaps(self) -> None:
        for place, bucket in enumerate(self._buckets):
            self._summed_gaps.append((place, self._by_due_second(bucket.take_gaps())))
        self._gap_ticks = 0

    def _by_served_group(self, staleness_ns: Any, served: Any) -> dict[int, Samples]:
        groups = np.frombuffer(self._group_of, np.uint8)
        return {
            int(group): Samples.of(staleness_ns[served & (groups == group)])
            for group in np.unique(groups[served])
        }

    def _group_times(self, received: Sequence[Timed]) -> dict[int, GroupTimes]:
        """What the groups have of the latencies and ages of all clients; received: by bucket."""
        effective = [(place, self._by_due_second(ticks)) for place, ticks in enumerate(received)]
        staleness = add_by_key(self._group_staleness)
        places: dict[int, set[int]] = {}
        for (group, _), place in self._cells.items():
            places.setdefault(group, set()).add(place)
        return {
            group: GroupTimes(
                effective=add_by_key(
                    some for place, some in (*effective, *self._summed_gaps) if place in own
                ),
                censored=add_by_key(some for place, some in self._censored if place in own),
                staleness=staleness.get(group, Samples()),
            )
            for group, own in places.items()
            if group not in self._unserved_groups
        }

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
