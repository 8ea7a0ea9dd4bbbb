"""A usage error of click as one line: which option, the invalid value, what is expected."""

import re
from collections.abc import Iterable

import click

_VALUE = re.compile(r"(.+) is not (?:in the range|one of|a valid) ")
"""How click's messages begin with the value that it rejects."""


def usage_text(error: click.ClickException) -> str:
    """The text of the error, without the lines that click puts around it."""
    if isinstance(error, click.NoSuchOption):
        return no_such("option", error.option_name, error.possibilities or ())
    if (
        isinstance(error, click.BadParameter)
        and not isinstance(error, click.MissingParameter)
        and error.param is not None
    ):
        return f"{_name_of(error.param)}: {_complaint(error.message, error.param)}"
    return _clause(error.format_message())


def no_such(kind: str, name: str, similar: Iterable[str]) -> str:
    """`no such option --repeat: did you mean --repeats?`."""
    suggested = " or ".join(similar)
    return f"no such {kind} {name}" + (f": did you mean {suggested}?" if suggested else "")


def _complaint(message: str, parameter: click.Parameter) -> str:
    value, expected = _VALUE.match(message), _expected(parameter)
    return f"invalid value {value[1]}: expected {expected}" if value and expected else _clause(message)


def _expected(parameter: click.Parameter) -> str:
    """What its value has to be; empty for types of which click's own message says it."""
    kind = parameter.type
    match kind:
        case click.Choice():
            return f"one of {', '.join(map(str, kind.choices))}"
        case click.IntRange() | click.FloatRange() if kind.max is None:
            return f">= {kind.min}"
        case click.IntRange() | click.FloatRange() if kind.min is None:
            return f"<= {kind.max}"
        case click.IntRange() | click.FloatRange():
            return f"{kind.min} to {kind.max}"
    return {"integer": "an integer", "float": "a number"}.get(kind.name, "")


def _name_of(parameter: click.Parameter) -> str:
    """The longest form of an option; the metavar of an argument."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name


def _clause(text: str) -> str:
    """Click's sentence as the end of a line that has begun."""
    text = " ".join(text.split()).removesuffix(".")
    return text[:1].lower() + text[1:]
