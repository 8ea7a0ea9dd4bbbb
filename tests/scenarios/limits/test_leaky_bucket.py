"""The pure rule is nginx's: worked-out cases, and what must hold whatever the requests are."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.limits.leaky_bucket import (
    NEVER_MS,
    BucketRule,
    Decision,
    EdgeRule,
    Key,
    LeakyBucket,
    decide,
    elapsed_ms,
    excess_after,
    nginx_rate,
)

THREE_A_SECOND = 3_000


def let_in(rule: BucketRule, times_ms: list[int]) -> str:
    """One letter for each request of one key: p for passed, d for delayed, r for refused."""
    bucket, letters = LeakyBucket(), ""
    for now_ms in times_ms:
        decision, (after,) = decide([rule], [bucket], now_ms)
        assert after is not None
        bucket = after
        letters += "r" if decision.refused_by == 0 else "d" if decision.delay_ms else "p"
    return letters


CASES: dict[str, tuple[BucketRule, list[int], str]] = {
    "the first request is free": (BucketRule(16, 0), [0], "p"),
    "three at once with a burst of two": (BucketRule(THREE_A_SECOND, 2), [0, 0, 0, 0], "pppr"),
    "without a burst, 333 ms are too short": (BucketRule(THREE_A_SECOND, 0), [0, 333], "pr"),
    "without a burst, 334 ms are enough": (BucketRule(THREE_A_SECOND, 0), [0, 334], "pp"),
    "a refusal charges nothing": (BucketRule(THREE_A_SECOND, 0), [0, 100, 200, 300, 334], "prrrp"),
    "a long pause earns no more than the burst": (
        BucketRule(THREE_A_SECOND, 2),
        [0, 0, 0, 60_000, 60_000, 60_000, 60_000],
        "ppppppr",
    ),
    "one a minute is 16 thousandths a second": (BucketRule(16, 0), [0, 62_499, 62_500], "prp"),
    "without nodelay the burst waits": (BucketRule(THREE_A_SECOND, 2, nodelay=False), [0, 0, 0, 0], "pddr"),
    "a clock that goes back by a little counts as standing still": (
        BucketRule(THREE_A_SECOND, 1),
        [1_000, 900, 1_100, 1_334],
        "pprp",
    ),
    "a clock that goes back by more than a minute begins again": (
        BucketRule(THREE_A_SECOND, 2),
        [100_000, 10_000, 10_000, 10_334, 10_334],
        "ppppr",
    ),
}


@pytest.mark.parametrize(("rule", "times_ms", "letters"), CASES.values(), ids=CASES)
def test_one_rule_decides_as_nginx_does(rule: BucketRule, times_ms: list[int], letters: str) -> None:
    assert let_in(rule, times_ms) == letters


def test_whoever_waits_waits_for_the_excess_to_leak_away() -> None:
    rule, bucket = BucketRule(THREE_A_SECOND, 2, nodelay=False), LeakyBucket()
    delays = []
    for _ in range(3):
        decision, (after,) = decide([rule], [bucket], 0)
        assert after is not None
        bucket = after
        delays.append(decision.delay_ms)
    assert delays == [0, 333, 666]


STRICT, WIDE = BucketRule(THREE_A_SECOND, 0), BucketRule(THREE_A_SECOND, 5)
FRESH, JUST_CHARGED = LeakyBucket(), LeakyBucket(0, 0)

TOGETHER: dict[str, tuple[list[BucketRule], list[LeakyBucket | None], int | None]] = {
    "the second refuses and the first is not charged": ([WIDE, STRICT], [FRESH, JUST_CHARGED], 1),
    "the first refuses and the second is not asked": ([STRICT, STRICT], [JUST_CHARGED, JUST_CHARGED], 0),
    "a rule that does not count the request does not refuse it": ([STRICT, WIDE], [None, FRESH], None),
    "nobody counts it": ([STRICT, WIDE], [None, None], None),
    "there are no rules": ([], [], None),
    "all agree": ([WIDE, STRICT], [JUST_CHARGED, FRESH], None),
}


@pytest.mark.parametrize(("rules", "buckets", "refused_by"), TOGETHER.values(), ids=TOGETHER)
def test_several_rules_charge_all_or_nobody(
    rules: list[BucketRule], buckets: list[LeakyBucket | None], refused_by: int | None
) -> None:
    decision, after = decide(rules, buckets, 10)
    assert decision == Decision(refused_by=refused_by)
    for rule, before, now in zip(rules, buckets, after, strict=True):
        charged = before is not None and refused_by is None
        assert now == (before.charged(rule, 10) if before and charged else before)


def test_the_longest_wait_of_several_rules_counts() -> None:
    slow, fast = BucketRule(1_000, 9, nodelay=False), BucketRule(THREE_A_SECOND, 9, nodelay=False)
    busy = LeakyBucket(2_000, 0)
    assert decide([slow, fast], [busy, busy], 0)[0].delay_ms == 3_000
    assert decide([fast, slow], [busy, busy], 0)[0].delay_ms == 3_000
    assert decide([BucketRule(1_000, 9), fast], [busy, busy], 0)[0].delay_ms == 1_000


rules = st.builds(BucketRule, st.integers(16, 10_000_000), st.integers(0, 50), st.booleans())
gaps = st.lists(st.integers(0, 3_000), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(rules, gaps)
def test_no_stretch_of_time_lets_in_more_than_burst_and_rate_allow(rule: BucketRule, gaps: list[int]) -> None:
    times_ms = np.cumsum(gaps).tolist()
    passed = [at for at, letter in zip(times_ms, let_in(rule, times_ms), strict=True) if letter != "r"]
    for begin, first in enumerate(passed):
        for n, last in enumerate(passed[begin:], 1):
            assert (n - 1 - rule.burst) * 1000 <= rule.rate_millis * (last - first) / 1000


def test_the_highest_rate_fits_into_64_bits() -> None:
    # For whom counts in them.
    elapsed = elapsed_ms(NEVER_MS, 2**31)
    assert 10_000_000 * elapsed < 2**63
    assert excess_after(0, 10_000_000, elapsed) == 0


@pytest.mark.parametrize(
    ("rate", "written", "millis"),
    [
        (1, "1r/s", 1_000),
        (3.0, "3r/s", 3_000),
        (10_000, "10000r/s", 10_000_000),
        (float("inf"), "10000r/s", 10_000_000),
        (2.5, "150r/m", 2_500),
        (44.751, "2685r/m", 44_750),
        (1 / 3, "20r/m", 333),
        (1 / 60, "1r/m", 16),
        (0.0, "1r/m", 16),
    ],
    ids=[
        *("one", "whole float", "highest", "as many as you like", "fraction above one"),
        *("rounded to a minute", "one in three seconds", "one a minute", "none at all"),
    ],
)
def test_nginx_gets_whole_numbers_only(rate: float, written: str, millis: int) -> None:
    assert (str(nginx_rate(rate)), nginx_rate(rate).millis) == (written, millis)


@settings(max_examples=100, deadline=None)
@given(st.floats(1 / 60, 10_000))
def test_the_written_rate_is_within_half_a_request_per_minute_of_the_asked_one(rate: float) -> None:
    match = re.fullmatch(r"([1-9]\d*)r/([sm])", str(nginx_rate(rate)))
    assert match is not None
    per_second = int(match[1]) / (60 if match[2] == "m" else 1)
    assert per_second == pytest.approx(rate, abs=0.5 / 60 + 1e-9)
    assert nginx_rate(rate).millis / 1000 == pytest.approx(per_second, abs=0.001)


def edge_rule(key: Key = "new-per-address", **changes: object) -> EdgeRule:
    fields = {"name": "some-limit", "rate_per_s": 3.0, "burst": 2, "nodelay": True, **changes}
    return EdgeRule(key=key, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clients", "megabytes"),
    [(1, 1), (3_906, 1), (3_907, 2), (100_000, 26), (1_000_000, 256)],
    ids=["one client", "what fits into 1 MB", "one more", "a hundred thousand", "a million"],
)
def test_the_zone_has_room_for_every_address_twice(clients: int, megabytes: int) -> None:
    assert edge_rule().zone_megabytes(clients) == megabytes
    assert megabytes * 2**20 >= clients * 128 * 2
    assert edge_rule("new-together").zone_megabytes(clients) == 1


def test_a_rule_whose_rate_is_not_decided_yet_cannot_be_written() -> None:
    assert edge_rule().bucket == BucketRule(3_000, 2)
    assert edge_rule().zone == "some_limit"
    with pytest.raises(ValueError, match="'some-limit' has no rate"):
        _ = edge_rule(rate_per_s=None).bucket


COUNTED: dict[str, tuple[EdgeRule, str, bool, str]] = {
    "a new connection": (edge_rule(), "10.1.2.3", True, "10.1.2.3"),
    "a request of a session": (edge_rule(), "10.1.2.3", False, ""),
    "a session's request where all count": (edge_rule("all-per-address"), "10.1.2.3", False, "10.1.2.3"),
    "everybody together": (edge_rule("new-together"), "10.1.2.3", True, "everybody"),
    "an IPv6 address counts as its network": (edge_rule(), "2001:db8::a:b:c:d", True, "2001:db8::/64"),
    "another network": (edge_rule(), "2001:db8:0:1::1", True, "2001:db8:0:1::/64"),
    "the first network of all": (edge_rule(), "::1", True, "::/64"),
    "IPv4 inside IPv6": (edge_rule(), "::ffff:10.1.2.3", True, "10.1.2.3"),
    "an exempt range": (edge_rule(exempt=("10.0.0.0/8",)), "10.1.2.3", True, ""),
    "an exempt range, written as IPv6": (edge_rule(exempt=("10.0.0.0/8",)), "::ffff:10.1.2.3", True, ""),
    "outside the exempt ranges": (edge_rule(exempt=("10.0.0.0/8", "::/8")), "11.1.2.3", True, "11.1.2.3"),
    "an exempt IPv6 range": (edge_rule(exempt=("2001:db8::/32",)), "2001:db8::1", True, ""),
}


@pytest.mark.parametrize(("rule", "address", "new", "key"), COUNTED.values(), ids=COUNTED)
def test_a_request_counts_as_the_template_says(rule: EdgeRule, address: str, new: bool, key: str) -> None:
    assert rule.counts_as(address, new=new) == key
