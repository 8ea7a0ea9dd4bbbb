"""What lets somebody in at a target is written nowhere."""

import errno
import json
import sys
import tomllib
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from reports.rundir.toml import value_text
from scenarios.cli.main import main
from scenarios.generator.abort import Guard, armed
from scenarios.rehearsal.replay import rehearsed, scenario_file
from scenarios.runner.plan import plans
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import load
from scenarios.scenario.model import Abort, Scenario, Target
from scenarios.scenario.redact import (
    command_without_secrets,
    secrets_in,
    secrets_of,
    shown_override,
    without_secrets,
)
from scenarios.scenario.redact_text import (
    errors_without,
    hide,
    hide_in_logs,
    shown_text,
    shown_url,
    told_apart,
)
from scenarios.scenario.validate import ScenarioError, build
from scenarios.simulator.run import Prediction, simulate

SECRET = "open-sesame"
SMALL = (
    "fleet.clients=20",
    "phases.duration_s=8",
    "phases.during_s=2",
    "phases.recovery_window_s=2",
    "phases.rescue_at_s=0",
    "phases.control_s=2",
    'event=[{at_s=2, do="drop_all"}]',
)


def test_a_scenario_is_shown_without_what_it_takes_to_get_in() -> None:
    target = Target(
        url=f"https://gateway.test/ws/?token={SECRET}",
        namespace=f"/feed?token={SECRET}",
        auth={"token": SECRET, "deep": {"key": SECRET}},
        headers={"Authorization": SECRET},
        cookies={"session": SECRET},
    )
    abort = Abort(health_url=f"https://me:{SECRET}@gateway.test/ok?token={SECRET}#{SECRET}")
    shown = without_secrets(Scenario(target=target, abort=abort))
    assert SECRET.encode() not in msgspec.json.encode(shown)
    assert shown["target"]["url"] == "https://gateway.test/ws/?(hidden)"
    assert shown["target"]["namespace"] == "/feed?(hidden)"
    assert shown["target"]["auth"] == {"token": "(hidden)", "deep": "(hidden)"}
    assert shown["abort"]["health_url"] == "https://(hidden)@gateway.test/ok?(hidden)"
    assert without_secrets(Scenario())["target"]["auth"] is None


def test_a_placeholder_for_a_credential_is_shown_and_what_stands_beside_it_is_not() -> None:
    target = Target(
        auth={"token": "{token}", "user": SECRET},
        headers={"Authorization": "Bearer {token}", "X-Key": f"{SECRET} {{token}}"},
        cookies={"session": f"{SECRET}{{token}}"},
    )
    scenario = Scenario(target=target)
    shown = without_secrets(scenario)["target"]
    assert shown["auth"] == {"token": "{token}", "user": "(hidden)"}
    assert shown["headers"] == {"Authorization": "Bearer {token}", "X-Key": "(hidden)"}
    assert shown["cookies"] == {"session": "(hidden)"}
    assert SECRET in secrets_of(scenario)
    assert "Bearer {token}" not in secrets_of(scenario)


