"""Scenario files: what loads, what is refused and how, overrides, and the arms of a matrix."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.rundir.renamed import SCENARIOS
from scenarios.events.drop import DropAll
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import catalog, load, refuse_set_by_arms
from scenarios.scenario.model import Fleet, Gateway, Phases, Scenario
from scenarios.scenario.overrides import parse_override, set_key
from scenarios.scenario.validate import ScenarioError, build

TRIGGER = '[[event]]\nat_s = 8\ndo = "drop_all"\n'
PHASES = "[phases]\nduration_s = 60\nduring_s = 15\nrescue_s = 10\nrescue_at_s = 24\n"


def written(tmp_path: Path, text: str) -> str:
    """The path of a scenario file with that text."""
    path = tmp_path / "storm.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(name_or_path: str, *overrides: str) -> str:
    """The message with which the scenario is refused, which must be one line."""
    with pytest.raises(ScenarioError) as error:
        load(name_or_path, overrides)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", catalog())
def test_every_scenario_of_the_catalogue_loads_and_says_what_it_is_about(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert scenario.summary
    assert scenario.trigger_s is None or scenario.trigger_s >= 1


def test_an_empty_file_is_the_default_scenario_under_the_name_of_the_file(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Scenario(name="storm")


def test_a_file_may_name_itself(tmp_path: Path) -> None:
    assert load(written(tmp_path, 'name = "monday"')).name == "monday"


def test_the_trigger_is_the_first_event_whatever_the_order_in_the_file(tmp_path: Path) -> None:
    text = TRIGGER.replace("8", "20") + TRIGGER + PHASES
    assert load(written(tmp_path, text)).trigger_s == 8


@pytest.mark.parametrize(
    "event",
    [
        pytest.param('at_s = 20\ndo = "feed_stall"\nfor_s = 4', id="a fault that is just over"),
        pytest.param('at_s = 20\ndo = "feed_stall"\nfor_s = 9\nenabled = false', id="one that is off"),
        pytest.param('at_s = 20\ndo = "push_policy"\npolicy = "incident"\nreach_s = 9', id="a push"),
        pytest.param('at_s = 9\ndo = "pause_pod"\nfor_s = 5\nevery_s = 10\ntimes = 9', id="a repeated one"),
    ],
)
def test_what_does_not_reach_into_the_rescue_or_does_not_spoil_it_is_taken(
    tmp_path: Path, event: str
) -> None:
    assert load(written(tmp_path, f"{TRIGGER}[[event]]\n{event}\n{PHASES}")).phases.rescue_at_s == 24


TOKEN_AUTH = '[target]\nauth = {token = "{token}"}\n'
MISTAKES = {
    "unknown table": ("flet = 3", "flet", "unknown key", "name, summary, fleet"),
    "unknown key": (
        "[fleet]\nclient = 3",
        "fleet.client",
        "unknown key: did you mean fleet.clients?",
        "clients, clients_per_ip",
    ),
    "key of another table": (
        "[gateway]\nlimit = 'per-ip'",
        "gateway.limit",
        "unknown key: did you mean edge.limit?",
        "pods",
    ),
    "unknown key of an event": (
        TRIGGER + "pod = 1",
        "event[0].pod",
        "unknown key",
        "at_s, enabled, every_s, times, do",
    ),
    "number for a table": ("fleet = 3", "fleet", "3", "a table"),
    "text for a number": ('[fleet]\nclients = "many"', "fleet.clients", "'many'", "an integer, got a string"),
    "fraction for a count": ("[fleet]\nclients = 2.5", "fleet.clients", "2.5", "an integer"),
    "number for a policy": ("[fleet]\npolicy = 5", "fleet.policy", "5", "a string or a table"),
    "single table for an array": ("[event]\nat_s = 3", "event", "{'at_s': 3}", "a list"),
    "below the bound": ("[fleet]\nclients = 0", "fleet.clients", "0", "an integer >= 1"),
    "not a number": ("[fleet]\nconnect_timeout_s = nan", "fleet.connect_timeout_s", "nan", "a number > 0.0"),
    "above the bound": ("[gateway]\npods = 257", "gateway.pods", "257", "an integer <= 256"),
    "on an open bound": ("[feed]\nrate_hz = 1", "feed.rate_hz", "1", "a number > 1.0"),
    "empty text": ('[feed]\nevent = ""', "feed.event", "''", "length >= 1"),
    "value outside a list of one": (
        '[fleet]\ntransport = "polling"',
        "fleet.transport",
        "'polling'",
        "'websocket'",
    ),
    "value outside a list": (
        '[gateway]\nbalance = "random"',
        "gateway.balance",
        "'random'",
        "'least_conn', 'round_robin', 'hash', 'ip_hash' or 'cookie'",
    ),
    "unknown event": (TRIGGER.replace("drop_all", "drop_some"), "event[0].do", "'drop_some'", "drop_all"),
    "event without a deed": ("[[event]]\nat_s = 8", "event[0].do", "missing", "expected a value"),
    "unknown policy": (
        '[fleet]\npolicy = "exponential"',
        "fleet.policy",
        "'exponential'",
        "policies that `reconnect-storm list` prints, or module:function",
    ),
    "unknown parameter of a policy": (
        '[fleet]\npolicy = {name = "spread", wide_s = 1}',
        "fleet.policy",
        "wide_s: unknown parameter",
        "window_s",
    ),
    "policy name that is no text": (
        '[fleet]\npolicy = {name = ["spread"]}',
        "fleet.policy",
        "['spread']",
        "policies that `reconnect-storm list` prints",
    ),
    "rescue policy that cannot be imported": (
        '[phases]\nrescue_policy = "no:where"',
        "phases.rescue_policy",
        "'no:where'",
        "cannot be imported",
    ),
    "unknown limit": ('[edge]\nlimit = "per-user"', "edge.limit", "'per-user'", "none, per-ip"),
    "limit parameter out of range": (
        '[edge]\nlimit = {name = "per-ip", burst = -1}',
        "edge.limit",
        "burst: invalid value -1",
        "an integer >= 0",
    ),
    "version of TLS with its prefix": (
        '[edge.tls]\nversions = ["TLSv1.2"]',
        "edge.tls.versions[0]",
        "'TLSv1.2'",
        "'1.2' or '1.3'",
    ),
    "certificate that is made by the run": (
        '[edge.tls]\ncertificate = "x"',
        "edge.tls.certificate",
        "unknown key",
        "one of versions, key, session_cache, session_tickets",
    ),
    "share without a percent sign": (
        '[[event]]\nat_s = 5\ndo = "deploy"\nmax_surge = "25"',
        "event[0].max_surge",
        "'25'",
        "a number of pods, such as 1, or a share of them in quotes, such as '25%'",
    ),
    "part of an event's name": (
        '[[event]]\nat_s = 5\ndo = "reload"',
        "event[0].do",
        "'reload'",
        "; did you mean nginx_reload?",
    ),
    "time between actions of which there is one": (
        '[[event]]\nat_s = 5\ndo = "nginx_reload"\nevery_s = 4.4',
        "event[0].every_s",
        "4.4",
        "times, 2 or more, or for_s with it",
    ),
    "health URL that is none": (
        '[abort]\nhealth_url = "file:///etc/passwd"',
        "abort.health_url",
        "'file:///etc/passwd'",
        "http://… or https://…",
    ),
    "recovery of sessions by the stub": (
        "[fleet]\nrecovery = true",
        "fleet.recovery",
        "True",
        "false with the built-in stub",
    ),
    "credentials from nowhere": (
        TOKEN_AUTH + "[target.credentials]",
        "target.credentials",
        "neither function nor command",
        "expected one of the two",
    ),
    "credentials from two places": (
        TOKEN_AUTH + '[target.credentials]\nfunction = "gateway_stub.tokens:issue"\ncommand = "mint"',
        "target.credentials.command",
        "not supported together with target.credentials.function",
        "expected one of the two",
    ),
    "credentials of a function that is not there": (
        TOKEN_AUTH + '[target.credentials]\nfunction = "gateway_stub.tokens:mint"',
        "target.credentials.function",
        "'gateway_stub.tokens:mint' cannot be imported",
        "mint",
    ),
    "credentials of a command for a shell": (
        TOKEN_AUTH + '[target.credentials]\ncommand = "mint | jq"',
        "target.credentials.command",
        "'|'",
        "no shell reads the command",
    ),
    "credentials that nothing uses": (
        '[target.credentials]\nfunction = "gateway_stub.tokens:issue"',
        "target.credentials",
        "nothing uses the answers",
        "{token}, in a value of target.auth, target.headers, target.cookies",
    ),
    "header that our own nginx does not trust": (
        '[fleet]\nsource = "x-forwarded-for"',
        "fleet.source",
        "'x-forwarded-for'",
        "proxy-protocol",
    ),
    "polling that any pod may get a part of": (
        '[fleet]\ntransport = "polling-upgrade"',
        "gateway.balance",
        "'least_conn'",
        "'hash' with polling clients",
    ),
    "shares of addresses without a size": (
        "[fleet]\nclients_per_ip = [{share = 0.5}]",
        "fleet.clients_per_ip[0].clients_per_ip",
        "missing",
        "expected a value",
    ),
    "address share out of range": (
        "[fleet]\nclients_per_ip = [{share = 1.5, clients_per_ip = 1}]",
        "fleet.clients_per_ip[0].share",
        "1.5",
        "<= 1",
    ),
    "header with a line break": (
        '[target]\nheaders = {X = "a\\r\\nb"}',
        'target.headers."X"',
        "'(hidden)'",
        "text in one line",
    ),
    "event after the end": (
        TRIGGER.replace("8", "60") + PHASES,
        "event[0].at_s",
        "60",
        "less than 24, where the run ends or the rescue begins",
    ),
    "event without a baseline before it": (
        TRIGGER.replace("8", "0.5") + PHASES,
        "event[].at_s",
        "0.5",
        "at least 1",
    ),
    "during longer than the run": (
        TRIGGER + PHASES.replace("15", "53"),
        "phases.during_s",
        "53",
        "at most 52",
    ),
    "rescue too early": (
        TRIGGER + PHASES.replace("24", "23"),
        "phases.rescue_at_s",
        "23",
        "0 for none, or from 24 to 50",
    ),
    "rescue too late to finish": (
        TRIGGER + PHASES.replace("24", "51"),
        "phases.rescue_at_s",
        "51",
        "0 for none, or from 24 to 50",
    ),
    "fault that reaches into the rescue": (
        TRIGGER + '[[event]]\nat_s = 20\ndo = "feed_stall"\nfor_s = 6\n' + PHASES,
        "phases.rescue_at_s",
        "24",
        "0 for none, or at least 26, when event[1], feed_stall, is over",
    ),
    "repeated fault that reaches into the rescue": (
        TRIGGER + '[[event]]\nat_s = 9\ndo = "pause_pod"\nfor_s = 5\nevery_s = 6\ntimes = 9\n' + PHASES,
        "phases.rescue_at_s",
        "24",
        "0 for none, or at least 26, when event[1], pause_pod, is over",
    ),
    "matrix key without values": (
        '[matrix]\n"fleet.policy" = []',
        "matrix.fleet.policy",
        "[]",
        "at least one value",
    ),
    "matrix value given twice": (
        '[matrix]\n"fleet.policy" = ["naive", "incident", "naive"]',
        "matrix.fleet.policy",
        "duplicate value",
        "each value once",
    ),
    "matrix values outside an array, below good ones": (
        '[matrix]\n"fleet.clients" = [1, 2]\n"fleet.policy" = "naive"',
        'matrix."fleet.policy"',
        "'naive'",
        "a list",
    ),
    "matrix values outside an array": (
        '[matrix]\n"fleet.policy" = "naive"',
        'matrix."fleet.policy"',
        "'naive'",
        "a list",
    ),
    "matrix value of a wrong type": (
        '[matrix]\n"fleet.policy" = [[1]]',
        'matrix."fleet.policy"[0]',
        "[1]",
        "true or false or an integer or a number or a string or a table",
    ),
    "matrix value that names nothing": (
        '[matrix]\n"fleet.policy" = ["naive", "late"]',
        "fleet.policy",
        "'late'",
        "policies that `reconnect-storm list` prints",
    ),
    "matrix value out of range": (
        '[matrix]\n"fleet.clients" = [1, 0]',
        "fleet.clients",
        "0",
        "an integer >= 1",
    ),
    "matrix key that is not there": (
        '[matrix]\n"fleet.polcy" = ["naive"]',
        "fleet.polcy",
        "unknown key",
        "clients, clients_per_ip",
    ),
    "matrix key inside an array": (
        TRIGGER + '[matrix]\n"event.at_s" = [3]',
        "event.at_s",
        "invalid index at_s",
        "0 to 0",
    ),
    "matrix key at a place that is not there": (
        TRIGGER + '[matrix]\n"event.1.at_s" = [3]',
        "event.1.at_s",
        "invalid index 1",
        "0 to 0",
    ),
    "arms beside a matrix": (
        '[matrix]\n"fleet.clients" = [3]\n[arms.one]\n"fleet.clients" = 3',
        "arms",
        "not supported together with matrix",
        "one of the two",
    ),
    "an arm that sets what is not there": (
        '[arms.one]\n"fleet.size" = 3',
        "fleet.size",
        "unknown key",
        "clients",
    ),
    "repeats without a distance": (TRIGGER + "times = 2", "event[0].times", "2", "1 without every_s"),
    "a longer time before a shorter one": (
        TRIGGER + "times = 2\nevery_s = [4, 3]",
        "event[0].every_s",
        "[4.0, 3.0]",
        "the shorter time first",
    ),
    "an event with a value out of range": (
        '[[event]]\nat_s = 8\ndo = "drop_share"\nshare = 1.5',
        "event[0].share",
        "1.5",
        "a number <= 1.0",
    ),
    "a pod that is not there": (
        '[[event]]\nat_s = 8\ndo = "kill_pod"\npod = 2',
        "event[0].pod",
        "2",
        "0 to 1 with 2 pods",
    ),
    "a pushed policy that is none": (
        TRIGGER + '[[event]]\nat_s = 9\ndo = "push_policy"\npolicy = "patience"',
        "event[1].policy",
        "'patience'",
        "policies that `reconnect-storm list` prints",
    ),
    "a limit in mid-run that is none": (
        TRIGGER + '[[event]]\nat_s = 9\ndo = "set_limit"\nlimit = "per-user"',
        "event[1].limit",
        "'per-user'",
        "none, per-ip",
    ),
    "an event that somebody else's pods do not obey": (
        '[target]\nurl = "http://127.0.0.1:1"\n[[event]]\nat_s = 8\ndo = "kill_pod"',
        "event[0].do",
        "'kill_pod'",
        "drop_all, drop_share, push_policy, exec; the target is external",
    ),
}


@pytest.mark.parametrize(("text", "key", "invalid", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_an_error_names_file_key_invalid_value_and_what_is_expected(
    tmp_path: Path, text: str, key: str, invalid: str, expected: str
) -> None:
    path = written(tmp_path, text)
    message = refusal(path)
    where, _, rest = message.partition(f": {key}: ")
    assert path in where
    assert invalid in rest
    assert expected in rest


def test_a_name_that_is_neither_built_in_nor_a_file_is_told_similar_ones_and_where_the_others_are() -> None:
    message = refusal("mass-dorp")
    assert message == (
        "mass-dorp: no such scenario: expected a file or mass-drop, or "
        f"one of the {len(catalog())} scenarios that `reconnect-storm list` prints"
    )


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    assert "did you mean" not in refusal("xyzzy")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[fleet\n", "not valid TOML"),
        (b"x = " + b"[" * 100_000, "not valid TOML"),
        (b"x = " + b"9" * 5_000, "not valid TOML"),
        (b"summary = '\xff'", "cannot be read"),
    ],
    ids=["open bracket", "nested without end", "number without end", "not UTF-8"],
)
def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    assert f"{path}: {said}" in refusal(str(path))


def test_a_directory_or_a_path_through_a_file_cannot_be_read(tmp_path: Path) -> None:
    assert f"{tmp_path}: cannot be read" in refusal(str(tmp_path))
    assert "storm.toml/x: cannot be read" in refusal(written(tmp_path, "") + "/x")


def test_a_file_without_permission_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may read anything, so the refusal of the system is played.
    def refuse(*_args: object, **_kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "cannot be read: [Errno 13]" in refusal(str(tmp_path / "secret.toml"))


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "fleet", "clients", "policy", "event", "at_s", "do", "matrix", "limit", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, dict))
)
def test_any_table_is_a_scenario_or_a_one_line_refusal(table: dict[str, Any]) -> None:
    try:
        result: Scenario | str = build(table, source="any.toml")
    except ScenarioError as error:
        result = str(error)
    assert isinstance(result, Scenario) or re.fullmatch(r"any\.toml: .+: .+", result)


OVERRIDES: dict[str, tuple[str, tuple[str, Any]]] = {
    "whole number": ("fleet.clients=1000", ("fleet.clients", 1000)),
    "number with blanks": (" fleet.rtt_ms = 2.5", ("fleet.rtt_ms", 2.5)),
    "plain text": ("fleet.policy=incident", ("fleet.policy", "incident")),
    "quoted text": ('fleet.policy="incident"', ("fleet.policy", "incident")),
    "table": (
        "fleet.policy={name = 'spread', window_s = 5}",
        ("fleet.policy", {"name": "spread", "window_s": 5}),
    ),
    "text with an equals sign": ("summary=drop = all", ("summary", "drop = all")),
    "empty text": ("summary=", ("summary", "")),
    "dotted key in a table": ("matrix={'gateway.pods' = [2, 9]}", ("matrix", {"gateway.pods": [2, 9]})),
}


@pytest.mark.parametrize(("override", "expected"), OVERRIDES.values(), ids=OVERRIDES)
def test_an_override_is_toml_or_else_plain_text(override: str, expected: tuple[str, Any]) -> None:
    assert parse_override(override) == expected


def test_overrides_apply_in_order_and_reach_into_the_file(tmp_path: Path) -> None:
    overrides = [
        "fleet.clients=10",
        "fleet.clients=20",
        "fleet.policy={name='spread', window_s=5}",
        "edge.limit=per-ip",
    ]
    scenario = load(written(tmp_path, "[fleet]\nclients = 5\nrtt_ms = 7\n" + TRIGGER + PHASES), overrides)
    assert scenario.fleet == Fleet(clients=20, rtt_ms=7, policy={"name": "spread", "window_s": 5})
    assert scenario.edge.limit == "per-ip"
    assert scenario.event == (DropAll(at_s=8),)


BAD_OVERRIDES = {
    "no value": ("fleet.clients", ("--set fleet.clients", "expected KEY=VALUE", "fleet.clients=1000")),
    "no key": ("=3", ("--set =3", "expected KEY=VALUE")),
    "wrong type": (
        "fleet.clients=no",
        ("mass-drop.toml with --set fleet.clients=no: fleet.clients", "'no'", "an integer"),
    ),
    "unknown key": (
        "fleet.clents=3",
        ("--set fleet.clents: unknown key: did you mean fleet.clients? expected one of clients, ",),
    ),
    "unknown key of an event": ("event.0.pod=3", ("--set event.0.pod: unknown key: expected one of at_s",)),
    "unknown table": ("flet.clients=3", ("--set flet: unknown key: did you mean fleet? ",)),
    "key of another table": ("policy=naive", ("--set policy: unknown key: did you mean fleet.policy? ",)),
    "dot at the end": ("fleet.=3", ("--set fleet.: unknown key", "clients")),
    "key inside a text": (
        "summary.x=3",
        ("--set summary.x=(hidden): summary.x", "summary is not a table", "keys in tables"),
    ),
    "key inside an array of events": (
        "event.at_s=9",
        ("--set event.at_s=9: event.at_s", "invalid index at_s", "0 to 0"),
    ),
    "whole array with a mistake": (
        "event=[{at_s=86400, do='drop_all'}]",
        (": event[0].at_s", "86400", "less than 44"),
    ),
}


@pytest.mark.parametrize(("override", "fragments"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES)
def test_a_bad_override_is_refused_in_one_line(override: str, fragments: tuple[str, ...]) -> None:
    message = refusal("mass-drop", override)
    assert all(fragment in message for fragment in fragments), message


def test_set_key_makes_the_tables_on_the_way() -> None:
    table: dict[str, Any] = {"a": {"x": 1}}
    set_key(table, "a.b.c", 2, source="here")
    assert table == {"a": {"x": 1, "b": {"c": 2}}}


def test_a_whole_entry_of_a_list_can_be_set() -> None:
    table: dict[str, Any] = {"event": [{"do": "drop_all"}, {"do": "scale"}]}
    set_key(table, "event.1", {"do": "nginx_reload"}, source="here")
    assert table == {"event": [{"do": "drop_all"}, {"do": "nginx_reload"}]}


def test_arms_can_be_named_and_set_fields_of_events() -> None:
    scenario = Scenario(
        event=(DropAll(at_s=8),),
        phases=Phases(rescue_at_s=0),
        arms={"calm": {"event.0.enabled": False}, "stormy": {}},
    )
    calm, stormy = arms(scenario).values()
    assert (calm.event[0].enabled, stormy.event[0].enabled) == (False, True)
    assert list(arms(scenario)) == ["calm", "stormy"]


def test_a_switch_in_a_matrix_is_labelled_by_its_name() -> None:
    scenario = Scenario(
        event=(DropAll(at_s=8),), phases=Phases(rescue_at_s=0), matrix={"event.0.enabled": (True, False)}
    )
    assert list(arms(scenario)) == ["enabled=true", "enabled=false"]


def test_a_scenario_without_a_matrix_is_its_only_arm() -> None:
    scenario = Scenario(name="calm")
    assert arms(scenario) == {"calm": scenario}


def test_arms_cross_every_value_in_the_order_of_the_file() -> None:
    scenario = Scenario(matrix={"fleet.policy": ("naive", "incident"), "edge.limit": ("none", "per-ip")})
    crossed = arms(scenario)
    assert list(crossed) == ["naive + none", "naive + per-ip", "incident + none", "incident + per-ip"]
    assert [(arm.fleet.policy, arm.edge.limit) for arm in crossed.values()] == [
        tuple(label.split(" + ")) for label in crossed
    ]


def test_a_resolved_arm_has_no_matrix_and_differs_in_nothing_else() -> None:
    scenario = Scenario(
        name="scale",
        gateway=Gateway(handshake_cpu_ms=7),
        phases=Phases(rescue_at_s=0),
        matrix={"gateway.pods": (2, 9), "fleet.policy": ({"name": "spread", "window_s": 3}, "naive")},
    )
    crossed = arms(scenario)
    assert list(crossed) == ["2 + spread window_s=3", "2 + naive", "9 + spread window_s=3", "9 + naive"]
    assert crossed["9 + naive"] == Scenario(
        name="scale",
        gateway=Gateway(handshake_cpu_ms=7, pods=9),
        fleet=Fleet(policy="naive"),
        phases=Phases(rescue_at_s=0),
    )


def test_a_bad_arm_is_reported_under_the_name_of_its_source() -> None:
    scenario = Scenario(matrix={"edge.limit": ("per-user",)})
    with pytest.raises(ScenarioError, match=r"^storm\.toml: edge\.limit: invalid value 'per-user'"):
        arms(scenario, source="storm.toml")


FORMER = {
    "in a file": ('[edge]\nfront = "envoy"\n[gateway]\ncpu = "reserve"', ()),
    "in --set": ("", ("edge.front=envoy", "gateway.cpu=reserve")),
    "in quoted keys of --set": ("", ('edge."front"=envoy', 'gateway={cpu = "reserve"}')),
    "in a file, against --set": ('[edge]\nfront = "nginx"', ("edge.proxy=envoy", "gateway.cpu=reserve")),
}


@pytest.mark.parametrize(("text", "overrides"), FORMER.values(), ids=FORMER)
def test_former_names_load_with_one_warning_per_file(
    tmp_path: Path, text: str, overrides: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, text)
    for _ in range(2):
        scenario = load(path, overrides)
        assert (scenario.edge.proxy, scenario.gateway.cpu) == ("envoy", "occupy")
    (warning,) = caplog.messages
    assert warning == (
        f"reconnect-storm: warning: {path}: edge.front is now edge.proxy; "
        'gateway.cpu = "reserve" is now "occupy"'
    )


def test_a_scenario_of_the_catalogue_loads_under_its_former_name_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        assert load("mesh-price") == load("mesh-overhead")
    assert caplog.messages == ["reconnect-storm: warning: scenario mesh-price is now mesh-overhead"]


@pytest.mark.parametrize(("former", "present"), SCENARIOS.items())
def test_a_former_name_of_a_scenario_is_free_and_its_present_one_is_in_the_catalogue(
    former: str, present: str
) -> None:
    assert former not in catalog()
    assert present in catalog()


def test_former_names_in_a_matrix_given_by_an_override(caplog: pytest.LogCaptureFixture) -> None:
    crossed = arms(load("mass-drop", ['matrix={"edge.front" = ["nginx", "envoy"]}']))
    assert [arm.edge.proxy for arm in crossed.values()] == ["nginx", "envoy"]
    assert "edge.front is now edge.proxy" in caplog.text


MATRIX = '[matrix]\n"edge.limit" = ["none", "per-ip"]\n"event.0.at_s" = [8, 9]\n'
ARMS = '[arms]\na = {"fleet.policy" = "naive", "edge.limit" = "none"}\nb = {"edge.limit" = "per-ip"}\n'
LOST = {
    "the value of a key that the matrix varies": (MATRIX, "edge.limit=none", "edge.limit"),
    "a part of such a value": (MATRIX, "edge.limit.name=per-ip", "edge.limit"),
    "a key of a list": (MATRIX, "event.0.at_s=10", "event.0.at_s"),
    "a key by its former name": (
        '[matrix]\n"edge.proxy" = ["nginx", "envoy"]\n',
        "edge.front=envoy",
        "edge.proxy",
    ),
    "a key that all arms set": (ARMS, "edge.limit=none", "edge.limit"),
}
KEPT = {
    "a key that one arm leaves": (ARMS, "fleet.policy=incident"),
    "a key that nothing varies": (MATRIX, "fleet.policy=incident"),
    "a name that begins like a varied key": (
        '[matrix]\n"fleet.clients" = [10, 20]\n',
        "fleet.clients_per_ip=2",
    ),
    "the matrix itself": (MATRIX, 'matrix={"edge.limit"=["none"]}'),
}


@pytest.mark.parametrize(("arms_of_file", "override", "key"), LOST.values(), ids=LOST)
def test_what_every_arm_sets_itself_cannot_be_set(
    tmp_path: Path, arms_of_file: str, override: str, key: str
) -> None:
    scenario = load(written(tmp_path, TRIGGER + arms_of_file), [override])
    with pytest.raises(ScenarioError, match=f"no effect: every arm sets {re.escape(key)} itself") as error:
        refuse_set_by_arms(scenario, [override])
    assert str(error.value).startswith(f"storm: --set {key}")


@pytest.mark.parametrize(("arms_of_file", "override"), KEPT.values(), ids=KEPT)
def test_what_an_arm_leaves_can_be_set(tmp_path: Path, arms_of_file: str, override: str) -> None:
    refuse_set_by_arms(load(written(tmp_path, TRIGGER + arms_of_file), [override]), [override])
