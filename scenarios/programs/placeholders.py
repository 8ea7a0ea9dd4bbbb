"""Placeholders in commands and variables: `{port}` is the port of a pod, `{redis.port}` that of a service."""

from collections.abc import Mapping

from msgspec import Struct

from scenarios.scenario.own_gateway import PLACEHOLDER
from scenarios.scenario.program import Program, variable_text, words_of


class Invocation(Struct, frozen=True):
    """A program with everything filled in."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


def filled_in(text: str, values: Mapping[str, str | int | float]) -> str:
    """The text with the placeholders that have a value; other braces stay."""
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), text)


def invocation(
    program: Program,
    values: Mapping[str, str | int | float],
    *,
    environment: Mapping[str, str],
    command: str | tuple[str, ...] = "",
) -> Invocation:
    """How a program is called.

    environment: variables that the scenario may replace. command: another one than that of the program.
    """
    own = {name: filled_in(variable_text(value), values) for name, value in program.environment.items()}
    words = tuple(filled_in(word, values) for word in words_of(command or program.command))
    return Invocation(words, {**environment, **own})
