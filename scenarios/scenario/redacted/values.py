"""What may be written down of single values, by what they are: a URL, the words of a command, variables."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from scenarios.scenario.redact_text import (
    HIDDEN,
    cut_url,
    hidden_parts,
    is_form,
    looks_secret,
    secret_parts,
    shown_line,
    shown_name,
    shown_text,
    shown_url,
    shown_variable,
    shown_words,
)


class Shape(Protocol):
    """What may be written down of a value."""

    def at(self, step: str | int, /) -> "Shape":
        """The same of a value inside it."""

    def shown(self, value: Any, /) -> Any:
        """The value as it may be written down."""

    def secrets(self, value: Any, /) -> Iterator[str]:
        """What of it may not."""


class Plain(Struct, frozen=True):
    """What may be shown, but for what is secret in URLs in its texts.

    holds: whether there may be values in it.
    """

    holds: bool = True

    def at(self, _step: str | int) -> Shape:
        return self if self.holds else Hidden()

    def shown(self, value: Any) -> Any:
        if isinstance(value, str):
            return shown_text(value)
        if isinstance(value, Mapping):
            return {name: self.shown(item) for name, item in value.items()}
        return [self.shown(item) for item in value] if isinstance(value, list | tuple) else value

    def secrets(self, _value: Any) -> Iterator[str]:
        yield from ()


class Hidden(Struct, frozen=True):
    """What may not be shown at all."""

    def at(self, _step: str | int) -> Shape:
        return self

    def shown(self, value: Any) -> Any:
        return value if value is None or is_form(value) else HIDDEN

    def secrets(self, value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            for item in value.values():
                yield from self.secrets(item)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from self.secrets(item)
        elif value is not None and not is_form(value):
            yield str(value)
            # `Bearer TOKEN`: a message may have the second word alone.
            yield from str(value).split()[1:]


class Names(Hidden, frozen=True):
    """A table whose names may be shown, or lists of which only the length may."""

    def shown(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self.shown(item) for item in value]
        if not isinstance(value, Mapping):
            return super().shown(value)
        return {shown_name(str(name)): item if is_form(item) else HIDDEN for name, item in value.items()}

    def at(self, _step: str | int) -> Shape:
        return Hidden()


class Url(Hidden, frozen=True):
    """A URL, or the end of one."""

    def at(self, _step: str | int) -> Shape:
        return Hidden()

    def shown(self, value: Any) -> Any:
        return shown_url(value) if isinstance(value, str) else super().shown(value)

    def secrets(self, value: Any) -> Iterator[str]:
        if isinstance(value, str):
            cut = cut_url(value)
            yield from (cut.user, *cut.user.split(":"), cut.behind[1:])
            yield from (pair.partition("=")[2] for pair in cut.behind[1:].replace(";", "&").split("&"))
        else:
            yield from super().secrets(value)


class Words(Hidden, frozen=True):
    """A command, as a line or as its words."""

    def at(self, _step: str | int) -> Shape:
        return self

    def shown(self, value: Any) -> Any:
        if isinstance(value, str):
            return shown_line(value)
        return shown_words(list(map(str, value))) if isinstance(value, list | tuple) else super().shown(value)

    def secrets(self, value: Any) -> Iterator[str]:
        try:
            words = shlex.split(value) if isinstance(value, str) else list(map(str, value))
        except ValueError:
            words = []
        yield from secret_parts(words)


class Variables(Names, frozen=True):
    """Variables of the environment by name."""

    def shown(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return Hidden.shown(self, value)
        return {shown_name(str(name)): Variable(str(name)).shown(text) for name, text in value.items()}

    def at(self, step: str | int) -> Shape:
        return Variable(str(step))

    def secrets(self, value: Any) -> Iterator[str]:
        for name, text in value.items() if isinstance(value, Mapping) else ():
            yield from Variable(str(name)).secrets(text)


class Variable(Hidden, frozen=True):
    """The value of one variable, or a list of values to compare."""

    name: str

    def shown(self, value: Any) -> Any:
        if isinstance(value, str):
            return shown_variable(self.name, value)
        plain = isinstance(value, bool | int | float) and not looks_secret(self.name, str(value))
        return value if plain else super().shown(value)

    def secrets(self, value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield from hidden_parts(value, shown_variable(self.name, value))
        else:
            yield from super().secrets(value if self.shown(value) == HIDDEN else None)
