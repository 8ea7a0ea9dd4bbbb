"""The nginx directives of every connection limit, and the mistakes that a limit reports."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.limits import LIMITS, LimitError, PerAddress, limit


def rate_of(rule: PerAddress) -> str:
    """What the zone line says about the rate."""
    return rule.zone(1).rpartition("rate=")[2].removesuffix(";")


def test_no_limit_renders_nothing() -> None:
    assert limit("none") is None
    assert limit({"name": "none"}) is None


@pytest.mark.parametrize(
    ("spec", "zone", "line"),
    [
        (
            "per-ip",
            "limit_req_zone $new_connection_from zone=per_ip:1m rate=3r/s;",
            "limit_req zone=per_ip burst=2 nodelay;",
        ),
        (
            {"name": "per-ip", "burst": 0},
            "limit_req_zone $new_connection_from zone=per_ip:1m rate=3r/s;",
            "limit_req zone=per_ip;",
        ),
        (
            {"name": "per-ip", "rate_per_s": 0.5, "burst": 9},
            "limit_req_zone $new_connection_from zone=per_ip:1m rate=30r/m;",
            "limit_req zone=per_ip burst=9 nodelay;",
        ),
    ],
    ids=["three a second by name", "strict spacing without a burst", "one in two seconds from a table"],
)
def test_a_limit_per_address_renders_its_zone_and_its_line(spec: Any, zone: str, line: str) -> None:
    rule = limit(spec)
    assert rule is not None
    assert (rule.zone(300), rule.apply()) == (zone, line)


@pytest.mark.parametrize(
    ("rate", "written"),
    [(1, "1r/s"), (3.0, "3r/s"), (10_000, "10000r/s"), (2.5, "150r/m"), (1 / 3, "20r/m"), (1 / 60, "1r/m")],
    ids=["one", "whole float", "highest", "fraction above one", "one in three seconds", "one a minute"],
)
def test_nginx_gets_whole_numbers_only(rate: float, written: str) -> None:
    assert rate_of(PerAddress(rate_per_s=rate)) == written


@settings(max_examples=100, deadline=None)
@given(st.floats(1 / 60, 10_000))
def test_the_written_rate_is_within_half_a_request_per_minute_of_the_asked_one(rate: float) -> None:
    match = re.fullmatch(r"([1-9]\d*)r/([sm])", rate_of(PerAddress(rate_per_s=rate)))
    assert match is not None
    per_second = int(match[1]) / (60 if match[2] == "m" else 1)
    assert per_second == pytest.approx(rate, abs=0.5 / 60 + 1e-9)


@pytest.mark.parametrize(
    ("clients", "megabytes"),
    [(1, 1), (3_906, 1), (3_907, 2), (100_000, 26), (1_000_000, 256)],
    ids=["one client", "what fits into 1 MB", "one more", "a hundred thousand", "a million"],
)
def test_the_zone_has_room_for_every_client_twice(clients: int, megabytes: int) -> None:
    assert f"zone=per_ip:{megabytes}m " in PerAddress().zone(clients)
    assert megabytes * 2**20 >= clients * 128 * 2


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "unknown name": ("per-user", "'per-user'", ", ".join(LIMITS)),
    "no name": ({"burst": 3}, "None", ", ".join(LIMITS)),
    "name that is no text": ({"name": {"per-ip": 1}}, "{'per-ip': 1}", ", ".join(LIMITS)),
    "parameter of no limit": ({"name": "none", "burst": 3}, "burst", "takes no parameters"),
    "unknown parameter": ({"name": "per-ip", "rate": 3}, "rate = 3", "rate_per_s, burst"),
    "rate of zero": ({"name": "per-ip", "rate_per_s": 0}, "rate_per_s = 0", "`float` >= 0.016"),
    "rate beyond the bound": (
        {"name": "per-ip", "rate_per_s": 10_001},
        "rate_per_s = 10001",
        "`float` <= 10000.0",
    ),
    "negative burst": ({"name": "per-ip", "burst": -1}, "burst = -1", "`int` >= 0"),
    "broken burst": ({"name": "per-ip", "burst": 1.5}, "burst = 1.5", "`int`"),
}


@pytest.mark.parametrize(("spec", "found", "allowed"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_what_was_found_and_what_is_allowed(spec: Any, found: str, allowed: str) -> None:
    with pytest.raises(LimitError) as error:
        limit(spec)
    message = str(error.value)
    assert found in message
    assert allowed in message
    assert "\n" not in message
