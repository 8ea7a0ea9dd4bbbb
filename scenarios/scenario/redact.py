"""What may be written down of a scenario, a command line or a message: everything but what lets somebody in.

Which parts of a scenario are secret is marked at its fields, in `model.py`. What is not known, such as a
misspelt key, is hidden as well: its value may be a secret in the wrong place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from reports.rundir.toml import value_text
from scenarios.fields import SECRET, WORDS
from scenarios.scenario.model import ARMS, MATRIX, URL, Scenario
from scenarios.scenario.program import STUB_KEYS, VALUES, VARIABLES
from scenarios.scenario.redact_text import (
    HIDDEN,
    hide,
    shown_line,
    shown_name,
    shown_text,
    shown_url,
    told_apart,
)
from scenarios.scenario.redacted.values import Hidden, Names, Plain, Shape, Url, Variables, Words
from scenarios.scenario.toml import read_value, split_override, steps

# -- scenarios -----------------------------------------------------------------------------------------------


def without_secrets(scenario: Scenario) -> dict[str, Any]:
    """The scenario as a report may show it; of a gateway of the user's own, without the stub's settings."""
    shown: dict[str, Any] = _shape(Scenario).shown(msgspec.to_builtins(scenario))
    if scenario.own_gateway:
        shown["gateway"] = {key: value for key, value in shown["gateway"].items() if key not in STUB_KEYS}
    return shown


def shown_fields(struct: Struct) -> dict[str, Any]:
    """The fields of a part of a scenario, such as an event, as they may be written down."""
    found: dict[str, Any] = _shape(type(struct)).shown(msgspec.to_builtins(struct))
    return found


def shown_at(path: Sequence[str | int], value: Any) -> Any:
    """A value as an error may show it; `path` leads to it from the top of a scenario."""
    return _shape_at(path).shown(value)


def shown_setting(key: str, value: Any) -> Any:
    """The value of a key with dots, as a label may show it."""
    return shown_at(steps(key), value)


def shown_arms(arms: Mapping[str, Any]) -> list[str]:
    """The labels of `[arms]` as they may be written down, in the same order."""
    secrets = set(_Arms().secrets(arms))
    return told_apart([hide(shown_text(label), secrets) for label in arms])


# -- command lines -------------------------------------------------------------------------------------------


def command_without_secrets(arguments: Sequence[str]) -> list[str]:
    """The command line that led to a run, as a report may show it."""
    return ["reconnect-storm", *shown_arguments(arguments)]


def shown_arguments(arguments: Sequence[str]) -> list[str]:
    """Any command line of this project's, without the program."""
    found, before = [], ""
    for argument in arguments:
        found.append(_shown_argument(argument, before))
        before = argument
    return found


def shown_override(text: str) -> str:
    """What follows `--set`."""
    parts = split_override(text)
    if parts is None:
        if isinstance(read_value(text.removeprefix("=")), int | float):
            return text
        return HIDDEN if isinstance(_shape_at(steps(text)), Hidden) else text
    key, raw = parts
    value = read_value(raw)
    shown = shown_setting(key, value)
    if value == raw and "\n" in raw:
        written = HIDDEN
    elif shown == value and not set(raw) & {"#", "\n"}:
        written = raw
    else:
        written = HIDDEN if shown == HIDDEN else value_text(shown)
    return f"{shown_key(key)}={written}"


def shown_key(key: str) -> str:
    """A key with dots. What is no name may be the rest of a secret that has an equals sign in it."""
    names = [shown_name(step) for step in steps(key)]
    return ".".join(f'"{name}"' if "." in name else name for name in names)


def _shown_argument(argument: str, before: str) -> str:
    option, separator, rest = argument.partition("=")
    if before in _SHOWN_BEHIND:
        return _SHOWN_BEHIND[before](argument)
    if not argument.startswith("-"):
        return shown_override(argument) if separator else shown_text(argument)
    if separator and option in _SHOWN_BEHIND:
        return f"{option}={_SHOWN_BEHIND[option](rest)}"
    if separator and "=" in rest:
        return f"{option}={shown_override(rest)}"
    return shown_text(argument)


_SHOWN_BEHIND: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(("--set", "--baseline-set", "--candidate-set"), shown_override),
    **dict.fromkeys(("--target", "--own-target", "--host", "-H"), shown_url),
    "--gateway": shown_line,
}
"""What may be written down of the value of an option."""


