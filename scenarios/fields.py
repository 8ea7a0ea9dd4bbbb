"""Numbers with a unit and a bound, as a scenario file may give them, and what errors say about a value."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

_FEW = 20

Count = Annotated[int, Meta(ge=1)]
Index = Annotated[int, Meta(ge=0, le=255)]
"""Which pod, from 0."""
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Share = Annotated[float, Meta(gt=0, le=1)]

EXPECTED = "expected"
"""Key in `Meta.extra`: what errors expect, where a pattern or a list of values does not tell it well."""

SECRET = "secret"  # noqa: S105 - a key, not a password
"""Key in `Meta.extra` by which a field says what of it may be written down; see `scenario/redact.py`."""
WORDS = "words"
"""Of a command: its words may be shown, but for those that look like secrets."""

Word = Annotated[str, Meta(pattern=r"^[^\x00]*\Z", extra={EXPECTED: "text without a zero byte"})]
Words = Annotated[tuple[Word, ...], Meta(min_length=1, extra={SECRET: WORDS})]
"""A program and its arguments, or how they begin."""

PodNumber = (
    Annotated[int, Meta(ge=0, le=256)]
    | Annotated[
        str,
        Meta(
            pattern=r"^(100|[1-9]?[0-9])%$",
            extra={EXPECTED: "a number of pods, such as 1, or a share of them in quotes, such as '25%'"},
        ),
    ]
)
"""Of pods: how many, or which share of them."""

_TYPE = re.compile("`([^`]*)`")
_TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
"""Types of the validator's messages, in the words of TOML."""

_Parameters = TypeVar("_Parameters", bound=msgspec.Struct)

NameOrTable = str | dict[str, Any]
"""A registry's entry by name, or a table with `name` and that entry's parameters."""


def invalid(key: str, value: object, expected: str) -> str:
    """The text of an error about a value: `fleet.clients: invalid value 0: expected an integer >= 1`.

    key: of a scenario file, an option, or a file. Without one, whoever catches the error puts it in front.
    """
    return f"{key and key + ': '}invalid value {value!r}: expected {expected}"


def one_of(value: object, names: Collection[str], of: str, listed_by: str = "list") -> str:
    """What is expected instead of an unknown name: every name and the similar one, or the similar ones alone
    where they are many.

    of: what the command that lists them calls them. listed_by: that command.
    """
    if len(names) <= _FEW:
        meant = similar_to(str(value), names)
        return ", ".join(names) + (f"; did you mean {meant}?" if meant else "")
    similar = difflib.get_close_matches(str(value), names, n=3)
    rest = f"one of the {len(names)} {of} that `reconnect-storm {listed_by}` prints"
    return f"{', '.join(similar)}, or {rest}" if similar else rest


def parameters(table: Mapping[str, Any], kind: type[_Parameters]) -> _Parameters:
    """The parameters of a named thing, such as a limit or a policy.

    Raises ValueError with the parameter, its value and what is expected.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    if "unknown field" in message:
        unknown = message.split("`")[1]
        raise ValueError(unknown_key(unknown, types, "parameter", meant=similar_to(unknown, types)))
    key = re.split(r"[.\[`]", path)[0]
    if key not in types:
        given = ", ".join(f"{name} = {value!r}" for name, value in table.items())
        raise ValueError(f"{given}: {message}")
    value, expected = table.get(key), expected_of(message, types[key])
    raise ValueError(invalid(key, value, expected))


def unknown_key(key: str, names: Collection[str], of: str = "key", *, meant: str = "") -> str:
    """The text of an error about a key that a table does not have: `bursts: unknown parameter: …`.

    meant: the key that was probably meant, if any was.
    """
    suggestion = f"did you mean {meant}? " if meant else ""
    return f"{key}: unknown {of}: {suggestion}expected {'one of ' + ', '.join(names) if names else 'none'}"


def similar_to(key: str, names: Collection[str]) -> str:
    """The most similar one of the names; empty if none is."""
    return next(iter(difflib.get_close_matches(key, names, n=1)), "")


def expected_of(message: str, kind: Any) -> str:
    """What is expected, in the words of TOML.

    message: the validator's, without the path. kind: type of the value.
    """
    values = [value for part in _within(kind) if get_origin(part) is Literal for value in get_args(part)]
    metas = [part.extra or {} for part in _within(kind) if isinstance(part, Meta)]
    words = [extra[EXPECTED] for extra in metas if EXPECTED in extra]
    if "matching regex" in message or "enum value" in message:
        if words:
            return str(words[0])
        if values:
            return " or ".join(filter(None, (", ".join(map(repr, values[:-1])), repr(values[-1]))))
    return _TYPE.sub(_in_toml, message.removeprefix("Expected "))


def _within(kind: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield kind
    if get_origin(kind) is not Literal:
        for part in (*get_args(kind), *getattr(kind, "__metadata__", ())):
            yield from _within(part)


def _in_toml(kinds: re.Match[str]) -> str:
    return " or ".join(_TYPES.get(kind, kind) for kind in kinds[1].split(" | "))


def share_of(whole: int, index: int, processes: int) -> int:
    """What process number `index` of so many has of something; all shares together are the whole.

    A process that came later has none: the others have the whole between them.
    """
    return whole * (index + 1) // processes - whole * index // processes if index < processes else 0