def test_a_scenario_without_secrets_is_shown_as_it_is() -> None:
    for name in ("mass-drop", "incident", "expired-tokens"):
        scenario = load(name)
        assert msgspec.convert(without_secrets(scenario), Scenario) == scenario
        assert not any(secrets_of(scenario))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("http://127.0.0.1:3000/ws/", "http://127.0.0.1:3000/ws/"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        (f"http://h/ws?{SECRET}", "http://h/ws?(hidden)"),
        (f"http://h/ws;{SECRET}?x", "http://h/ws;(hidden)"),
        (f"http://h/#{SECRET}", "http://h/#(hidden)"),
        (f"http://me:{SECRET}@h:1/a", "http://(hidden)@h:1/a"),
        (f"http://me:a@{SECRET}@h:1/a", "http://(hidden)@h:1/a"),
        (f"http://me:a/{SECRET}@h/a", "http://(hidden)@h/a"),
        (f"http://me:{SECRET}?@h/a", "http://me:(hidden)?(hidden)"),
        (f"me:{SECRET}@h", "(hidden)@h"),
        (f"//me:{SECRET}@h", "(hidden)@h"),
        (f"{SECRET}@http://h", "(hidden)://h"),
        (f"h:3000?{SECRET}", "h:3000?(hidden)"),
        (f"/feed?{SECRET}", "/feed?(hidden)"),
    ],
)
def test_a_url_keeps_scheme_host_port_and_path(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        (f"target.auth={{token='{SECRET}'}}", 'target.auth={ token = "(hidden)" }'),
        (f"target.headers.X={SECRET}", "target.headers.X=(hidden)"),
        (f" target.headers.X = {SECRET}", "target.headers.X=(hidden)"),
        (f"target . headers . X={SECRET}", "target.headers.X=(hidden)"),
        (f'target."headers".X={SECRET}', "target.headers.X=(hidden)"),
        (f"'target'.headers={{X='{SECRET}'}}", 'target.headers={ X = "(hidden)" }'),
        (f'target.headers."X=Y"={SECRET}', "target.headers.(hidden)=(hidden)"),
        (f"target.headers.Authorization: Basic {SECRET}==", "target.headers.(hidden)=(hidden)"),
        (f"target.headers.Authorization: Bearer {SECRET}", "(hidden)"),
        (f"target.auth.deep.pin={SECRET}", "target.auth.deep.pin=(hidden)"),
        ("target.auth.pin=123456", "target.auth.pin=(hidden)"),
        (
            f'target={{url="http://h", headers={{A="Bearer {SECRET}"}}}}',
            'target={ url = "http://h", headers = { A = "(hidden)" } }',
        ),
        (f'target={{url="http://h", headers={{A="{SECRET}"', "target=(hidden)"),
        (f"target.header.A={SECRET}", "target.header.A=(hidden)"),
        (f"tarket.headers.A={SECRET}", "tarket.headers.A=(hidden)"),
        (f'target.url="http://h/?a={SECRET}"', 'target.url="http://h/?(hidden)"'),
        (f"target.url=http://me:{SECRET}@h/", 'target.url="http://(hidden)@h/"'),
        (f"target.namespace=/feed?token={SECRET}", 'target.namespace="/feed?(hidden)"'),
        (f"abort.health_url=https://h/ok?token={SECRET}", 'abort.health_url="https://h/ok?(hidden)"'),
        (f'abort={{health_url="https://h/?{SECRET}"}}', 'abort={ health_url = "https://h/?(hidden)" }'),
        (
            f'matrix={{"target.headers"=[{{A="{SECRET}"}}]}}',
            'matrix={ "target.headers" = [{ A = "(hidden)" }] }',
        ),
        (
            f'matrix."target.headers.A"=["{SECRET}", "b"]',
            'matrix."target.headers.A"=["(hidden)", "(hidden)"]',
        ),
        (f'matrix."target.url"=["http://h/?{SECRET}"]', 'matrix."target.url"=["http://h/?(hidden)"]'),
        (
            f'arms={{one={{"target.headers.A"="{SECRET}"}},'
            f' "{SECRET}"={{target={{auth={{t="{SECRET}"}}}}}}}}',
            'arms={ one = { "target.headers.A" = "(hidden)" },'
            ' "(hidden)" = { target = { auth = { t = "(hidden)" } } } }',
        ),
        (f"fleet.clients=5 # {SECRET}", "fleet.clients=5"),
        (f"fleet.clients=5\ntarget.headers.A='{SECRET}'", None),
        (f"summary='see http://me:{SECRET}@h/a'", 'summary="see http://(hidden)@h/a"'),
        (SECRET, "(hidden)"),
        (f"={SECRET}", "(hidden)"),
        ("fleet.clients", "fleet.clients"),
        ("fleet.clients=5", "fleet.clients=5"),
        ('fleet.policy={name="naive"}', 'fleet.policy={name="naive"}'),
        ("feed.event=price", "feed.event=price"),
    ],
)
def test_an_override_is_shown_without_them(override: str, shown: str | None) -> None:
    found = shown_override(override)
    assert SECRET not in found
    assert shown is None or found == shown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--set", f"target.headers.X={SECRET}"], ["--set", "target.headers.X=(hidden)"]),
        ([f"--set=target.cookies.a={SECRET}"], ["--set=target.cookies.a=(hidden)"]),
        (["--candidate-set", f"target.cookies.a={SECRET}"], ["--candidate-set", "target.cookies.a=(hidden)"]),
        (["--target", f"http://h/?a={SECRET}"], ["--target", "http://h/?(hidden)"]),
        ([f"--target=http://h/?a={SECRET}"], ["--target=http://h/?(hidden)"]),
        (
            [f"--target=http://h/{'x'}", "-H", f"http://{SECRET}@h"],
            ["--target=http://h/x", "-H", "http://(hidden)@h"],
        ),
        ([f"target.headers.X={SECRET}"], ["target.headers.X=(hidden)"]),
        (["--overr", f"target.headers.X={SECRET}"], ["--overr", "target.headers.X=(hidden)"]),
        ([f"--overr=target.headers.X={SECRET}"], ["--overr=target.headers.X=(hidden)"]),
        ([f"https://me:{SECRET}@h/a"], ["https://(hidden)@h/a"]),
        (["run", "mass-drop", "--repeats", "5"], ["run", "mass-drop", "--repeats", "5"]),
        (["--set", "fleet.clients=5"], ["--set", "fleet.clients=5"]),
    ],
)
def test_a_command_is_shown_without_them_too(arguments: list[str], shown: list[str]) -> None:
    assert command_without_secrets(arguments) == ["reconnect-storm", *shown]


