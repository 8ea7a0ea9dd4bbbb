"""The other arms against the reference arm, measure by measure, in words."""

from collections.abc import Mapping

from msgspec import Struct

from reports.compare.comparison import Comparison, Contrast, Decision
from reports.compare.measures import BY_KEY, KEY_MEASURES
from reports.compare.statistics import runs_needed
from reports.text import units

_DECISIONS: tuple[Decision, ...] = ("better", "worse", "no difference", "inconclusive")


class AgainstCell(Struct, frozen=True):
    """What was decided, and by which figures."""

    text: str
    figures: str = ""


class AgainstRow(Struct, frozen=True):
    """One measure of every other arm against the reference arm."""

    name: str
    least: str
    """The minimum effect."""
    decisive: bool
    """It is one of the key measures, whose p is adjusted for their number."""
    cells: tuple[AgainstCell, ...]
    """For every arm but the reference."""


def against_rows(comparison: Comparison) -> list[AgainstRow]:
    """Every measure of the other arms against the reference, key measures first; none where no arm has
    runs enough for an interval."""
    arms = [comparison.contrasts[arm.name] for arm in comparison.arms[1:]]
    every = [contrast for arm in arms for contrast in arm.values()]
    if all(contrast.p is None and contrast.ratio_low is None for contrast in every):
        return []
    keys = dict.fromkeys([*KEY_MEASURES, *BY_KEY])
    return [
        AgainstRow(
            BY_KEY[key].name_for(comparison.names),
            BY_KEY[key].least,
            key in KEY_MEASURES,
            tuple(_against(arm.get(key)) for arm in arms),
        )
        for key in keys
        if any(key in arm for arm in arms)
    ]


def against_lines(comparison: Comparison) -> list[str]:
    """The key measures of every other arm against the reference, a line an arm, where a test can decide."""
    lines = []
    for arm in comparison.arms[1:]:
        contrasts = {key: comparison.contrasts[arm.name].get(key) for key in KEY_MEASURES}
        tested = {key: found for key, found in contrasts.items() if found and found.p is not None}
        if tested:
            groups = [_decided(tested, decision) for decision in _DECISIONS]
            lines.append(f"{arm.name} against {comparison.arms[0].name}: {'; '.join(filter(None, groups))}.")
    needed = runs_needed(len(KEY_MEASURES))
    if lines and min(arm.valid for arm in comparison.arms) < needed:
        lines.append(f"Testing {len(KEY_MEASURES)} measures together takes {needed} valid runs per arm.")
    return lines


def _against(contrast: Contrast | None) -> AgainstCell:
    if contrast is None:
        return AgainstCell(units.NOTHING)
    return AgainstCell(
        contrast.decision, ", ".join(filter(None, (_ratio(contrast), units.p_value(contrast.p))))
    )


def _ratio(contrast: Contrast) -> str:
    return units.ratio(
        *(contrast.ratio, contrast.ratio_low, contrast.ratio_high, contrast.coverage),
        bound=contrast.bound,
        never=contrast.ratio_never,
    )


def _decided(contrasts: Mapping[str, Contrast], decision: Decision) -> str:
    names = []
    for key, found in contrasts.items():
        if found.decision == decision:
            ratio = units.ratio(found.ratio, bound=found.bound)
            shown = ratio if decision in {"better", "worse"} else ""
            names.append(f"{BY_KEY[key].name} {shown}".strip())
    return f"{decision}: {', '.join(names)}" if names else ""
