"""What a function of the user's own returns becomes a line; how it fails is told without what it said."""

from collections.abc import Callable
from typing import Any

import pytest

from scenarios.credentials.answers import Answer, CredentialsError, read_answer
from scenarios.credentials.function import answer_line, function_at

SECRET = "open-sesame"


def text(client: int) -> str:
    return f"token-{client}"


def table(client: int) -> dict[str, Any]:
    return {"token": f"token-{client}", "tenant": client}


def nothing(client: int) -> None:
    return None


def empty(client: int) -> dict[str, Any]:
    return {}


def reserved(client: int) -> dict[str, Any]:
    return {"id": client, "token": SECRET}


def no_json(client: int) -> dict[str, Any]:
    return {"token": object(), "other": SECRET}


def raising(client: int) -> str:
    raise KeyError(SECRET)


def leaving(client: int) -> str:
    raise SystemExit(SECRET)


def without_client() -> str:
    return SECRET


GOOD: dict[str, tuple[Callable[[int], Any], dict[str, Any]]] = {
    "a text": (text, {"token": "token-12"}),
    "a dict": (table, {"token": "token-12", "tenant": 12}),
}
BAD: dict[str, tuple[Callable[[int], Any], str]] = {
    "nothing": (nothing, "it returned NoneType: expected a text, or a dict"),
    "an empty dict": (empty, "it returned dict: expected a text, or a dict"),
    "a reserved name": (reserved, "it returned the name 'id': expected another one"),
    "no JSON": (no_json, "it returned a value that is no JSON"),
    "an exception": (raising, r"KeyError (test_function.py, line "),
    "the end of the process": (leaving, r"SystemExit (test_function.py, line "),
}


@pytest.mark.parametrize(("function", "values"), GOOD.values(), ids=GOOD)
def test_what_a_function_returns_is_answered(function: Callable[[int], Any], values: dict[str, Any]) -> None:
    assert read_answer(answer_line(function, 7, 12)) == Answer(7, values)


@pytest.mark.parametrize(("function", "problem"), BAD.values(), ids=BAD)
def test_how_a_function_fails_is_told_without_its_words(function: Callable[[int], Any], problem: str) -> None:
    line = answer_line(function, 7, 12)
    answer = read_answer(line)
    assert (answer.number, answer.values) == (7, {})
    assert problem in answer.problem
    assert SECRET not in line.decode()


PATHS = {
    "no module": ("no_such_module:issue", "'no_such_module:issue' cannot be imported"),
    "no function": ("math:no_such_function", "'math:no_such_function' cannot be imported"),
    "no name": ("math", "cannot be imported"),
    "no function, but a number": ("math:pi", "invalid value 'math:pi': expected a function(client)"),
    "no place for the client": (f"{__name__}:without_client", "expected a function(client)"),
}


@pytest.mark.parametrize(("path", "problem"), PATHS.values(), ids=PATHS)
def test_a_function_that_cannot_be_called_is_refused_beforehand(path: str, problem: str) -> None:
    with pytest.raises(CredentialsError) as raised:
        function_at(path)
    assert problem in str(raised.value)


def test_a_function_is_found_by_its_path() -> None:
    assert function_at(f"{__name__}:text")(3) == "token-3"
