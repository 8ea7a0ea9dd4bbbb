"""What opens a target's doors is in no run directory."""

import msgspec
import pytest

from scenarios.model import Scenario, Target
from scenarios.secrets import command_without_secrets, without_secrets

SECRET = "open-sesame"


def test_a_scenario_is_shown_without_what_it_takes_to_get_in() -> None:
    target = Target(
        url=f"https://gateway.test/ws/?token={SECRET}",
        auth={"token": SECRET, "deep": {"key": SECRET}},
        headers={"Authorization": SECRET},
        cookies={"session": SECRET},
    )
    shown = without_secrets(Scenario(target=target))
    assert SECRET.encode() not in msgspec.json.encode(shown)
    assert shown["target"]["url"] == "https://gateway.test/ws/?(hidden)"
    assert shown["target"]["auth"] == {"token": "(hidden)", "deep": "(hidden)"}
    assert without_secrets(Scenario())["target"]["auth"] is None


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--set", f"target.auth={{token='{SECRET}'}}"], ["--set", "target.auth=(hidden)"]),
        (["--set", f"target.headers.X={SECRET}"], ["--set", "target.headers.X=(hidden)"]),
        ([f"--set=target.cookies.a={SECRET}"], ["--set=target.cookies.a=(hidden)"]),
        (["--target", f"http://h/?a={SECRET}"], ["--target", "http://h/?(hidden)"]),
        ([f"--target=http://h/?a={SECRET}"], ["--target=http://h/?(hidden)"]),
        (["--set", f'target.url="http://h/?a={SECRET}"'], ["--set", 'target.url="http://h/?(hidden)']),
        (["--set", "fleet.clients=5"], ["--set", "fleet.clients=5"]),
    ],
    ids=lambda arguments: " ".join(arguments).replace(SECRET, "…"),
)
def test_a_command_is_shown_without_them_too(arguments: list[str], shown: list[str]) -> None:
    assert command_without_secrets(arguments) == ["reconnect-storm", *shown]