@pytest.mark.parametrize(
    "override",
    [
        f'target.headers.A="{SECRET}\\nb"',
        f"target.headers={SECRET}",
        f'target.headers={{A=["{SECRET}"]}}',
        f'target.headers={{A="{SECRET}\\u0000"}}',
        f"target.headers.A.b={SECRET}",
        f"target.headers.Authorization: Bearer {SECRET}",
        f"target.Authorization: Basic {SECRET}==",
        f"target.header.A={SECRET}",
        f"tarket={SECRET}",
        f"target={SECRET}",
        f"target.auth={SECRET}",
        f'target.url=["http://h/?{SECRET}"]',
        f'target.url="http://h/?{SECRET}\\n"',
        f"target.namespace=feed?{SECRET}",
        f"abort.health_url=ftp://h/?{SECRET}",
        f"abort.health_url=http://me:{SECRET}@h/ok",
        f'matrix={{"target.headers"=[["{SECRET}"]]}}',
        f'matrix={{"target.headers.A"=["{SECRET}", "{SECRET}"]}}',
        f'matrix={{"target.headers"="{SECRET}"}}',
        f'matrix."target.headers"={{A="{SECRET}"}}',
        f'arms={{a={{"target.headers"="{SECRET}"}}}}',
        f'arms={{a="{SECRET}"}}',
        f'arms={{a={{"target.url.x"="{SECRET}"}}}}',
        f"fleet.clients.a={SECRET}",
        SECRET,
        f"={SECRET}",
    ],
)
def test_no_error_about_a_scenario_has_them(override: str) -> None:
    # What stands in front of it is named in every later error as well.
    before = f"target.cookies.sid={SECRET}"
    with pytest.raises(ScenarioError) as refused:
        load("mass-drop", [before, override])
    assert SECRET not in str(refused.value)
    assert "--set" in str(refused.value)


def test_quotes_and_blanks_in_a_key_mean_what_they_mean_in_a_file() -> None:
    scenario = load("mass-drop", [f' target . "headers" . "X.Y" ={SECRET}', 'matrix."edge.limit"=["none"]'])
    assert scenario.target.headers == {"X.Y": SECRET}
    assert scenario.matrix == {"fleet.policy": scenario.matrix["fleet.policy"], "edge.limit": ("none",)}


def test_arms_that_differ_in_a_secret_alone_have_labels_of_their_own() -> None:
    crossed = build(
        {"name": "x", "matrix": {"target.headers.A": ["one-secret", "another"], "edge.limit": ["none"]}},
        source="test",
    )
    assert list(arms(crossed)) == ["(hidden) 1 + none", "(hidden) 2 + none"]
    assert [arm.target.headers["A"] for arm in arms(crossed).values()] == ["one-secret", "another"]
    named = build(
        {
            "name": "x",
            "arms": {
                "http://h/?one-secret": {"target.url": "http://h/?one-secret"},
                "http://h/?another": {"target.url": "http://h/?another"},
                "as another": {"target.headers": {"A": "another"}},
            },
        },
        source="test",
    )
    assert list(arms(named)) == ["http://h/?(hidden) 1", "http://h/?(hidden) 2", "as (hidden)"]
    assert list(without_secrets(named)["arms"]) == list(arms(named))


def test_labels_are_told_apart_whatever_others_are_called() -> None:
    assert told_apart(["a", "b"]) == ["a", "b"]
    assert told_apart(["a", "a 1", "a"]) == ["a 2", "a 1", "a 3"]


