"""Placeholders in commands and variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.programs.placeholders import filled_in, invocation
from scenarios.scenario.program import Program

VALUES = {"port": 4000, "pod": 1, "redis.port": 6379}
CASES = {
    "a port": ("--port={port}", "--port=4000"),
    "two of them": ("{port}/{pod}", "4000/1"),
    "of a service": ("redis://127.0.0.1:{redis.port}/0", "redis://127.0.0.1:6379/0"),
    "JSON": ('{"port": 1}', '{"port": 1}'),
    "nothing known": ("{other}", "{other}"),
    "doubled braces": ("{{port}}", "{4000}"),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_known_placeholders_are_filled_in_and_other_braces_stay(text: str, expected: str) -> None:
    assert filled_in(text, VALUES) == expected


@given(st.text())
def test_a_text_without_a_known_placeholder_stays_as_it_is(text: str) -> None:
    assert filled_in(text, {}) == text


def test_variables_of_the_scenario_replace_those_that_are_given() -> None:
    program = Program(command="node 'a b.js' {port}", environment={"HOST": "::1", "URL": "{port}"})
    called = invocation(program, VALUES, environment={"HOST": "127.0.0.1", "PORT": "4000"})
    assert called.words == ("node", "a b.js", "4000")
    assert called.environment == {"HOST": "::1", "PORT": "4000", "URL": "4000"}
