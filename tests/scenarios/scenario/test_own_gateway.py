"""What a scenario may say about a gateway of the user's own, and what is refused when it is loaded."""

from pathlib import Path

import pytest

from scenarios.programs.placeholders import invocation
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import load
from scenarios.scenario.redact import secrets_of, shown_arguments, without_secrets
from scenarios.scenario.redact_text import HIDDEN, shown_line, shown_words
from scenarios.scenario.validate import ScenarioError

OWN = 'gateway={command="node server.js"}'
REDIS = 'service=[{name="redis", command="redis-server --port {port}"}]'
CALM = ("matrix={}", "event=[]")


def refusal(*sets: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load("mass-drop", [*CALM, *sets])
    return str(caught.value)


GOOD = {
    "a line": (OWN,),
    "a list of words": ('gateway={command=["node", "my server.js"]}',),
    "a placeholder": ('gateway={command="node server.js {port} {pod} {host}"}',),
    "JSON among the words": ('gateway={command="node server.js \'{\\"a\\": 1}\'"}',),
    "the port of a service": (OWN, REDIS, 'gateway.environment={URL="redis://127.0.0.1:{redis.port}"}'),
    "a publisher": (OWN, 'feed.command="publish {gateway.ports} {rate_hz} {payload_bytes} {event}"'),
    "a stall of a publisher": (OWN, 'feed.command="publish"', 'event=[{do="feed_stall", at_s=5, for_s=2}]'),
    "conflated probes": (OWN, 'event=[{do="probes", at_s=5, conflated=true}]'),
    "probes with a path": (OWN, "gateway.liveness_path=/healthz", 'event=[{do="probes", at_s=5}]'),
    "a limit at the proxy": (OWN, "edge.limit=per-ip"),
}


@pytest.mark.parametrize("sets", GOOD.values(), ids=GOOD)
def test_what_can_be_meant_is_accepted(sets: tuple[str, ...]) -> None:
    assert load("mass-drop", [*CALM, *sets]).own_gateway


BAD = {
    "blanks": (('gateway={command="  "}',), "gateway.command: invalid value '  '"),
    "an empty word": (('gateway={command=[""]}',), "gateway.command: invalid value"),
    "a variable with an equals sign": (
        (OWN, 'gateway.environment={"A=B"="c"}'),
        "gateway.environment: invalid",
    ),
    "metrics of another host": (
        (OWN, 'gateway.metrics={path="@10.0.0.1/m"}'),
        "gateway.metrics.path: invalid",
    ),
    "a path of a service": (
        (OWN, 'service=[{name="a", command="x", ready_path="ready"}]'),
        "service[0].ready_path: invalid value 'ready'",
    ),
    "a placeholder in the set-up": (
        (OWN, 'gateway.setup="x {prot}"'),
        "gateway.setup: invalid value '{prot}'",
    ),
    "a shell": (('gateway={command="cd x && node server.js"}',), "gateway.command: invalid value '&&'"),
    "a pipe in the set-up": ((OWN, 'gateway.setup="a | b"'), "gateway.setup: invalid value '|'"),
    "an assignment": (('gateway={command="PORT=1 node x"}',), "begins with an assignment of PORT"),
    "no word": (('gateway={command="node \'x"}',), "gateway.command: cannot be split into words"),
    "both kinds of target": ((OWN, "target.url=http://127.0.0.1:1"), "together with target.url"),
    "a cost of the stub": ((OWN, "gateway.handshake_cpu_ms=3"), "gateway.handshake_cpu_ms: invalid value 3"),
    "a path": ((OWN, "gateway.ready_path=ready"), "gateway.ready_path: invalid value 'ready'"),
    "a path with a brace": ((OWN, "gateway.path=/a{b}/"), "gateway.path: invalid value '/a{b}/'"),
    "a placeholder": (('gateway={command="x {prot}"}',), "gateway.command: invalid value '{prot}'"),
    "a service that is not there": ((OWN, 'gateway.environment={A="{redis.port}"}'), "'{redis.port}'"),
    "a service without a command": ((OWN, 'service=[{name="a"}]'), "service[0].command: missing"),
    "two services of one name": (
        (OWN, 'service=[{name="a", command="x"}, {name="a", command="y"}]'),
        "service[1].name: invalid value 'a'",
    ),
    "a service called port": (
        (OWN, 'service=[{name="port", command="x"}]'),
        "service[0].name: invalid value",
    ),
    "load shedding": ((OWN, "edge.limit=lag-shed"), "edge.limit: invalid value 'lag-shed'"),
    "load shedding later": (
        (OWN, 'event=[{do="set_limit", at_s=5, limit="handshake-slots"}]'),
        "event[0].limit",
    ),
    "a burst of its own feed": (
        (OWN, 'event=[{do="feed_burst", at_s=5, factor=2, for_s=1}]'),
        "event[0].do: not supported: feed_burst",
    ),
    "probes without a path": (
        (OWN, 'event=[{do="probes", at_s=5}]'),
        "event[0].conflated: not supported as false without gateway.liveness_path",
    ),
    "a set-up without a command": (("gateway.setup=npm",), "gateway.setup: invalid value 'npm'"),
    "a publisher for the stub": (
        ('feed.command="x"',),
        "feed.command: not supported without gateway.command",
    ),
    "a service for the stub": ((REDIS,), "service: not supported without gateway.command"),
    "signals without a publisher": (
        (OWN, 'feed.stall_signals=["SIGUSR1", "SIGUSR2"]'),
        "feed.stall_signals: not supported without feed.command",
    ),
}


@pytest.mark.parametrize(("sets", "told"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_refused_with_its_key(sets: tuple[str, ...], told: str) -> None:
    assert told in refusal(*sets)


def test_an_override_replaces_the_stub_and_its_settings() -> None:
    scenario = load("mass-drop", ["gateway.command=node server.js"])
    assert scenario.gateway.command == "node server.js"
    assert scenario.own_gateway


def test_working_folders_begin_at_the_scenario_file_or_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy").mkdir()
    file = tmp_path / "deploy" / "storm.toml"
    file.write_text('[gateway]\ncommand = "node server.js"\n')
    monkeypatch.chdir(tmp_path)
    assert load(str(file)).folder == str(tmp_path / "deploy")
    assert load(str(file), ["folder=../app"]).folder == str(tmp_path / "deploy" / "../app")
    assert load("mass-drop", [*CALM, OWN]).folder == str(tmp_path)
    assert load("mass-drop").folder == ""


def test_arms_may_have_other_gateways_than_the_stub_of_the_base(tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    file.write_text(
        '[gateway]\nhandshake_cpu_ms = 5\n[arms.stub]\n[arms.node]\n"gateway.command" = "node server.js"\n'
    )
    found = arms(load(str(file)))
    assert {name: arm.own_gateway for name, arm in found.items()} == {"stub": False, "node": True}
    assert found["node"].folder == str(tmp_path)


WORDS = {
    "nothing secret": (["node", "server.js", "--port", "1"], ["node", "server.js", "--port", "1"]),
    "an option with a value": (["x", "--api-token=abc"], ["x", f"--api-token={HIDDEN}"]),
    "an option and its value": (["x", "--password", "abc", "-v"], ["x", "--password", HIDDEN, "-v"]),
    "a variable": (["env", "DB_PASS=abc", "x"], ["env", f"DB_PASS={HIDDEN}", "x"]),
    "a URL": (["x", "redis://me:pw@h:1/0"], ["x", f"redis://{HIDDEN}@h:1/0"]),
    "a token by its looks": (["x", "ghp_abcdef"], ["x", HIDDEN]),
    "a long random value": (["x", "--id=Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg"], ["x", f"--id={HIDDEN}"]),
    "a variable of an option": (["x", "--env=DB_PASSWORD=abc"], ["x", f"--env=DB_PASSWORD={HIDDEN}"]),
    "JSON": (["x", '{"port": 1, "token": "abc"}'], ["x", f'{{"port": 1, "token": {HIDDEN}']),
    "a header in one word": (
        ["x", "-H", "Authorization: Bearer abc"],
        ["x", "-H", f"Authorization: {HIDDEN}"],
    ),
    "a login": (["curl", "-u", "me:abc", "-p", "8080"], ["curl", "-u", HIDDEN, "-p", "8080"]),
    "a path with a telling name": (["x", "auth/server.js"], ["x", "auth/server.js"]),
    "a header": (["curl", "-H", "Authorization:", "abcd1234"], ["curl", "-H", "Authorization:", HIDDEN]),
}


@pytest.mark.parametrize(("words", "shown"), WORDS.values(), ids=WORDS)
def test_words_that_look_like_secrets_are_hidden(words: list[str], shown: list[str]) -> None:
    assert shown_words(words) == shown


def test_a_line_is_shown_as_it_was_written_unless_it_has_a_secret() -> None:
    assert shown_line("node  'my server.js'") == "node  'my server.js'"
    assert shown_line("node server.js --token 'a b'") == f"node server.js --token {HIDDEN}"
    assert shown_line("node 'x") == HIDDEN


def test_secrets_of_commands_and_variables_are_not_written_down_and_known_for_logs() -> None:
    scenario = load(
        "mass-drop",
        [
            *CALM,
            'gateway={command="node x --token=t0ken-1", setup="npm --password pass-2"}',
            'gateway.environment={API_KEY="key-3", MODE="production", DB="pg://u:pass-4@h/x"}',
            "gateway.environment.C='H=1;Password=pass-6'",
            'feed={command="publish redis://u:pass-5@h"}',
        ],
    )
    shown = without_secrets(scenario)
    assert "handshake_cpu_ms" not in shown["gateway"], "that is the stub's"
    assert shown["gateway"]["environment"] == {
        "API_KEY": HIDDEN,
        "MODE": "production",
        "DB": f"pg://{HIDDEN}@h/x",
        "C": f"H=1;Password={HIDDEN}",
    }
    for secret in ("t0ken-1", "pass-2", "key-3", "pass-4", "pass-5", "pass-6"):
        assert secret not in str(shown)
        assert any(secret in known for known in secrets_of(scenario)), secret


def test_variables_may_be_numbers_and_a_comparison_may_vary_them() -> None:
    sets = [
        OWN,
        "gateway.environment.WORKERS=2",
        "gateway.environment.DEBUG=true",
        "gateway.environment.PIN=1234",
    ]
    scenario = load("mass-drop", [*CALM, *sets, 'matrix={"gateway.environment.WORKERS"=[1, 2]}'])
    called = invocation(scenario.gateway, {}, environment={})
    assert called.environment == {"WORKERS": "2", "DEBUG": "true", "PIN": "1234"}
    shown = without_secrets(scenario)
    assert shown["gateway"]["environment"] == {"WORKERS": 2, "DEBUG": True, "PIN": HIDDEN}
    assert shown["matrix"] == {"gateway.environment.WORKERS": [1, 2]}
    assert secrets_of(scenario) - {""} == {"1234"}


def test_the_option_is_shown_like_the_key() -> None:
    assert shown_arguments(["run", "--gateway", "node x --token=abc"]) == [
        "run",
        "--gateway",
        f"node x --token={HIDDEN}",
    ]
    assert shown_arguments(["--gateway=node x --token=abc"]) == [f"--gateway=node x --token={HIDDEN}"]
