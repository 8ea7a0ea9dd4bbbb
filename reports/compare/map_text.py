"""The load × trigger map in words: a table for any medium, and the sentences above it."""

from collections.abc import Sequence
from math import isinf

from msgspec import Struct

from reports.compare.storm_map import (
    REGIONS,
    Cell,
    LoadPoint,
    Region,
    StormMap,
    enumerated,
    value_text,
)
from reports.text import units


class MapRow(Struct, frozen=True, kw_only=True):
    """One load as text."""

    load: str
    cells: tuple[str, ...]
    """A text for each trigger."""
    region: Region
    why: str


def map_headings(found: StormMap) -> tuple[str, ...]:
    """What stands above the columns of `map_rows`: the load's key, each trigger, and the region."""
    sizes = (f"{found.trigger_key} = {value_text(size)}" for size in found.triggers)
    return found.load_key, *sizes, "region"


def map_rows(found: StormMap) -> tuple[MapRow, ...]:
    """The map as a table, a row for each load."""
    return tuple(
        MapRow(
            load=value_text(point.value),
            cells=tuple(f"{outcome_text(cell)} ({numbers_text(cell)})" for cell in column),
            region=point.region,
            why=point.why,
        )
        for point, column in zip(found.loads, found.cells, strict=True)
    )


def map_sentences(found: StormMap) -> tuple[str, ...]:
    """Which loads are stable, vulnerable and so on, and how far S1 and S2 predicted which would stay down."""
    sentences = [
        f"{region.capitalize()} at {found.load_key} = {enumerated(map(_point_text, points))}."
        for region in REGIONS
        if (points := [point for point in found.loads if point.region == region])
    ]
    cells = [cell for column in found.cells for cell in column if cell.valid]
    for name in ("s1", "s2"):
        known = [(cell, number) for cell in cells if (number := getattr(cell, name)) is not None]
        above = [cell for cell, number in known if number > 1]
        below = [cell for cell, number in known if number <= 1]
        counts = [
            f"{_down_text(group)} with {name.upper()} {where}"
            for group, where in ((above, "above 1"), (below, "at 1 or below"))
            if group
        ]
        if counts:
            sentences.append(f"Stayed down: {', and '.join(counts)}.")
    return tuple(sentences)


def outcome_text(cell: Cell) -> str:
    """`RECOVERED`, `METASTABLE, 2 of 3 down`, `no valid run`."""
    if cell.verdict is None:
        return "no valid run" if cell.runs else "no run"
    return f"{cell.verdict}, {tally_text(cell)}" if cell.valid > 1 else cell.verdict


def tally_text(cell: Cell) -> str:
    """`2 of 3 down`, of the valid runs."""
    return f"{cell.down} of {cell.valid} down"


def numbers_text(cell: Cell) -> str:
    """`S1 4.7, S2 1.9`."""
    return f"S1 {_number(cell.s1)}, S2 {_number(cell.s2)}"


def _number(value: float | None) -> str:
    return units.INFINITE if value is not None and isinf(value) else units.plain(value)


def _point_text(point: LoadPoint) -> str:
    tipped = "" if point.tipped_by is None else f" (does not recover from {value_text(point.tipped_by)})"
    return f"{value_text(point.value)}{tipped}"


def _down_text(cells: Sequence[Cell]) -> str:
    plural = "" if len(cells) == 1 else "s"
    return f"{sum(cell.down > 0 for cell in cells)} of {len(cells)} cell{plural}"
