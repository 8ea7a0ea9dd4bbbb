"""Regressions to seed: those of the built-in stub, and those in a file of the user's."""

from pathlib import Path

import pytest

from scenarios.gate.seeded_regressions import SEEDED, read_regressions, seeded
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError


def test_a_file_names_regressions_as_tables_of_keys_to_override(tmp_path: Path) -> None:
    file = tmp_path / "regressions.toml"
    file.write_text(
        '["blocking call"]\n"gateway.command" = "node blocking.js"\n\n'
        '[slow]\n"gateway.pods" = 1\n"fleet.rtt_ms" = 9.5\n'
    )
    found = read_regressions(file)
    assert found == {
        "blocking call": ('gateway.command="node blocking.js"',),
        "slow": ("gateway.pods=1", "fleet.rtt_ms=9.5"),
    }
    assert load("gate-quick", found["slow"]).gateway.pods == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no regression: expected a table for each"),
        ("slow = 3", "slow: invalid value 3: expected a table of keys and values, as in \\[arms\\]"),
        ("[slow]", "slow: invalid value {}: expected a table of keys and values"),
        (
            '[slow]\n"gateway.pods" = [1]',
            "slow.gateway.pods: invalid value .*: expected text, a number or a truth value",
        ),
        ("[slow", "Expected"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_is_expected(
    text: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "regressions.toml"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=f"regressions.toml: .*{complaint}"):
        read_regressions(file)


def test_the_regressions_of_the_stub_do_not_fit_a_gateway_of_the_users_own() -> None:
    assert set(seeded(load("gate-quick"))) == set(SEEDED)
    with pytest.raises(ScenarioError, match="expected --regressions FILE"):
        seeded(load("mass-drop", ["gateway.command=node server.js"]))
