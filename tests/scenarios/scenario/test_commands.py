"""Commands of a timeline in a scenario file: what is allowed, and what of them is written down."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from scenarios.events.exec import Exec
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_of, shown_override, without_secrets
from scenarios.scenario.validate import ScenarioError, build

ROLLOUT = ["kubectl", "rollout", "restart"]


def built(command: Any, allow: Any = (ROLLOUT,), **keys: Any) -> Scenario:
    event = {"at_s": 6, "do": "exec", "command": command, **keys}
    return build({"commands": {"allow": allow}, "event": [event]}, source="storm.toml")


def complaint(command: Any, allow: Any = (ROLLOUT,), **keys: Any) -> str:
    with pytest.raises(ScenarioError) as error:
        built(command, allow, **keys)
    return str(error.value)


@pytest.mark.parametrize("command", [ROLLOUT, [*ROLLOUT, "deployment/gateway", "--namespace=shop"]])
def test_a_command_that_begins_like_an_entry_of_the_list_is_allowed(command: list[str]) -> None:
    (event,) = built(command).event
    assert isinstance(event, Exec)
    assert event.command == tuple(command)


@pytest.mark.parametrize(
    "command",
    [
        ["kubectl", "rollout"],
        ["kubectl", "rollout", "restarted"],
        ["kubectl", "delete", "pod", "rollout", "restart"],
        ["/tmp/kubectl", "rollout", "restart"],
        ["kubectl rollout restart"],
    ],
)
def test_any_other_command_is_not(command: list[str]) -> None:
    said = complaint(command)
    assert said.startswith("storm.toml: event[0].command: not allowed by commands.allow: `")
    assert said.endswith("expected words that begin like one of them: `kubectl rollout restart`")


def test_one_of_several_entries_is_enough() -> None:
    assert built(["docker", "compose", "restart"], [ROLLOUT, ["docker", "compose"]])


def test_without_a_list_nothing_is_allowed() -> None:
    said = complaint(ROLLOUT, ())
    assert said.endswith("`kubectl rollout restart`: expected an entry in that list")
    assert "not allowed" in complaint(ROLLOUT, (), enabled=False)


def test_a_line_for_a_shell_is_refused() -> None:
    assert "event[0].command: invalid value 'kubectl rollout restart': expected a list" in complaint(
        "kubectl rollout restart"
    )
    assert "no shell reads the command" in complaint([*ROLLOUT, "&&", "reboot"])


@pytest.mark.parametrize(("command", "allow"), [([], [ROLLOUT]), (ROLLOUT, [[]])], ids=["command", "entry"])
def test_an_empty_list_of_words_is_refused(command: list[str], allow: list[list[str]]) -> None:
    assert "length >= 1" in complaint(command, allow)


def test_a_command_of_an_arm_is_checked_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    file.write_text(
        '[commands]\nallow = [["./deploy.sh"]]\n'
        '[[event]]\nat_s = 6\ndo = "exec"\ncommand = ["./deploy.sh"]\n'
        '[arms]\nblue = { "event.0.command" = ["./deploy.sh", "blue"] }\n'
        'green = { "event.0.command" = ["./other.sh"] }\n'
    )
    with pytest.raises(ScenarioError, match=r"not allowed by commands\.allow: `\./other\.sh`"):
        load(str(file))


def test_the_folder_of_a_command_is_that_of_the_scenario_file(tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    file.write_text('[commands]\nallow = [["./deploy.sh"]]\n')
    assert load(str(file)).folder == str(tmp_path)


# -- secrets -------------------------------------------------------------------------------------------------

SECRET = "open-sesame"
WITH_SECRET = ["kubectl", "--token", SECRET, "apply", f"--password={SECRET}", f"http://me:{SECRET}@h/"]


def test_secrets_in_a_command_are_written_nowhere() -> None:
    scenario = built(WITH_SECRET, [WITH_SECRET])
    shown = without_secrets(scenario)
    assert SECRET.encode() not in msgspec.json.encode(shown)
    assert shown["event"][0]["do"] == "exec"
    assert shown["event"][0]["command"][:4] == ["kubectl", "--token", "(hidden)", "apply"]
    assert shown["commands"]["allow"][0] == shown["event"][0]["command"]
    assert SECRET in secrets_of(scenario)
    assert SECRET not in complaint(WITH_SECRET)


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        (f'event.0.command=["k", "--token={SECRET}"]', 'event.0.command=["k", "--token=(hidden)"]'),
        (f'event=[{{do="exec", command=["k", "--token={SECRET}"]}}]', None),
        (f'event=[{{do="exec", comand=["{SECRET}"]}}]', None),
        (f'commands.allow=[["k", "--token={SECRET}"]]', 'commands.allow=[["k", "--token=(hidden)"]]'),
        ('event.0.command=["kubectl", "version"]', 'event.0.command=["kubectl", "version"]'),
        ('event=[{at_s=3, do="drop_all"}]', 'event=[{at_s=3, do="drop_all"}]'),
        ('event=[{at_s=3, do="drain", pods=[0, 2]}]', 'event=[{at_s=3, do="drain", pods=[0, 2]}]'),
    ],
)
def test_secrets_of_an_override_are_hidden(override: str, shown: str | None) -> None:
    found = shown_override(override)
    assert SECRET not in found
    assert shown is None or found == shown
