"""The rule of a bucket of tokens: worked-out cases, and that it is nginx's but for what is said to differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.limits import leaky_bucket
from scenarios.limits.leaky_bucket import NEVER_MS, EdgeRule, Key, LeakyBucket, Rate
from scenarios.limits.token_bucket import (
    TokenBucket,
    TokenRule,
    counts_as,
    decide,
    missing_at,
    token_rule,
)

THREE_A_SECOND = (3, 1_000)


def let_in(rule: TokenRule, times_ms: list[int]) -> str:
    """One letter for each request of one key: p for passed, r for refused."""
    bucket, letters = TokenBucket(), ""
    for now_ms in times_ms:
        decision, (after,) = decide([rule], [bucket], now_ms)
        assert after is not None
        bucket = after
        letters += "p" if decision.refused_by is None else "r"
    return letters


CASES: dict[str, tuple[TokenRule, list[int], str]] = {
    "the first request is free": (TokenRule(1, 60_000, 0), [0], "p"),
    "three at once with a burst of two": (TokenRule(*THREE_A_SECOND, 2), [0, 0, 0, 0], "pppr"),
    "without a burst, 333 ms are too short": (TokenRule(*THREE_A_SECOND, 0), [0, 333], "pr"),
    "without a burst, 334 ms are enough": (TokenRule(*THREE_A_SECOND, 0), [0, 334], "pp"),
    "a refusal takes nothing": (TokenRule(*THREE_A_SECOND, 0), [0, 100, 200, 300, 334], "prrrp"),
    "tokens come all the time, not once a minute": (TokenRule(2, 60_000, 0), [0, 29_999, 30_000], "prp"),
    "a long pause earns no more than the burst": (
        TokenRule(*THREE_A_SECOND, 2),
        [0, 0, 0, 60_000, 60_000, 60_000, 60_000],
        "ppppppr",
    ),
    "a clock that goes back counts as standing still": (
        TokenRule(*THREE_A_SECOND, 1),
        [1_000, 900, 1_100, 1_334],
        "pprp",
    ),
}


@pytest.mark.parametrize(("rule", "times_ms", "letters"), CASES.values(), ids=CASES)
def test_one_rule_decides_by_its_tokens(rule: TokenRule, times_ms: list[int], letters: str) -> None:
    assert let_in(rule, times_ms) == letters


STRICT, WIDE = TokenRule(*THREE_A_SECOND, 0), TokenRule(*THREE_A_SECOND, 5)
FRESH, EMPTY = TokenBucket(), TokenBucket(1_000, 0)


def test_an_earlier_rule_is_charged_for_what_a_later_one_refuses() -> None:
    decision, (wide, strict) = decide([WIDE, STRICT], [FRESH, EMPTY], 10)
    assert decision.refused_by == 1
    assert wide == FRESH.without_one(WIDE, 10)
    assert strict == EMPTY


def test_a_later_rule_is_not_asked_about_what_an_earlier_one_refuses() -> None:
    decision, after = decide([STRICT, WIDE], [EMPTY, FRESH], 10)
    assert decision.refused_by == 0
    assert after == (EMPTY, FRESH)


def test_a_dry_run_asks_every_rule() -> None:
    decision, after = decide([STRICT, WIDE, STRICT], [EMPTY, FRESH, EMPTY], 10, dry_run=True)
    assert decision.refused_by == 0
    assert after == (EMPTY, FRESH.without_one(WIDE, 10), EMPTY)


@pytest.mark.parametrize("dry_run", [False, True])
def test_together_nobody_pays_unless_all_agree(dry_run: bool) -> None:
    buckets = [FRESH, EMPTY]
    decision, after = decide([WIDE, STRICT], buckets, 10, together=True, dry_run=dry_run)
    assert (decision.refused_by, after) == (1, (FRESH, EMPTY))
    paid = (FRESH.without_one(WIDE, 10), FRESH.without_one(STRICT, 10))
    assert decide([WIDE, STRICT], [FRESH, FRESH], 10, together=True)[1] == paid


def test_a_rule_that_does_not_count_a_request_does_not_refuse_it() -> None:
    assert decide([STRICT, WIDE], [None, FRESH], 10)[0].refused_by is None
    assert decide([], [], 10)[0].refused_by is None


rates = st.tuples(st.integers(1, 10_000), st.sampled_from([1_000, 60_000]))
gaps = st.lists(st.integers(0, 3_000), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(rates, st.integers(0, 50), gaps)
def test_no_stretch_of_time_lets_in_more_than_burst_and_rate_allow(
    rate: tuple[int, int], burst: int, gaps: list[int]
) -> None:
    times_ms = np.cumsum(gaps).tolist()
    letters = let_in(TokenRule(*rate, burst), times_ms)
    passed = [at for at, letter in zip(times_ms, letters, strict=True) if letter == "p"]
    tokens, interval_ms = rate
    for begin, first in enumerate(passed):
        for n, last in enumerate(passed[begin:], 1):
            assert (n - 1 - burst) * interval_ms <= tokens * (last - first)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10_000), st.integers(0, 50), gaps)
def test_whole_rates_a_second_let_in_whom_nginx_lets_in(rate: int, burst: int, gaps: list[int]) -> None:
    rule = EdgeRule(name="x", key="new-per-address", rate_per_s=float(rate), burst=burst, nodelay=True)
    leaky, tokens = LeakyBucket(), TokenBucket()
    for now_ms in np.cumsum(gaps).tolist():
        theirs, (leaky_after,) = leaky_bucket.decide([rule.bucket], [leaky], now_ms)
        ours, (tokens_after,) = decide([token_rule(rule)], [tokens], now_ms)
        assert ours == theirs
        assert leaky_after is not None
        assert tokens_after is not None
        leaky, tokens = leaky_after, tokens_after


def test_the_highest_rate_fits_into_64_bits() -> None:
    # For whom counts in them.
    assert 600_000 * (2**31 - NEVER_MS) < 2**63
    assert missing_at(0, NEVER_MS, 600_000, 2**31) == 0


def edge_rule(key: Key = "new-per-address", **changes: object) -> EdgeRule:
    fields = {"name": "some-limit", "rate_per_s": 3.0, "burst": 2, "nodelay": True, **changes}
    return EdgeRule(key=key, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "tokens", "interval_ms"), [(3.0, 3, 1_000), (2.5, 150, 60_000), (1 / 60, 1, 60_000)]
)
def test_envoy_gets_the_rate_that_nginx_gets(rate: float, tokens: int, interval_ms: int) -> None:
    rule = edge_rule(rate_per_s=rate)
    assert token_rule(rule) == TokenRule(tokens, interval_ms, 2)
    assert rule.rate == Rate(tokens, "s" if interval_ms == 1_000 else "m")


COUNTED: dict[str, tuple[EdgeRule, str, bool, str]] = {
    "an IPv4 address": (edge_rule(), "10.1.2.3", True, "10.1.2.3"),
    "a request of a session": (edge_rule(), "10.1.2.3", False, ""),
    "an IPv6 address counts as its network": (edge_rule(), "2001:db8::a:b:c:d", True, "2001:db8::/64"),
    "IPv4 inside IPv6 is one network": (edge_rule(), "::ffff:10.1.2.3", True, "::/64"),
    "a session's request there": (edge_rule(), "::ffff:10.1.2.3", False, ""),
    "where all count": (edge_rule("all-per-address"), "::ffff:10.1.2.3", False, "::/64"),
    "everybody together": (edge_rule("new-together"), "::ffff:10.1.2.3", True, "everybody"),
    "no range of IPv4 has it in it": (edge_rule(exempt=("10.0.0.0/8",)), "::ffff:10.1.2.3", True, "::/64"),
    "a range of IPv6 does": (edge_rule(exempt=("::/8",)), "::ffff:10.1.2.3", True, ""),
}


@pytest.mark.parametrize(("rule", "address", "new", "key"), COUNTED.values(), ids=COUNTED)
def test_a_request_counts_as_the_template_says(rule: EdgeRule, address: str, new: bool, key: str) -> None:
    assert counts_as(rule, address, new=new) == key
