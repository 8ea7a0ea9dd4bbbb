"""Groups of a fleet: their shares, what they take from `[fleet]`, their keys, and what is refused."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.scenario.arms import arms
from scenarios.scenario.fleet.groups import OVERRIDES, Group, shares
from scenarios.scenario.fleet.order import GroupOrder
from scenarios.scenario.loader import load
from scenarios.scenario.model import Fleet, Scenario
from scenarios.scenario.redact import without_secrets
from scenarios.scenario.validate import ScenarioError, build

TWO = """
[fleet]
policy = "incident"
[[fleet.group]]
name = "web"
[[fleet.group]]
name = "old"
share = 0.25
policy = "naive"
"""


def built(text: str) -> Scenario:
    return build(tomllib.loads(text), source="storm.toml")


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as error:
        arms(built(text), source="storm.toml")
    return str(error.value)


# -- shares -----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=16).filter(any), st.integers(1, 300))
def test_after_any_number_of_clients_each_group_is_within_one_client_of_its_share(
    weights: list[int], clients: int
) -> None:
    wanted = [weight / sum(weights) for weight in weights]
    order, taken = GroupOrder(wanted), [0] * len(weights)
    for number in range(1, clients + 1):
        taken[order.next()] += 1
        for share, size in zip(wanted, taken, strict=True):
            assert abs(size - share * number) < 1 + 1e-6


def test_a_group_without_a_share_has_the_rest() -> None:
    groups = [Group(name="a", share=0.3), Group(name="b"), Group(name="c", share=0.2)]
    assert shares(groups) == pytest.approx((0.3, 0.5, 0.2))


# -- what a group takes from the fleet ------------------------------------------------------------------


def test_a_fleet_without_groups_is_its_only_part() -> None:
    fleet = Fleet(policy="incident")
    (part,) = fleet.parts
    assert (part.name, part.share, part.group, part.is_served) == ("", 1.0, None, True)
    assert part.fleet is fleet


@pytest.mark.parametrize("key", OVERRIDES)
def test_a_group_takes_from_the_fleet_what_it_does_not_say(key: str) -> None:
    other: dict[str, Any] = {
        "policy": "full-jitter",
        "clients_per_ip": 7,
        "transport": "polling-upgrade",
        "connect_timeout_s": 9.0,
        "stale_after_s": 0.0,
        "stale_by": "age",
        "reset_backoff": "never",
        "stable_after_s": 3.0,
    }
    fleet = Fleet(group=(Group(name="a"), Group(name="b", share=0.5, **{key: other[key]})))
    same, different = fleet.parts
    assert getattr(same.fleet, key) == getattr(fleet, key)
    assert getattr(different.fleet, key) == other[key]
    assert different.fleet.clients == fleet.clients
    assert not different.fleet.group


# -- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["fleet.group.old.share", "fleet.group.1.share", 'fleet.group."old".share'])
def test_arms_name_a_group_by_its_name_or_its_place(key: str) -> None:
    found = arms(built(f"{TWO}[arms.more]\n'{key}' = 0.5\n[arms.less]\n'{key}' = 0"))
    assert [[part.share for part in arm.fleet.parts] for arm in found.values()] == [[0.5, 0.5], [1.0, 0.0]]


def test_an_override_names_a_group_of_the_catalogue() -> None:
    found = load("old-tabs", ["fleet.group.old-tabs.policy=naive", "fleet.group.current.stale_after_s=0"])
    assert [part.fleet.policy for part in found.fleet.parts] == ["incident", "naive"]
    assert [part.fleet.stale_after_s for part in found.fleet.parts] == [0.0, 0.0]


def test_the_policy_of_the_fleet_is_that_of_the_groups_without_one() -> None:
    found = arms(built(TWO + '[matrix]\n"fleet.policy" = ["spread"]'))
    assert [part.fleet.policy for part in found["spread"].fleet.parts] == ["spread", "naive"]


def test_values_of_a_query_are_not_written_down() -> None:
    text = TWO + 'query = { token = "hush", v = "1" }'
    shown = without_secrets(built(text))["fleet"]["group"][1]["query"]
    assert shown == {"token": "(hidden)", "v": "(hidden)"}


# -- what is refused ---------------------------------------------------------------------------------

MISTAKES = {
    "shares of more than all": (
        TWO.replace('name = "web"', 'name = "web"\nshare = 0.9'),
        "fleet.group[].share: invalid value '0.9 + 0.25': expected shares with a sum of 1",
    ),
    "shares of less than all": (
        TWO.replace('name = "web"', 'name = "web"\nshare = 0.5'),
        "fleet.group[].share: invalid value '0.5 + 0.25': expected shares with a sum of 1",
    ),
    "two groups without a share": (
        TWO.replace("share = 0.25", ""),
        "fleet.group[1].share: missing: expected at most one group without a share",
    ),
    "the same name twice": (
        TWO.replace('"old"', '"web"'),
        "fleet.group[1].name: invalid value 'web': expected a name that no other group has",
    ),
    "a name that is a number": (TWO.replace('"old"', '"1"'), "fleet.group[1].name: invalid value '1'"),
    "an unknown key": (TWO + "polcy = 1", "fleet.group[1].polcy: unknown key"),
    "an unknown policy": (
        TWO.replace('"naive"', '"nave"'),
        "fleet.group[1].policy: invalid value 'nave': expected naive, ",
    ),
    "another protocol": (TWO + "protocol = 2", "fleet.group[1].protocol: invalid value 2: expected 3 or 4"),
    "nobody who could join": (
        TWO.replace('name = "web"', 'name = "web"\nprotocol = 3') + "protocol = 3",
        "fleet.group[].protocol: invalid value 3: expected 4 in at least one group that has clients",
    ),
    "too few clients for one that is served": (
        TWO.replace('policy = "incident"', "clients = 3") + "protocol = 3\n[[fleet.group]]\nname = 'more'\n"
        "share = 0.65\nprotocol = 3",
        "fleet.clients: invalid value 3: expected at least 10, so that one can be served",
    ),
    "a path at the stub": (
        TWO + 'path = "/v2/"',
        "fleet.group[1].path: invalid value '/v2/': expected no path; the built-in stub has one for all",
    ),
    "a path that the proxy does not serve": (
        TWO + 'path = "/v2/"\n[gateway]\ncommand = "node x"',
        "fleet.group[1].path: invalid value '/v2/':"
        " expected a path that begins with gateway.path, '/socket.io/'",
    ),
    "polling clients at several pods": (
        TWO + 'transport = "polling-upgrade"',
        "gateway.balance: invalid value 'least_conn': expected 'cookie', 'ip_hash' or 'hash' with polling",
    ),
    "a push to a group that is not there": (
        TWO + '[[event]]\nat_s = 9\ndo = "drop_all"\n[[event]]\nat_s = 10\ndo = "push_policy"\n'
        'policy = "naive"\ngroup = "tabs"',
        "event[1].group: invalid value 'tabs': expected web, old",
    ),
    "a push to a group of a fleet without any": (
        '[[event]]\nat_s = 9\ndo = "push_policy"\npolicy = "naive"\ngroup = "tabs"',
        "event[0].group: invalid value 'tabs': expected no group; the fleet has none",
    ),
    "an arm that names no group": (
        TWO + '[arms.a]\n"fleet.group.tabs.share" = 0.1',
        "matrix: fleet.group.tabs.share: invalid index tabs: expected 0 to 1, web, old",
    ),
    "an arm that changes nothing": (
        TWO.replace('name = "web"', 'name = "web"\npolicy = "incident"')
        + '[arms.a]\n"fleet.policy" = "spread"',
        "fleet.policy: no effect: each group of the fleet has its own policy:"
        " expected fleet.group.(web|old).policy",
    ),
    "a matrix that changes nothing": (
        TWO.replace('name = "web"', 'name = "web"\npolicy = "incident"')
        + '[matrix]\n"fleet.policy" = ["spread"]',
        "fleet.policy: no effect",
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_an_error_names_the_file_the_key_and_what_is_expected(text: str, said: str) -> None:
    assert refusal(text).startswith(f"storm.toml: {said}")


def test_an_override_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"fleet\.stale_after_s: no effect"):
        load("old-tabs", ["fleet.group.current.stale_after_s=1", "fleet.stale_after_s=3"])
