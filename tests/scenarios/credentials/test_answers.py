"""Questions and answers are lines, and an answer fills placeholders."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.credentials.answers import Answer, CredentialsError, filled, names_in, question, read_answer

LINES: dict[str, tuple[bytes, Answer]] = {
    "a text is the token": (b"abc.def-1\n", Answer(None, {"token": "abc.def-1"})),
    "blanks around a text are none of it": (b"  abc \r\n", Answer(None, {"token": "abc"})),
    "digits are a text": (b"17\n", Answer(None, {"token": "17"})),
    "an object has names": (b'{"token": "a", "tenant": 7}\n', Answer(None, {"token": "a", "tenant": 7})),
    "an object may name its question": (b'{"id": 3, "token": "a"}\n', Answer(3, {"token": "a"})),
    "no credentials": (b'{"id": 3, "error": "locked out"}\n', Answer(3, {}, "locked out")),
    "no credentials, and no reason": (b'{"error": ""}\n', Answer(None, {}, "no reason given")),
}

WRONG_LINES = {
    "nothing": (b"\n", "empty line"),
    "half an object": (b'{"token": "sesame\n', "not a JSON object"),
    "an object of nothing": (b'{"id": 1}\n', "no values"),
    "an id that is no number": (b'{"id": true, "token": "sesame"}\n', "an id that is no number"),
}


@pytest.mark.parametrize(("line", "answer"), LINES.values(), ids=LINES)
def test_a_line_is_an_answer(line: bytes, answer: Answer) -> None:
    assert read_answer(line) == answer


@pytest.mark.parametrize(("line", "problem"), WRONG_LINES.values(), ids=WRONG_LINES)
def test_what_is_wrong_with_a_line_is_told_without_quoting_it(line: bytes, problem: str) -> None:
    answer = read_answer(line)
    assert problem in answer.problem
    assert "sesame" not in answer.problem
    assert answer.values == {}


@given(st.binary(max_size=60))
def test_no_line_is_too_strange(line: bytes) -> None:
    answer = read_answer(line)
    assert bool(answer.values) != bool(answer.problem)


def test_a_question_is_one_line_with_the_number_of_the_client() -> None:
    line = question(7, 12)
    assert line.endswith(b"\n")
    assert msgspec.json.decode(line) == {"id": 7, "client": 12}


ANSWERED = {"token": "abc", "tenant": 7}
FILLED: dict[str, tuple[Any, Any]] = {
    "a placeholder in a text": ("Bearer {token}", "Bearer abc"),
    "a placeholder alone keeps the type": ("{tenant}", 7),
    "a number in a text": ("{tenant}/{token}", "7/abc"),
    "a table in a list": ([{"token": "{token}"}, 5], [{"token": "abc"}, 5]),
    "other braces": ('{"a": {}}', '{"a": {}}'),
    "no text at all": (None, None),
}


@pytest.mark.parametrize(("value", "expected"), FILLED.values(), ids=FILLED)
def test_an_answer_fills_placeholders(value: Any, expected: Any) -> None:
    assert filled(value, ANSWERED) == expected


def test_a_placeholder_that_was_not_answered_is_named() -> None:
    with pytest.raises(CredentialsError, match=r"no 'user', which stands for \{user\}"):
        filled({"auth": ["{token}", "{user}"]}, ANSWERED)


VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["{a}", "x {b} y", "plain", "{A}", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_the_names_in_a_value_are_those_that_have_to_be_answered(value: Any) -> None:
    names = names_in(value)
    assert names <= {"a", "b"}
    assert names_in(filled(value, dict.fromkeys(names, "done"))) == frozenset()
    for name in names:
        with pytest.raises(CredentialsError, match=f"'{name}'"):
            filled(value, dict.fromkeys(names - {name}, "done"))