def test_an_abort_says_which_url_and_nothing_of_what_it_takes() -> None:
    abort = Abort(health_url=f"https://h/ok?token={SECRET}", for_s=1)
    assert armed(abort, remote=False) == ["https://h/ok?(hidden) unhealthy"]
    assert SECRET not in repr(vars(Guard(abort, remote=False, clients=1)))


def test_what_others_say_is_searched_for_secrets_that_are_known(tmp_path: Path) -> None:
    scenario = load(
        "mass-drop",
        [
            f'target.headers.Authorization="Bearer {SECRET}"',
            "target.cookies.short=x",
            "abort.health_url=http://h/ok?token=from%20url&x=y",
        ],
    )
    said = f"InvalidURL: '/ok?token=from%20url&x=y' for {SECRET}, x"
    assert hide(said, secrets_of(scenario)) == "InvalidURL: '/ok?(hidden)' for (hidden), x"
    assert SECRET in secrets_in([f"target.headers.A={SECRET}", "fleet.clients=5", "nonsense"])
    log = tmp_path / "pods" / "pod.log"
    log.parent.mkdir()
    log.write_bytes(f"before {SECRET}\n".encode() + b"\xff")
    hide_in_logs(tmp_path, secrets_of(scenario))
    assert log.read_bytes() == b"before (hidden)\n\xff"


