"""Which requests the limits of the edge let in: all rules together, for all requests of one slot at once.

`buckets.py` has what the proxy remembers for each rule of a rate, `in_flight.py` what is in flight.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.addresses import source_address
from scenarios.limits.counted import CountedRule
from scenarios.limits.in_flight import InFlight
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.registry import Limits
from scenarios.scenario.model import Scenario
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.edge.buckets import COUNTING, Bools, Buckets, Ints, Windows
from scenarios.simulator.edge.tokens import tokens_shown


class Limiter:
    """All rules of a limit; addresses: how many there are.

    before: what was in force until a reload; None where the proxy has just been started. address_of: the
    number of each client's address, and source: what address that is. tokens: by `EdgeRule.token`, the number
    of each client's token; negative where it shows none.
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
        tokens: Mapping[str, Ints] = MappingProxyType({}),
    ) -> None:
        counting = COUNTING[proxy]
        self._in_turn, self._rates_first = counting.in_turn, counting.rates_first
        self._limits, self._dry_run = limits, limits.dry_run
        kept = counting.kept(before._limits.at_proxy, limits.at_proxy) if before else set()
        # Of another header or cookie, the keys are others as well.
        old = {
            (each.rule.name, each.rule.token): each
            for each in (before._buckets if before else ())
            if each.rule.name in kept
        }
        self._tokens = tokens
        self._buckets: list[Buckets] = [
            Buckets(rule, self._keys(rule, addresses), counting, old.get((rule.name, rule.token)))
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
        cls,
        limits: Limits,
        table: ClientTable,
        scenario: Scenario,
        *,
        before: "Limiter | None" = None,
    ) -> "Limiter":
        """The rules of a limit, for all clients of a table."""
        return cls(
            limits,
            addresses=table.addresses,
            proxy=scenario.edge.proxy,
            before=before,
            address_of=table.address,
            source=table.source_address,
            tokens={
                rule.token: tokens_shown(rule.token, scenario.target, table.count)
                for rule in limits.rules
                if rule.token
            },
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
        clients: their numbers, where requests in flight or tokens are counted.
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
        self._ask_rates(addresses, clients, requests, now_ms, whole, begun)
        # No rule of nginx is charged for what another one refuses.
        for rule in () if self._in_turn else self._rates:
            keys, counted = self._asked(rule, addresses, clients, requests)
            passed = np.flatnonzero(begun & (keys >= 0))
            keys, counted = keys[passed], counted[passed]
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

    def _ask_rates(
        self, addresses: Any, clients: Any, requests: Any, now_ms: int, whole: Bools, begun: Bools
    ) -> None:
        """Takes out of `whole` and `begun` who is refused."""
        for rule in self._rates:
            keys, counted = self._asked(rule, addresses, clients, requests)
            asked = keys >= 0
            asking = np.flatnonzero(asked if rule.sees_refused else asked & (whole | begun))
            keys, counted = keys[asking], counted[asking]
            all_of_it, first = rule.admits(keys, counted, now_ms)
            if self._in_turn:
                rule.charge(keys[first], np.where(all_of_it, counted, 1)[first], now_ms)
            whole[asking] &= all_of_it
            begun[asking] &= first

    def _keys(self, rule: EdgeRule, addresses: int) -> int:
        """How many keys a rule counts at the most."""
        if rule.token:
            return int(self._tokens[rule.token].max(initial=0)) + 1
        return addresses if rule.per_address else 1

    def _asked(self, rule: Buckets | Windows, addresses: Any, clients: Any, requests: Any) -> tuple[Any, Any]:
        """The key that a rule counts each of these under, negative where it does not; and how many requests
        of each."""
        own = rule.rule
        if isinstance(own, EdgeRule) and own.token:
            keys = self._tokens[own.token][clients]
        else:
            keys = addresses if own.per_address else np.zeros(len(addresses), np.int64)
        keys = np.where(self._counted(own, addresses), keys, -1)
        return keys, requests if own.all_requests else np.ones(len(addresses), np.int64)

    def _counted(self, rule: CountedRule, addresses: Any) -> Bools:
        """Whether the address of each of these is not exempt from a rule."""
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
