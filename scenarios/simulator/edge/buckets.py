"""What a proxy remembers of the keys of one rule: buckets of a rate, or counters of a window.

The rules themselves are those of `leaky_bucket.py`, or of `token_bucket.py` where Envoy or HAProxy is in
front, and of `window.py`, asked for all requests of one slot of time at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from scenarios.limits import leaky_bucket, token_bucket
from scenarios.limits.counted import CountedRule
from scenarios.limits.leaky_bucket import NEVER_MS, EdgeRule
from scenarios.limits.window import Counters, WindowRule
from scenarios.simulator.calendar import ranks

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
