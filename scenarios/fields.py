"""Numbers with a unit and a bound, as a scenario file may give them."""

import difflib
from collections.abc import Collection
from typing import Annotated, Any

from msgspec import Meta

_FEW = 16

Count = Annotated[int, Meta(ge=1)]
Index = Annotated[int, Meta(ge=0, le=255)]
"""Which pod, from 0."""
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Share = Annotated[float, Meta(gt=0, le=1)]

NameOrTable = str | dict[str, Any]
"""A registry's entry by name, or a table with `name` and that entry's parameters."""


def invalid(key: str, value: object, expected: str) -> str:
    """The text of an error about a value: `fleet.clients: invalid value 0: expected an integer >= 1`.

    key: of a scenario file, an option, or a file. Without one, whoever catches the error puts it in front.
    """
    return f"{key and key + ': '}invalid value {value!r}: expected {expected}"


def one_of(value: object, names: Collection[str], of: str, listed_by: str = "list") -> str:
    """What is expected instead of an unknown name: every name, or the similar ones where they are many.

    of: what the command that lists them calls them. listed_by: that command.
    """
    if len(names) <= _FEW:
        return ", ".join(names)
    similar = difflib.get_close_matches(str(value), names, n=3)
    rest = f"one of the {len(names)} {of} that `reconnect-storm {listed_by}` prints"
    return f"{', '.join(similar)}, or {rest}" if similar else rest


def share_of(whole: int, index: int, processes: int) -> int:
    """What process number `index` of so many has of something; all shares together are the whole.

    A process that came later has none: the others have the whole between them.
    """
    return whole * (index + 1) // processes - whole * index // processes if index < processes else 0
