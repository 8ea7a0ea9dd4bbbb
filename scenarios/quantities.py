"""Numbers with a unit and a bound, as a scenario file may give them."""

from typing import Annotated, Any

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Index = Annotated[int, Meta(ge=0, le=255)]
"""Which pod, from 0."""
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Share = Annotated[float, Meta(gt=0, le=1)]

NameOrTable = str | dict[str, Any]
"""A registry's entry by name, or a table with `name` and that entry's parameters."""
