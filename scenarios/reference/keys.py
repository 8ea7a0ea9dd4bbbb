"""Every key of a scenario file by its path, such as `fleet.clients`, and the tables that the keys are in."""

import functools
from collections.abc import Iterator

from msgspec import Struct
from msgspec import inspect as types

from scenarios.events.event import Event
from scenarios.reference.docstrings import described
from scenarios.reference.parameters import Parameter, parameters
from scenarios.scenario.model import Scenario


class Table(Struct, frozen=True):
    """A table of a scenario file."""

    path: str
    """Empty for the top level."""
    kind: type[Struct]
    listed: bool
    """It may be there several times, as `[[event]]`."""

    @property
    def heading(self) -> str:
        """As a scenario file has it."""
        return f"[[{self.path}]]" if self.listed else f"[{self.path}]"


class Key(Struct, frozen=True):
    """A key of a table."""

    table: Table
    parameter: Parameter
    holds: type[Struct] | None
    """The type of the table, or of the tables, that are its value."""

    @property
    def path(self) -> str:
        """The names of its tables and its own, with dots."""
        return f"{self.table.path}.{self.parameter.name}" if self.table.path else self.parameter.name

    @property
    def meaning(self) -> str:
        """What its docstring says or, where it has none, that of the table."""
        return self.parameter.meaning or (described(self.holds).sentence if self.holds else "")


ROOT = Table("", Scenario, listed=False)


@functools.cache
def tables() -> tuple[Table, ...]:
    """All tables of a scenario file, the top level first; an event's are the keys that all events have."""
    return (ROOT, *_tables_in(ROOT))


def keys() -> dict[str, Key]:
    """All keys by path, in the order of the tables."""
    found = [key for table in tables() for key in _keys_of(table)]
    return {key.path: key for key in found}


def inner(kind: types.Type) -> tuple[type[Struct] | None, bool]:
    """The struct that a type consists of, and whether there may be several of it; None where it is none."""
    match kind:
        case types.Metadata(type=annotated):
            return inner(annotated)
        case types.StructType(cls=cls):
            return (Event, False) if issubclass(cls, Event) else (cls, False)
        case types.VarTupleType(item_type=item):
            return inner(item)[0], True
        case types.UnionType(types=parts):
            return next((found for part in parts if (found := inner(part))[0] is not None), (None, False))
    return None, False


def _keys_of(table: Table) -> Iterator[Key]:
    described_fields = types.type_info(table.kind)
    assert isinstance(described_fields, types.StructType)  # noqa: S101 - what a struct is
    for field, parameter in zip(described_fields.fields, parameters(table.kind), strict=True):
        yield Key(table, parameter, inner(field.type)[0])


def _tables_in(table: Table) -> Iterator[Table]:
    described_fields = types.type_info(table.kind)
    assert isinstance(described_fields, types.StructType)  # noqa: S101 - what a struct is
    for field in described_fields.fields:
        kind, listed = inner(field.type)
        if kind is not None:
            below = Table(f"{table.path}.{field.name}".removeprefix("."), kind, listed)
            yield below
            yield from _tables_in(below)
