"""Where a parameter of a policy or a limit may lie."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from scenarios.fields import NameOrTable


class Range(Struct, frozen=True, kw_only=True):
    """Where a parameter may lie: from `low` to `high`, in units of `times`."""

    key: str
    low: float
    high: float
    times: Literal["one", "window_s", "window_ms", "rate"] = "one"
    even: bool = False
    """Even steps are equally likely; otherwise equal factors are."""
    whole: bool = False

    def at(self, place: float, unit: float) -> float | int:
        """The value at a place from 0 to 1, with three digits; `unit` is what `times` stands for here."""
        low, high = self.low * unit, self.high * unit
        value = low + place * (high - low) if self.even else low * (high / low) ** place
        value = float(f"{value:.3g}")
        return max(1, round(value)) if self.whole else value


class Choice(Struct, frozen=True, kw_only=True):
    """A parameter that has one of a few values."""

    key: str
    values: tuple[Any, ...]
    times: Literal["one"] = "one"

    def at(self, place: float, unit: float) -> Any:  # noqa: ARG002
        """The value at a place from 0 to 1."""
        return self.values[min(len(self.values) - 1, int(place * len(self.values)))]


Ranges = tuple[Range | Choice, ...]


def filled(name: str, ranges: Ranges, places: Sequence[float], scale: Mapping[str, float]) -> NameOrTable:
    """A policy or limit with the values at these places."""
    if not ranges:
        return name
    values = {one.key: one.at(place, scale[one.times]) for one, place in zip(ranges, places, strict=False)}
    return {"name": name, **values}
