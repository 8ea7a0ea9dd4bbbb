"""What every connection limit comes down to, and the mistakes that a limit reports."""

from typing import Any

import pytest

from gateway_stub.protocol import Admission
from scenarios.limits.counted import Refusal
from scenarios.limits.leaky_bucket import BucketRule, Key
from scenarios.limits.registry import LIMITS, LimitError, limit

AT_NGINX: dict[str, tuple[Any, Key, BucketRule]] = {
    "per-ip": ("per-ip", "new-per-address", BucketRule(3_000, 2)),
    "per-ip-strict": ("per-ip-strict", "new-per-address", BucketRule(3_000, 0)),
    "per-ip-all-requests": ("per-ip-all-requests", "all-per-address", BucketRule(3_000, 2)),
    "per-ip-delay": ("per-ip-delay", "new-per-address", BucketRule(3_000, 2, nodelay=False)),
    "global with a rate of its own": (
        {"name": "global", "rate_per_s": 40, "burst": 5},
        "new-together",
        BucketRule(40_000, 5),
    ),
    "one in two seconds": (
        {"name": "per-ip", "rate_per_s": 0.5, "burst": 9},
        "new-per-address",
        BucketRule(500, 9),
    ),
}


@pytest.mark.parametrize(("spec", "key", "bucket"), AT_NGINX.values(), ids=AT_NGINX)
def test_a_limit_at_nginx_is_one_rule(spec: Any, key: Key, bucket: BucketRule) -> None:
    limits = limit(spec)
    (rule,) = limits.rules
    assert (rule.key, rule.bucket) == (key, bucket)
    assert (rule.exempt, rule.dry_run) == ((), False)
    assert limits.admission == Admission()


AT_THE_POD: dict[str, tuple[Any, Admission]] = {
    "none": ("none", Admission()),
    "none as a table": ({"name": "none"}, Admission()),
    "lag-shed": ("lag-shed", Admission(shed_above_lag_ms=250.0)),
    "lag-shed at 80 ms": ({"name": "lag-shed", "above_lag_ms": 80}, Admission(shed_above_lag_ms=80.0)),
    "handshake-slots": ("handshake-slots", Admission(handshake_slots=2)),
    "lag-shed that closes": (
        {"name": "lag-shed", "close_1013": True},
        Admission(shed_above_lag_ms=250.0, close_1013=True),
    ),
    "pod-window": ("pod-window", Admission(window_connections=10, window_s=60)),
    "pod-window that sees the proxy alone, and charges refusals": (
        {"name": "pod-window", "source": "peer", "charge_refusals": True, "window_s": 5},
        Admission(window_connections=10, window_s=5, window_charges_refusals=True, window_by_peer=True),
    ),
    "both": ("handshake-slots+lag-shed", Admission(shed_above_lag_ms=250.0, handshake_slots=2)),
}


@pytest.mark.parametrize(("spec", "admission"), AT_THE_POD.values(), ids=AT_THE_POD)
def test_a_limit_at_the_pod_leaves_nginx_alone(spec: Any, admission: Admission) -> None:
    limits = limit(spec)
    assert (limits.rules, limits.admission) == ((), admission)


def test_a_limit_of_requests_in_flight_is_a_rule_of_its_own() -> None:
    limits = limit({"name": "concurrent-per-ip", "connections": 5, "exempt": ["10.0.0.0/8"]})
    (rule,) = limits.in_flight
    assert (rule.connections, rule.exempt, rule.all_requests) == (5, ("10.0.0.0/8",), True)
    assert (limits.rules, limits.windows, limits.at_proxy) == ((), (), (rule,))


def test_a_limit_by_token_counts_neither_addresses_nor_everybody_together() -> None:
    (rule,) = limit({"name": "per-token", "by": "cookie:sid", "burst": 5}).rules
    assert (rule.key, rule.token, rule.per_address) == ("new-per-token", "cookie:sid", False)
    assert rule.bucket == BucketRule(3_000, 5)
    assert rule.counts_as("10.1.2.3", new=True, token="abc") == "abc"
    assert rule.counts_as("10.1.2.3", new=True) == ""
    assert rule.counts_as("10.1.2.3", new=False, token="abc") == ""


