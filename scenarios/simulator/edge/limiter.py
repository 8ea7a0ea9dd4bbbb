"""Which requests the limits of the edge let in.

The limits are the rules of `leaky_bucket.py`, or of `token_bucket.py` where Envoy or HAProxy is in front,
and of `window.py` and `in_flight.py`, asked for all requests of one slot of time at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from scenarios.clients.addresses import source_address
from scenarios.limits import leaky_bucket, token_bucket
from scenarios.limits.counted import CountedRule
from scenarios.limits.in_flight import InFlight
from scenarios.limits.leaky_bucket import NEVER_MS, EdgeRule
from scenarios.limits.registry import Limits
from scenarios.limits.window import Counters, WindowRule
from scenarios.simulator.calendar import ranks
from scenarios.simulator.clients import ClientTable

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


Rules = Sequence[CountedRule]


def _of_the_same_name(before: Rules, after: Rules) -> set[str]:
    """nginx's zones outlive a reload under their names; what no rule has the name of is gone."""
    return {rule.name for rule in before} & {rule.name for rule in after}


def _where_all_is_the_same(before: Rules, after: Rules) -> set[str]:
    """Envoy takes no notice of what it has already; another limit begins with full buckets, all of it."""
    same = list(map(_as_written, before)) == list(map(_as_written, after))
    return {rule.name for rule in after} if same else set()


def _as_written(rule: CountedRule) -> tuple[Any, ...]:
    """What a proxy reads: a rate as it can be kept."""
    return (rule.rate, replace(rule, rate_per_s=None)) if isinstance(rule, EdgeRule) else (rule,)


def _nothing(_before: Rules, _after: Rules) -> set[str]:
    """HAProxy's stick tables end with the worker that had them."""
    return set()


class Counting(Struct, frozen=True):
    """How a proxy keeps the buckets of a rule."""

    rule_of: Callable[[EdgeRule], Any]
    admit_at_once: Callable[[Any, Ints, Ints, int, Ints], tuple[Ints, Ints, Ints]]
    """(how many get through, levels, when these were last charged), of one rule, for keys that ask."""
    in_turn: bool
    """Whether a rule is charged although a later one refuses."""
    rates_first: bool
    """Whether a rate is charged although there are too many requests in flight."""
    kept: Callable[[Rules, Rules], set[str]]
    """(rules before a reload, rules after it) → the names of those whose buckets stay as they are."""


COUNTING = {
    "nginx": Counting(lambda rule: rule.bucket, leaky_bucket.admit_at_once, False, True, _of_the_same_name),
    "envoy": Counting(
        token_bucket.token_rule, token_bucket.admit_at_once, True, True, _where_all_is_the_same
    ),
    "haproxy": Counting(token_bucket.token_rule, token_bucket.admit_at_once, False, False, _nothing),
}
"""By proxy."""


class Buckets:
    """The buckets of one rule, by key; a key is an address's number, or 0 for everybody together.

    before: whose levels these go on from.
    """

    sees_refused = False

    def __init__(self, rule: EdgeRule, keys: int, counting: Counting, before: "Buckets | None") -> None:
        self.rule = rule
        self._own = counting.rule_of(rule)
        self._admit_at_once = counting.admit_at_once
        self._levels: Ints = np.zeros(keys, np.int64)
        self._last_ms: Ints = np.full(keys, NEVER_MS, np.int64)
        if before is not None:
            self._levels, self._last_ms = before._levels, before._last_ms

    def admits(self, keys: Any, requests: Ints, now_ms: int) -> tuple[Bools, Bools]:
        """(let in whole, let in with the first of its requests) for clients that ask, of shape (n,).

        requests: how many each client makes, one after the other, of shape (n,); the same number for all that
        make several. Nothing is charged yet.
        """
        distinct, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        admitted, _, _ = self._admit_at_once(
            self._own, self._levels[distinct], self._last_ms[distinct], now_ms, _sums(place, requests)
        )
        # Who comes first among those of one key: the order in which they are given.
        rank = ranks(place, len(distinct))
        # All first requests come before all second ones.
        several = requests > 1
        last = rank.copy()
        last[several] = ranks(place[several], len(distinct)) + counts[place[several]]
        last += np.maximum(requests - 2, 0) * np.bincount(place[several], minlength=len(distinct))[place]
        return last < admitted[place], rank < admitted[place]

    def charge(self, keys: Any, requests: Any, now_ms: int) -> npt.NDArray[np.float64]:
        """Charges what was let in; returns the seconds for which each client is held back, of shape (n,).

        requests: how many of each client's requests were let in.
        """
        distinct, place = np.unique(keys, return_inverse=True)
        _, levels, last = self._admit_at_once(
            self._own, self._levels[distinct], self._last_ms[distinct], now_ms, _sums(place, requests)
        )
        self._levels[distinct], self._last_ms[distinct] = levels, last
        if self.rule.nodelay:
            return np.zeros(len(keys))
        held: npt.NDArray[np.float64] = levels[place] / self.rule.rate.millis
        return held


