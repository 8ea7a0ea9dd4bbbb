"""The lines between a generator and what issues credentials, and where an answer goes.

A question is a line of JSON, `{"id": 7, "client": 12}`. An answer is a line too: a text, which is the
`token`, or a JSON object of names and values. A program that answers out of order repeats the `id`; `error`
says that there are no credentials. Placeholders such as `{token}` in the values of a target stand for what
was answered.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct

TOKEN = "token"  # noqa: S105 - a name, not a password
ID, ERROR = "id", "error"
RESERVED = (ID, ERROR)

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class CredentialsError(ValueError):
    """Credentials that cannot be had, or not be used; the message has none of them in it."""


class Answer(Struct, frozen=True):
    """What a line says."""

    number: int | None
    """Of the question; None: the oldest one that is open."""
    values: dict[str, Any]
    problem: str = ""
    """Why there are no credentials."""


def question(number: int, client: int) -> bytes:
    """The line that asks for the credentials of a client."""
    return msgspec.json.encode({ID: number, "client": client}) + b"\n"


def read_answer(line: bytes) -> Answer:
    """What a line says; what is wrong with it is its problem."""
    text = line.decode(errors="replace").strip()
    if not text.startswith("{"):
        return Answer(None, {TOKEN: text}) if text else Answer(None, {}, "the answer is an empty line")
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        # The parser's own words may quote the line.
        return Answer(None, {}, "the answer is not a JSON object: expected one line of text, or of JSON")
    number = found.pop(ID, None)
    if number is not None and type(number) is not int:
        return Answer(None, {}, "the answer has an id that is no number: expected that of the question")
    problem = found.pop(ERROR, None)
    if problem is not None:
        return Answer(number, {}, str(problem) or "no reason given")
    return Answer(number, found, "" if found else "the answer has no values")


def names_in(value: Any) -> frozenset[str]:
    """The names of all placeholders in a value, and in values inside it."""
    if isinstance(value, str):
        return frozenset(_PLACEHOLDER.findall(value))
    return frozenset().union(*(names_in(one) for one in _parts(value)))


def filled(value: Any, answered: dict[str, Any]) -> Any:
    """The value with what was answered in place of its placeholders; one that stands alone keeps its type.

    Raises CredentialsError for a name that was not answered.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole:
            return _answered(whole[1], answered)
        return _PLACEHOLDER.sub(lambda found: str(_answered(found[1], answered)), value)
    if isinstance(value, dict):
        return {name: filled(one, answered) for name, one in value.items()}
    return [filled(one, answered) for one in value] if isinstance(value, list | tuple) else value


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _answered(name: str, answered: dict[str, Any]) -> Any:
    if name not in answered:
        raise CredentialsError(f"the answer has no {name!r}, which stands for {{{name}}}")
    return answered[name]