def test_what_a_refusal_looks_like_is_said_once_for_all_parts() -> None:
    limits = limit({"name": "per-ip+concurrent-per-ip+lag-shed", "status": 503, "retry_after_s": 60})
    assert limits.refusal == Refusal(status=503, retry_after_s=60)
    assert limit({"name": "per-ip", "drop": True}).refusal.drop
    assert limit("lag-shed").refusal == Refusal()


def test_the_scenario_decides_on_the_global_rate() -> None:
    (rule,) = limit("global").rules
    assert rule.rate_per_s is None


@pytest.mark.parametrize("spec", ["per-ip+global", "per-ip + global"], ids=["as a name", "as people write"])
def test_names_joined_by_plus_keep_their_order(spec: str) -> None:
    assert [rule.name for rule in limit(spec).rules] == ["per-ip", "global"]


def test_a_limit_at_nginx_and_one_at_the_pod_work_together() -> None:
    limits = limit("lag-shed+per-ip-strict+none")
    assert [rule.name for rule in limits.rules] == ["per-ip-strict"]
    assert limits.admission == Admission(shed_above_lag_ms=250.0)


def test_each_limit_of_a_combination_takes_its_own_parameters() -> None:
    limits = limit(
        {
            "name": "per-ip+global+lag-shed",
            "per-ip": {"burst": 5, "exempt": ["10.0.0.0/8"]},
            "lag-shed": {"above_lag_ms": 100},
            "exempt": ["2001:db8::/32"],
            "dry_run": True,
        }
    )
    first, second = limits.rules
    assert (first.burst, second.burst) == (5, 10)
    assert (first.exempt, second.exempt) == (("10.0.0.0/8",), ("2001:db8::/32",))
    assert first.dry_run
    assert second.dry_run
    assert limits.admission.shed_above_lag_ms == 100


def test_exempt_ranges_are_written_as_nginx_reads_them() -> None:
    ranges = ["10.0.0.0/255.0.0.0", "192.0.2.7", "2001:DB8::/32"]
    (rule,) = limit({"name": "per-ip", "exempt": ranges}).rules
    assert rule.exempt == ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_says_what_it_does_by_which_formula_and_where_it_is_from(name: str) -> None:
    text = LIMITS[name].__doc__ or ""
    first, formula, *_, source = text.split("\n\n")
    assert first.endswith(".")
    assert formula.startswith("        ")
    assert source.strip().startswith("Source: ")


NAMES = ", ".join(LIMITS)