def secrets_of(scenario: Scenario) -> frozenset[str]:
    """The secrets that a scenario has."""
    return frozenset(_shape(Scenario).secrets(msgspec.to_builtins(scenario)))


def secrets_in(overrides: Iterable[str]) -> frozenset[str]:
    """The secrets that `--set` was given."""
    found: set[str] = set()
    for text in overrides:
        if (parts := split_override(text)) is not None:
            found.update(_shape_at(steps(parts[0])).secrets(read_value(parts[1])))
    return frozenset(found)


# -- by the types of a scenario ------------------------------------------------------------------------------


class _Fields(Struct, frozen=True):
    """A table with known keys; any other key has been misspelt, and may be for a secret."""

    fields: dict[str, Any]

    def at(self, step: str | int) -> Shape:
        return _shape(self.fields[str(step)]) if step in self.fields else Hidden()

    def shown(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value if isinstance(value, int | float) else Hidden().shown(value)
        return {shown_name(str(name)): self.at(name).shown(item) for name, item in value.items()}

    def secrets(self, value: Any) -> Iterator[str]:
        for name, item in value.items() if isinstance(value, Mapping) else ():
            yield from self.at(name).secrets(item)


class _ByKey(Struct, frozen=True):
    """A table of keys with dots, each with a value for it, or with a list of them."""

    lists: bool

    def at(self, step: str | int) -> Shape:
        one = _shape_at(steps(str(step)))
        return _Each(one) if self.lists else one

    def shown(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return Hidden().shown(value)
        return {shown_key(str(key)): self.at(key).shown(item) for key, item in value.items()}

    def secrets(self, value: Any) -> Iterator[str]:
        for key, item in value.items() if isinstance(value, Mapping) else ():
            yield from self.at(key).secrets(item)


class _Each(Struct, frozen=True):
    """A list."""

    one: Shape

    def at(self, _step: str | int) -> Shape:
        return self.one

    def shown(self, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return self.one.shown(value)
        return [self.one.shown(item) for item in value]

    def secrets(self, value: Any) -> Iterator[str]:
        for item in value if isinstance(value, list | tuple) else [value]:
            yield from self.one.secrets(item)


class _Arms(Hidden, frozen=True):
    """Tables by label."""

    def at(self, _step: str | int) -> Shape:
        return _ByKey(lists=False)

    def shown(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return super().shown(value)
        arms = [_ByKey(lists=False).shown(arm) for arm in value.values()]
        return dict(zip(shown_arms(value), arms, strict=True))

    def secrets(self, value: Any) -> Iterator[str]:
        for arm in value.values() if isinstance(value, Mapping) else ():
            yield from _ByKey(lists=False).secrets(arm)


_MARKED: dict[str, Shape] = {
    VALUES: Names(),
    WORDS: Words(),
    VARIABLES: Variables(),
    URL: Url(),
    MATRIX: _ByKey(lists=True),
    ARMS: _Arms(),
}


def _shape(kind: Any) -> Shape:
    """What may be shown of a value of this type."""
    if get_origin(kind) is Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, Meta) and meta.extra and SECRET in meta.extra:
                return _MARKED[meta.extra[SECRET]]
        return _shape(get_args(kind)[0])
    if fields := _fields_of(kind):
        return _Fields(fields)
    if get_origin(kind) is tuple and not isinstance(one := _shape(get_args(kind)[0]), Plain):
        return _Each(one)
    return Plain(_holds(kind))


def _fields_of(kind: Any) -> dict[str, Any]:
    """The fields of a struct, or of all structs that a value may be; of a name, the type that holds most."""
    structs = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    if not all(map(_is_struct, structs)):
        return {}
    found: dict[str, Any] = {
        tag: str for struct in structs if (tag := struct.__struct_config__.tag_field) is not None
    }
    for field in chain.from_iterable(map(msgspec.structs.fields, structs)):
        if field.encode_name not in found or _holds(field.type):
            found[field.encode_name] = field.type
    return found


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _holds(kind: Any) -> bool:
    """Whether a value of this type may have others in it."""
    if kind is Any or get_origin(kind) in {dict, tuple} or _is_struct(kind):
        return True
    return get_origin(kind) is not Literal and any(_holds(part) for part in get_args(kind))


def _shape_at(path: Sequence[str | int]) -> Shape:
    """The same of the value at a place of a scenario."""
    found = _shape(Scenario)
    for step in path:
        found = found.at(step)
    return found