class Windows:
    """The counters of one rule of a sliding window, by key; asked in the same way as buckets."""

    def __init__(self, rule: WindowRule, keys: int) -> None:
        self.rule = rule
        self.sees_refused = rule.charge_refusals
        """Whether it has to be asked about requests that another rule refuses."""
        self._counters = Counters(rule, keys)

    def admits(self, keys: Any, _requests: Ints, now_ms: int) -> tuple[Bools, Bools]:
        """See `Buckets.admits`. Where refusals are charged, all is counted at once."""
        distinct, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        admitted = self._counters.admits(distinct, now_ms, counts)
        passes: Bools = ranks(place, len(distinct)) < admitted[place]
        if self.rule.charge_refusals:
            self._counters.count(distinct, now_ms, counts)
        return passes, passes

    def charge(self, keys: Any, _requests: Any, now_ms: int) -> npt.NDArray[np.float64]:
        """Counts what was let in; nobody is held back."""
        if not self.rule.charge_refusals:
            distinct, counts = np.unique(keys, return_counts=True)
            self._counters.count(distinct, now_ms, counts)
        return np.zeros(len(keys))


def _sums(place: Any, values: Any) -> Ints:
    """The sum of the values at each place."""
    sums: Ints = np.bincount(place, weights=values).astype(np.int64)
    return sums


