"""The limits of the edge as the loop reads them: rules as numbers, and what the proxy remembers of each key.

The rules themselves are the functions of `leaky_bucket.py`, or of `token_bucket.py` where Envoy or HAProxy is
in front, and of `window.py`: `loop/edge/limits.py` compiles these.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from scenarios.clients.addresses import source_address
from scenarios.limits.counted import CountedRule
from scenarios.limits.leaky_bucket import NEVER_MS, EdgeRule
from scenarios.limits.registry import Limits
from scenarios.limits.token_bucket import token_rule
from scenarios.limits.window import WindowRule
from scenarios.scenario.model import Scenario
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.edge.tokens import tokens_shown
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import lay_out

Ints = npt.NDArray[np.int64]
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


def _leaky(rule: EdgeRule) -> tuple[int, int, int, int]:
    bucket = rule.bucket
    return at.LEAKY, bucket.rate_millis, bucket.burst, 0


def _tokens(rule: EdgeRule) -> tuple[int, int, int, int]:
    tokens = token_rule(rule)
    return at.TOKENS, tokens.tokens, tokens.burst, tokens.interval_ms


class Counting(Struct, frozen=True):
    """How a proxy keeps the buckets of a rule."""

    as_numbers: Callable[[EdgeRule], tuple[int, int, int, int]]
    """(kind, rate, burst, period) of a rate."""
    in_turn: bool
    """Whether a rule is charged although a later one refuses."""
    rates_first: bool
    """Whether a rate is charged although there are too many requests in flight."""
    kept: Callable[[Rules, Rules], set[str]]
    """(rules before a reload, rules after it) → the names of those whose buckets stay as they are."""


COUNTING = {
    "nginx": Counting(_leaky, False, True, _of_the_same_name),
    "envoy": Counting(_tokens, True, True, _where_all_is_the_same),
    "haproxy": Counting(_tokens, False, False, _nothing),
}
"""By proxy."""


class Limiter:
    """All rules of a limit, for so many addresses.

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
        self.limits = limits
        self._rated: tuple[EdgeRule | WindowRule, ...] = (*limits.rules, *limits.windows)
        kept = counting.kept(before.limits.at_proxy, limits.at_proxy) if before else set()
        self._rows = np.zeros((len(self._rated), at.SIZE_R), np.int64)
        counted_by = sorted({rule.token for rule in limits.rules if rule.token})
        self._tokens = np.zeros((len(counted_by), max(1, len(address_of))), np.int64)
        for number, name in enumerate(counted_by):
            self._tokens[number] = tokens[name]
        keys = max(addresses, int(self._tokens.max(initial=0)) + 1)
        self._keys = np.zeros((len(self._rated), keys, 3), np.int64)
        """What is remembered: (excess, last charge) or (present period, the one before, its beginning)."""
        for number, rule in enumerate(self._rated):
            row = self._rows[number]
            row[at.R_SHARED], row[at.R_ALL_REQUESTS] = not rule.per_address, rule.all_requests
            if isinstance(rule, WindowRule):
                kind = at.PERIODS_OF_ALL if rule.charge_refusals else at.PERIODS
                row[:4] = kind, 0, rule.connections, rule.period_ms
                self._keys[number, :, 2] = NEVER_MS
            else:
                row[:4] = counting.as_numbers(rule)
                row[at.R_DELAYS] = not rule.nodelay
                row[at.R_TOKEN] = 1 + counted_by.index(rule.token) if rule.token else 0
                self._keys[number, :, 1] = NEVER_MS
            if before and rule.name in kept:
                self._go_on_from(before, number)
        capped = limits.in_flight
        self._caps = np.array([rule.connections for rule in capped], np.int64)
        self._counts = np.zeros((len(capped), addresses), np.int64)
        self._exempt = np.zeros((len(self._rated) + len(capped), addresses), np.bool_)
        for number, counted in enumerate((*self._rated, *capped)):
            if counted.exempt:
                self._exempt[number] = [counted.is_exempt(source(place)) for place in range(addresses)]
        self._holds = np.zeros(len(address_of), np.int64)
        for number, cap in enumerate(capped):
            if before and cap.name in kept:
                old = [each.name for each in before.limits.in_flight].index(cap.name)
                held = ((before._holds >> old) & 1).astype(bool)
                held &= ~self._exempt[len(self._rated) + number, address_of]
                self._holds[held] |= 1 << number
                np.add.at(self._counts[number], np.asarray(address_of)[held], 1)
        self._counting = counting

    @classmethod
    def of(
        cls, limits: Limits, table: ClientTable, scenario: Scenario, *, before: "Limiter | None"
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

    def _go_on_from(self, before: "Limiter", number: int) -> None:
        """A rule keeps what was counted before under the same name, for the same kind of keys."""
        names = [_counts(rule) for rule in before._rated]
        if (mine := _counts(self._rated[number])) in names:
            old = before._keys[names.index(mine)]
            same = min(len(old), self._keys.shape[1])
            self._keys[number, :same] = old[:same]

    def enter(self, s: Any) -> Any:
        """The array that the loop reads; says in the numbers of a run what holds for all rules."""
        limits = self.limits
        s[at.RULES], s[at.IN_FLIGHT] = len(self._rated), len(self._caps)
        s[at.IN_TURN], s[at.RATES_FIRST] = self._counting.in_turn, self._counting.rates_first
        s[at.DRY_RUN], s[at.REFUSAL] = limits.dry_run, not limits.refusal.drop
        tables = {
            at.RULE_ROWS: self._rows,
            at.KEYS: self._keys,
            at.EXEMPT: self._exempt,
            at.COUNTS: self._counts,
            at.CAPS: self._caps,
            at.HOLDS: self._holds,
            at.TOKENS_OF: self._tokens,
        }
        array, views = lay_out(s, {table: values.shape for table, values in tables.items()})
        for table, values in tables.items():
            views[table][:] = values
        # What the loop changes is kept for the next limit.
        self._keys, self._counts, self._holds = views[at.KEYS], views[at.COUNTS], views[at.HOLDS]
        return array


def _counts(rule: EdgeRule | WindowRule) -> tuple[str, str]:
    """What tells the counts of rules apart: of another header or cookie, the keys are others as well."""
    return rule.name, rule.token if isinstance(rule, EdgeRule) else ""
