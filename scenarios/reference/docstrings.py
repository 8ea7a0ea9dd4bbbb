"""Takes docstrings apart: a class's into sentence, formula, notes and source; its fields', one by one."""

import ast
import functools
import inspect
import textwrap
from enum import StrEnum

from msgspec import Struct

_INDENT = "    "
_SOURCE = "Source:"


class Described(Struct, frozen=True):
    """The parts of a class docstring; a missing part is empty."""

    sentence: str
    formula: str = ""
    """Its indented lines, without the indent."""
    notes: str = ""
    """Paragraphs of one line each, with an empty line between them."""
    source: str = ""
    """What follows `Source:`."""


def described(kind: type) -> Described:
    """The parts of a docstring: a sentence, the formula as an indented block, notes, and `Source: …`.

    Raises ValueError where there is no docstring.
    """
    text = inspect.cleandoc(kind.__doc__ or "")
    if not text:
        expected = "a sentence, a formula, notes and a source"
        raise ValueError(f"{kind.__qualname__}: no docstring: expected {expected}")
    before, _, source = text.partition(f"\n{_SOURCE}")
    sentence, *rest = before.split("\n\n")
    return Described(
        sentence=_one_line(sentence),
        formula="\n\n".join(textwrap.dedent(block) for block in rest if block.startswith(_INDENT)),
        notes="\n\n".join(_one_line(block) for block in rest if not block.startswith(_INDENT)).strip(),
        source=_one_line(source),
    )


def field_docstrings(kind: type) -> dict[str, str]:
    """What the string below each field of a struct says, as one line; those of its bases included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        # Only classes written in Python have a source; msgspec's own base has none.
        if base is not Struct and issubclass(base, Struct):
            found.update(_own_field_docstrings(base))
    return found


def member_docstrings(kind: type[StrEnum]) -> dict[str, str]:
    """What the string below each member of an enumeration says, as one line, by the member's value."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - what the source of a class is
    found = {}
    for member, text in zip(definition.body, definition.body[1:], strict=False):
        match member, text:
            case (
                ast.Assign(targets=[ast.Name()], value=ast.Constant(value=str(value))),
                ast.Expr(value=ast.Constant(value=str(text_below))),
            ):
                found[value] = _one_line(inspect.cleandoc(text_below))
    return found


@functools.cache
def _own_field_docstrings(kind: type) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - what the source of a class is
    found = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text_below))):
                found[name] = _one_line(inspect.cleandoc(text_below))
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())