class Limiter:
    """All rules of a limit; addresses: how many there are.

    before: what was in force until a reload; None where the proxy has just been started. address_of: the
    number of each client's address, and source: what address that is.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        addresses: int,
        proxy: str = "nginx",
        before: "Limiter | None" = None,
        address_of: Any = (),
        source: Callable[[int], str] = source_address,
    ) -> None:
        counting = COUNTING[proxy]
        self._in_turn, self._rates_first = counting.in_turn, counting.rates_first
        self._limits, self._dry_run = limits, limits.dry_run
        kept = counting.kept(before._limits.at_proxy, limits.at_proxy) if before else set()
        old = {each.rule.name: each for each in before._buckets if each.rule.name in kept} if before else {}
        self._buckets: list[Buckets] = [
            Buckets(rule, addresses if rule.per_address else 1, counting, old.get(rule.name))
            for rule in limits.rules
        ]
        # Only HAProxy has windows, and it forgets everything.
        self._rates: list[Buckets | Windows] = [
            *self._buckets,
            *(Windows(rule, addresses) for rule in limits.windows),
        ]
        self._exempt = {
            rule.name: np.array([rule.is_exempt(source(number)) for number in range(addresses)])
            for rule in limits.at_proxy
            if rule.exempt
        }
        there = (
            {each.rule.name: each for each in before._in_flight if each.rule.name in kept} if before else {}
        )
        self._in_flight: list[InFlight] = [
            InFlight(
                rule,
                np.where(self._counted(rule, np.asarray(address_of)), address_of, -1),
                there.get(rule.name),
            )
            for rule in limits.in_flight
        ]

    @classmethod
    def of(
        cls, limits: Limits, table: ClientTable, proxy: str, *, before: "Limiter | None" = None
    ) -> "Limiter":
        """The rules of a limit, for all clients of a table."""
        return cls(
            limits,
            addresses=table.addresses,
            proxy=proxy,
            before=before,
            address_of=table.address,
            source=table.source_address,
        )

    @property
    def has_rules(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self._limits.at_proxy)

    def admit(
        self, addresses: Any, now_ms: int, requests: Any = 1, clients: Any = ()
    ) -> tuple[Bools, Bools, npt.NDArray[np.float64]]:
        """(let in, refused after the first of several requests, seconds held back) of each, of shape (n,).

        requests: that each client makes for a connection: 1, or the same number for all that make several.
        clients: their numbers, where requests in flight are counted.
        """
        requests = np.broadcast_to(requests, len(addresses))
        clients = np.asarray(clients, np.int64)
        whole = np.ones(len(addresses), bool)
        held = np.zeros(len(addresses))
        if not self.has_rules or not len(addresses):
            return whole, ~whole, held
        if self._in_flight and not self._rates_first:
            whole &= self._fits(clients)
        begun = whole.copy()
        self._ask_rates(addresses, requests, now_ms, whole, begun)
        # No rule of nginx is charged for what another one refuses.
        for rule in () if self._in_turn else self._rates:
            passed = np.flatnonzero(begun & self._counted(rule.rule, addresses))
            keys, counted = _asked(rule, addresses[passed], requests[passed])
            charged = np.where(whole[passed], counted, 1)
            held[passed] = np.maximum(held[passed], rule.charge(keys, charged, now_ms))
        if self._in_flight and self._rates_first:
            # A dry run asks on.
            asking = np.flatnonzero(whole | self._dry_run)
            fits = self._fits(clients[asking])
            self._begin(clients[asking[fits]])
            whole[asking] &= fits
            begun &= whole
        elif self._in_flight:
            # In a dry run HAProxy counts also what it would have refused.
            self._begin(clients if self._dry_run else clients[whole])
        if self._dry_run:
            # It lets everybody in at once, and charges as if it did not.
            return np.ones_like(whole), np.zeros_like(whole), np.zeros_like(held)
        return whole, begun & ~whole, held

    def end(self, clients: Any) -> None:
        """The connections of these have ended, if they had any."""
        for rule in self._in_flight:
            rule.end(clients)

    def _ask_rates(self, addresses: Any, requests: Any, now_ms: int, whole: Bools, begun: Bools) -> None:
        """Takes out of `whole` and `begun` who is refused."""
        for rule in self._rates:
            asked = self._counted(rule.rule, addresses)
            asking = np.flatnonzero(asked if rule.sees_refused else asked & (whole | begun))
            keys, counted = _asked(rule, addresses[asking], requests[asking])
            all_of_it, first = rule.admits(keys, counted, now_ms)
            if self._in_turn:
                rule.charge(keys[first], np.where(all_of_it, counted, 1)[first], now_ms)
            whole[asking] &= all_of_it
            begun[asking] &= first

    def _counted(self, rule: CountedRule, addresses: Any) -> Bools:
        """Whether a rule counts each of these."""
        exempt = self._exempt.get(rule.name)
        return np.ones(len(addresses), bool) if exempt is None else ~exempt[addresses]

    def _fits(self, clients: Any) -> Bools:
        """Whether every rule has room for one more request in flight of each."""
        found = np.ones(len(clients), bool)
        for rule in self._in_flight:
            found &= rule.fits(clients)
        return found

    def _begin(self, clients: Any) -> None:
        for rule in self._in_flight:
            rule.begin(clients)


def _asked(rule: Buckets | Windows, addresses: Any, requests: Any) -> tuple[Any, Any]:
    """The keys that a rule counts these under, and how many requests of each."""
    keys = addresses if rule.rule.per_address else np.zeros(len(addresses), np.int64)
    return keys, requests if rule.rule.all_requests else np.ones(len(addresses), np.int64)