MISTAKES: dict[str, tuple[Any, str, str]] = {
    "unknown name": ("per-user", "'per-user'", NAMES),
    "no name": ({"burst": 3}, "None", NAMES),
    "name that is no text": ({"name": {"per-ip": 1}}, "{'per-ip': 1}", NAMES),
    "nothing behind the plus": ("per-ip+", "''", "several joined by +"),
    "unknown part": ("per-ip+per-user", "'per-user'", NAMES),
    "a limit twice": ("per-ip+global+per-ip", "'per-ip+global+per-ip'", "each limit once"),
    "parameter of no limit": ({"name": "none", "burst": 3}, "burst: unknown parameter", "expected none"),
    "unknown parameter": ({"name": "per-ip", "rate": 3}, "rate: unknown parameter", "rate_per_s, burst"),
    "rate of zero": ({"name": "per-ip", "rate_per_s": 0}, "rate_per_s: invalid value 0", "a number >= 0.016"),
    "rate beyond the bound": (
        {"name": "per-ip", "rate_per_s": 10_001},
        "rate_per_s: invalid value 10001",
        "a number <= 10000.0",
    ),
    "a rate that only the global limit leaves open": (
        {"name": "per-ip", "rate_per_s": None},
        "rate_per_s: invalid value None",
        "a number",
    ),
    "negative burst": ({"name": "per-ip", "burst": -1}, "burst: invalid value -1", "an integer >= 0"),
    "broken burst": ({"name": "per-ip", "burst": 1.5}, "burst: invalid value 1.5", "an integer"),
    "burst where there is none": (
        {"name": "per-ip-strict", "burst": 1},
        "burst: invalid value 1",
        "an integer <= 0",
    ),
    "no range": ({"name": "per-ip", "exempt": ["home"]}, "'home'", "exempt"),
    "a range with an address in it": (
        {"name": "per-ip", "exempt": ["10.0.0.1/8"]},
        "10.0.0.1/8",
        "host bits",
    ),
    "an address that breaks out": (
        {"name": "per-ip", "exempt": ["fe80::1%;}"]},
        "fe80::1%;}",
        "not a range",
    ),
    "no lag": ({"name": "lag-shed", "above_lag_ms": 0}, "above_lag_ms: invalid value 0", "a number > 0"),
    "no slot": ({"name": "handshake-slots", "slots": 0}, "slots: invalid value 0", "an integer >= 1"),
    "parameter of which part": (
        {"name": "per-ip+global", "burst": 3},
        "burst = 3",
        "per-ip = {…}, global = {…}, exempt, dry_run, status, retry_after_s, drop",
    ),
    "another status": (
        {"name": "per-ip", "status": 444},
        "status: invalid value 444",
        "expected 429 or 503; ",
    ),
    "a header without an answer": (
        {"name": "per-ip", "drop": True, "retry_after_s": 9},
        "drop = True",
        "no answer that could have a status or retry_after_s",
    ),
    "two ways to refuse": (
        {"name": "per-ip+global", "global": {"status": 503}},
        "limit 'per-ip+global': status, retry_after_s or drop differ",
        "the same for all of per-ip, global",
    ),
    "a token of nothing": (
        {"name": "per-token", "by": "user"},
        "by: invalid value 'user'",
        "header:NAME or cookie:NAME",
    ),
    "a cookie that breaks out": (
        {"name": "per-token", "by": "cookie:a;b"},
        "cookie:a;b",
        "header:NAME or cookie:NAME",
    ),
    "no connection": (
        {"name": "concurrent-per-ip", "connections": 0},
        "connections: invalid value 0",
        "an integer >= 1",
    ),
    "no window": ({"name": "sliding-window", "window_s": 0}, "window_s: invalid value 0", "an integer >= 1"),
    "no table for a part": ({"name": "per-ip+global", "global": 40}, "global = 40", "global = {…}"),
    "nobody to exempt from": (
        {"name": "lag-shed+handshake-slots", "exempt": []},
        "exempt = []",
        "lag-shed = {…}, handshake-slots = {…}",
    ),
    "mistake in a part": (
        {"name": "per-ip+global", "global": {"rate": 3}},
        "limit 'global': rate: unknown parameter: expected one of ",
        "rate_per_s, burst",
    ),
    "dry run of a part": (
        {"name": "per-ip+global", "global": {"dry_run": True}},
        "dry_run is set for global only",
        "for all of per-ip, global",
    ),
}


@pytest.mark.parametrize(("spec", "invalid", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_an_error_names_what_is_invalid_and_what_is_expected(spec: Any, invalid: str, expected: str) -> None:
    with pytest.raises(LimitError) as error:
        limit(spec)
    message = str(error.value)
    assert invalid in message
    assert expected in message
    assert "\n" not in message


def test_a_valid_parameter_is_not_called_invalid_with_the_one_that_is() -> None:
    with pytest.raises(LimitError, match="bursts: unknown parameter: did you mean burst\\?") as error:
        limit({"name": "per-ip", "rate_per_s": 5, "bursts": 10})
    assert "rate_per_s = 5" not in str(error.value)
    assert "$" not in str(error.value)
