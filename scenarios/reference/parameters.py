"""Keys of a table, and parameters of a registry's entry: name, default, what is allowed, what it means."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from scenarios.reference.docstrings import field_docstrings

UNITS = {
    "_per_s": "per second",
    "_hz": "per second",
    "_s": "seconds",
    "_ms": "milliseconds",
    "_us": "microseconds",
    "_bytes": "bytes",
    "_percent": "per cent",
}
"""Units by the ending of a name; the first ending that fits counts."""


class Parameter(Struct, frozen=True):
    """One field of a struct, as text; all but `default` for Markdown."""

    name: str
    required: bool
    default: Any
    """The value itself; None where it is required."""
    allowed: str
    meaning: str

    @property
    def unit(self) -> str:
        """The unit in its name, such as `seconds`; empty where the name has none."""
        return next((unit for ending, unit in UNITS.items() if self.name.endswith(ending)), "")

    @property
    def facts(self) -> str:
        """Unit, what is allowed, and default, in short sentences: `Seconds, above 0. Default: 1.`"""
        allowed = (
            "" if set(self.allowed.split("; or ")) <= {"text", "table", "list, each: table"} else self.allowed
        )
        if self.unit and allowed.startswith(("number", "whole number")):
            allowed = f"{self.unit}, {allowed}".replace(", number", "", 1)
        facts = [f"{allowed[:1].upper()}{allowed[1:]}"] if allowed else []
        if self.required:
            facts.append("Required")
        elif self.default not in (None, (), {}, ""):
            facts.append(f"Default: {self.written_default}")
        return "".join(f"{fact}. " for fact in facts).strip()

    @property
    def written_default(self) -> str:
        """The default as a table shows it."""
        if self.required:
            return "required"
        if self.default is None or self.default in ((), {}):
            return "none"
        return f"`{written(self.default)}`"


def parameters(
    kind: type[Struct], *, defaults: Mapping[str, Any] | None = None, without: Iterable[str] = ()
) -> list[Parameter]:
    """The fields of a struct in their order, `without` some; `defaults` go before its own."""
    described = types.type_info(kind)
    assert isinstance(described, types.StructType)  # noqa: S101 - what a struct is
    meanings = field_docstrings(kind)
    left_out = set(without)
    return [
        _parameter(field, defaults or {}, meanings.get(field.name, ""))
        for field in described.fields
        if field.name not in left_out
    ]


def _parameter(field: types.Field, defaults: Mapping[str, Any], meaning: str) -> Parameter:
    default = None if field.required else field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if isinstance(default, Struct):
        default = None  # a table whose keys have defaults of their own
    return Parameter(
        name=field.name,
        required=field.required and field.name not in defaults,
        default=defaults.get(field.name, default),
        allowed=allowed(field.type),
        meaning=meaning,
    )


def allowed(kind: types.Type) -> str:
    """The values that a type takes, as text."""
    match kind:
        case types.Metadata(type=inner):
            words = allowed(inner)
        case types.BoolType():
            words = "true or false"
        case types.IntType():
            words = _number("whole number", kind)
        case types.FloatType():
            words = _number("number", kind)
        case types.StrType():
            words = "text"
        case types.DictType() | types.StructType():
            words = "table"
        case types.AnyType():
            words = "any value"
        case types.TupleType(item_types=items):
            words = f"{_how_many(len(items), len(items))}: {allowed(items[0])}"
        case types.LiteralType(values=values):
            words = " or ".join(f"`{written(value)}`" for value in values)
        case (
            types.VarTupleType(item_type=item, min_length=low, max_length=high)
            | types.ListType(item_type=item, min_length=low, max_length=high)
        ):
            words = f"{_how_many(low, high)}: {allowed(item)}"
        case types.UnionType(types=parts):
            words = "; or ".join(allowed(part) for part in parts if not isinstance(part, types.NoneType))
        case _:
            raise TypeError(f"invalid type {kind}: expected a type of a scenario file")
    return words


def _number(noun: str, kind: types.IntType | types.FloatType) -> str:
    low, high = kind.ge, kind.le
    if low is not None and low == high:
        return f"{figure(low)} only"
    bounds = [noun]
    if kind.gt is not None:
        bounds.append(f"above {figure(kind.gt)}")
    if low is not None:
        bounds.append(f"{figure(low)} or more" if high is None else f"{figure(low)} to {figure(high)}")
    elif high is not None:
        bounds.append(f"up to {figure(high)}")
    return ", ".join(bounds)


def _how_many(low: int | None, high: int | None) -> str:
    if low is not None and low == high:
        return f"list of {low}, each"
    return "list, each"


def figure(value: float) -> str:
    """A number with thousands apart, and 1/60 as that."""
    if isinstance(value, int):
        return f"{value:,}"
    return "1/60" if value == 1 / 60 else f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def written(value: Any) -> str:
    """A value as a scenario file has it."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.12g}"
        case list() | tuple():
            return f"[{', '.join(written(item) for item in value)}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {written(item)}' for key, item in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