def test_a_log_that_cannot_be_written_keeps_no_secret_and_the_next_ones_are_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    for log in (first, second):
        log.write_text(f"before {SECRET} after")
    write = Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        if path != first:
            return write(path, text, **options)
        write(path, text[:3], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        hide_in_logs(tmp_path, [SECRET])
    assert [log.read_text() for log in (first, second)] == ["bef", "before (hidden) after"]


def test_errors_say_no_secret_that_is_known_nor_do_those_behind_them() -> None:
    def fail() -> None:
        try:
            raise KeyError(f"of {SECRET}")
        except KeyError:
            parts = ExceptionGroup("parts", [ValueError(f"in {SECRET}", 7)])
            raise RuntimeError(f"{SECRET} is wrong") from parts

    with pytest.raises(RuntimeError) as caught, errors_without([SECRET]):
        fail()
    told = "".join((*traceback.format_exception(caught.value), repr(caught.value.__context__)))
    for part in ("(hidden) is wrong", "('in (hidden)', 7)", "of (hidden)"):
        assert part in told
    lines = [line for line in told.splitlines() if not line.lstrip().startswith("raise ")]
    assert SECRET not in "".join(lines)


def test_a_text_keeps_its_words() -> None:
    assert shown_text("a  b\n at http://h/?x , 'ok'") == "a  b\n at http://h/?(hidden) , 'ok'"


# -- wherever a secret may be --------------------------------------------------------------------------------

MARKER = "mArKeR0123456789"
AROUND = st.sampled_from(
    [MARKER, f"Bearer {MARKER}", f"a=b;{MARKER}", f"{MARKER}=={MARKER}", f'"{MARKER}"', f"é{MARKER}"]
)
URLS = st.sampled_from(
    [
        f"http://127.0.0.1:9/ws/?token={MARKER}",
        f"http://127.0.0.1:9/?a=b&{MARKER}",
        f"https://gateway.test/;{MARKER}",
        f"https://gateway.test/#{MARKER}",
        f"https://me:{MARKER}@gateway.test:8443/a",
        f"https://{MARKER}@[::1]/a?{MARKER}",
    ]
)
NAMES = st.sampled_from(["Authorization", "X-Key", "sid", "token", "a.b"])
NESTED = st.recursive(
    AROUND | st.integers() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=5,
)
PLACES = st.one_of(
    st.tuples(
        st.sampled_from(["target.headers", "target.cookies"]), st.dictionaries(NAMES, AROUND, min_size=1)
    ),
    st.tuples(st.just("target.auth"), st.dictionaries(NAMES, NESTED, min_size=1)),
    st.tuples(st.just("target.auth.deep"), NESTED.filter(lambda value: value is not None)),
    st.tuples(st.sampled_from(["target.headers.A", "target.cookies.sid"]), AROUND),
    st.tuples(st.just("target.namespace"), st.just(f"/feed?token={MARKER}")),
    st.tuples(st.just("target.url"), URLS),
    st.tuples(st.just("abort.health_url"), URLS.filter(lambda url: "@" not in url)),
)


def table_of(settings: dict[str, Any]) -> dict[str, Any]:
    table: dict[str, Any] = {"name": "any"}
    for key, value in settings.items():
        place = table
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return table


def outcome(do: Callable[[], Any]) -> tuple[str, Any]:
    """(what an error says, what there is without one)."""
    try:
        return "", do()
    except ScenarioError as refused:
        return str(refused), None


def written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


@tries(deadline=None)
@given(place=PLACES, other=PLACES)
def test_wherever_a_scenario_has_a_secret_nothing_shows_it(
    place: tuple[str, Any], other: tuple[str, Any]
) -> None:
    plain = build(table_of(dict([place])), source="test")
    in_matrix = {"matrix": {place[0]: [place[1]] if isinstance(place[1], str | dict) else ["a"]}}
    in_arms = {"arms": {"one": dict([place]), "two": dict([other])}}
    for scenario in (
        plain,
        build({"name": "any", **in_matrix}, source="test"),
        build({"name": "any", **in_arms}, source="test"),
    ):
        assert MARKER not in written(without_secrets(scenario))
        said, todo = outcome(partial(plans, scenario, repeats=1, directory=Path("runs")))
        assert MARKER not in said
        for plan in todo or ():
            assert MARKER not in written(without_secrets(plan.scenario))
            assert MARKER not in f"{plan.arm} {plan.directory}"
            text = scenario_file(rehearsed(plan.scenario, []), "rehearsed.toml")
            assert MARKER not in text
            tomllib.loads(text)


@tries(deadline=None)
@given(place=PLACES, blanks=st.sampled_from(["", " ", "\t"]), quoted=st.booleans())
def test_however_an_override_is_written_nothing_shows_it(
    place: tuple[str, Any], blanks: str, quoted: bool
) -> None:
    key, value = place
    if quoted:
        key = ".".join(f'"{step}"' for step in key.split("."))
    try:
        text = f"{blanks}{key}{blanks}={blanks}{value_text(value)}"
        tomllib.loads(text)
    except ValueError:
        text = f"{key}={value}"
    for arguments in (["--set", text], [f"--set={text}"], ["--baseline-set", text], [text]):
        assert MARKER not in " ".join(command_without_secrets(arguments))
    said, _ = outcome(lambda: load("mass-drop", [text]))
    assert MARKER not in said


@tries(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=PLACES.filter(lambda place: place[0] != "target.url"))
def test_no_file_of_a_run_has_them(tmp_path_factory: pytest.TempPathFactory, place: tuple[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("runs")
    scenario = msgspec.structs.replace(load("mass-drop", SMALL), matrix={})
    table = msgspec.to_builtins(scenario) | table_of(dict([place]))
    for plan in plans(build(table, source="test"), repeats=1, directory=folder):
        simulate(Prediction(scenario=plan.scenario, directory=plan.directory, arm=plan.arm))
    nothing_has_it(folder)


def nothing_has_it(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert MARKER.encode() not in path.read_bytes(), path
        assert MARKER not in str(path.relative_to(folder))


@pytest.mark.parametrize(
    "override",
    [
        f'matrix={{"target.headers.A"=["{MARKER}", "{MARKER}2"]}}',
        f'arms={{one={{"abort.health_url"="http://h/?{MARKER}"}},'
        f' two={{"fleet.policy"="naive", target={{auth={{t="{MARKER}"}}}}}}}}',
        f'target={{headers={{Authorization="Bearer {MARKER}"}}, cookies={{sid="{MARKER}"}},'
        f' namespace="/f?t={MARKER}"}}',
    ],
    ids=["a matrix of secrets", "arms", "a table"],
)
def test_no_report_and_no_line_on_the_terminal_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    without = "arms={}" if override.startswith("matrix") else "matrix={}"
    sets = [*SMALL, without, override]
    arguments = ["simulate", "mass-drop", *(part for text in sets for part in ("--set", text))]
    arguments += ["--runs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["reconnect-storm", *arguments])
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code in {0, 3}, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert MARKER not in done.output
    nothing_has_it(tmp_path)
    (page,) = tmp_path.rglob("report.md")
    assert "(hidden)" in page.read_text(encoding="utf-8")


def test_nor_has_an_error_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["run", "--set", f"target.header.A={MARKER}"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert MARKER not in done.output
