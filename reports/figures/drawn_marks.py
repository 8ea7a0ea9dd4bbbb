"""Draws what stands on the time axis of a figure: marks with their labels, phases and recoveries."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from reports.figures.marks import (
    CHARACTER_PT,
    DOT_PT,
    FONT_PT,
    GAP_PT,
    LINE_PT,
    Label,
    Labelled,
    Mark,
)
from reports.figures.palette import GREY, INK, colour, group
from reports.figures.traces import ArmTraces
from reports.rundir.reader import Run
from reports.text import units

MOST_RECOVERIES = 6
"""This many are written out; the others are dots alone."""
BOLD_PT = 5.8
"""What a character of the words beside recoveries takes, which are bold."""
DURING, STRETCH = "#f6f6f3", "#ece6da"


def draw_marks(panels: Sequence[Axes], found: Labelled, first_s: float, per_pt_s: float) -> None:
    """Lines and stretches through all panels, and labels above the first one.

    per_pt_s: seconds that a point is wide.
    """
    for mark, label in found.marks:
        for panel in panels:
            _line(panel, mark)
        if label is not None:
            _label(panels[0], mark, label, first_s + label.from_x * per_pt_s)


def draw_phases(panels: Sequence[Axes], runs: Sequence[Run], per_pt_s: float) -> None:
    """Names of the phases below the first panel, and `during` shaded in all, by the run that got furthest.

    per_pt_s: seconds that a point is wide. A name that would lie on that of a longer phase is left out.
    """
    run = max(runs, key=lambda run: max((phase.to_s for phase in run.info.phases), default=0))
    zero_s = run.info.trigger_s
    if zero_s is None:
        return
    taken: list[tuple[float, float]] = []
    for phase in sorted(run.info.phases, key=lambda phase: phase.from_s - phase.to_s):
        if phase.name == "during":
            for panel in panels:
                panel.axvspan(phase.from_s - zero_s, phase.to_s - zero_s, color=DURING, zorder=-3)
        middle_s = (phase.from_s + phase.to_s) / 2 - zero_s
        half_s = len(phase.name) * CHARACTER_PT * per_pt_s / 2
        free = all(abs(middle_s - other_s) >= half_s + other_half_s for other_s, other_half_s in taken)
        if phase.name in {"before", "during", "after"} and free:
            taken.append((middle_s, half_s))
            panels[0].text(
                middle_s,
                -0.06,
                phase.name,
                transform=panels[0].get_xaxis_transform(),
                ha="center",
                va="center",
                fontsize=9.5,
                color=GREY,
            )


def draw_recoveries(panel: Axes, arms: Sequence[ArmTraces], per_pt_s: float) -> None:
    """A dot where each arm had recovered, and when that was in words, inside the panel.

    per_pt_s: seconds that a point is wide.
    """
    found = [
        (arm.recovered_at_s, arm.recovered_s, index)
        for index, arm in enumerate(arms)
        if arm.recovered_at_s is not None
    ]
    if not found:
        return
    first_s, last_s = panel.get_xlim()
    latest_s = max(found)[0]
    texts = {
        index: f"\u25cf {arms[index].name}: recovered after {units.seconds(recovered_s)}"
        for _, recovered_s, index in sorted(found)[:MOST_RECOVERIES]
    }
    gap_s = 0.03 * (last_s - first_s)
    longest_s = max(map(len, texts.values())) * BOLD_PT * per_pt_s
    right = latest_s < (first_s + last_s) / 2
    if right:
        at_s = max(first_s, min(latest_s + gap_s, last_s - longest_s))
    else:
        at_s = min(last_s, max(min(found)[0] - gap_s, first_s + longest_s))
    for line, (recovered_at_s, _, index) in enumerate(sorted(found)):
        panel.plot(
            [recovered_at_s],
            [1],
            marker="o",
            markersize=7,
            color=colour(index),
            clip_on=False,
            zorder=5,
            gid=group(index),
        )
        if line >= MOST_RECOVERIES:
            continue
        panel.text(
            at_s,
            0.86 - 0.13 * line,
            texts[index],
            color=colour(index),
            ha="left" if right else "right",
            va="center",
            fontsize=9.5,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            gid=group(index),
        )


def _line(panel: Axes, mark: Mark) -> None:
    """One line for all arms; where only some have it, dashes in the colours of these, in turn."""
    solid = mark.text.startswith("trigger:")
    if mark.common:
        dashes: Any = "-" if solid else (0, (2, 2))
        panel.axvline(mark.at_s, color=INK, linewidth=1, linestyle=dashes, zorder=0)
    for place, arm in enumerate([] if mark.common else mark.arms):
        others = len(mark.arms) - 1
        dashes = (-4 * place, (4, 4 * others)) if others else "-"
        panel.axvline(mark.at_s, color=colour(arm), linewidth=1, linestyle=dashes, zorder=0, gid=group(arm))
    if mark.until_s is not None:
        shade = STRETCH if mark.common else colour(mark.arms[0])
        alpha = 1.0 if mark.common else 0.12
        panel.axvspan(
            mark.at_s, mark.until_s, color=shade, alpha=alpha, linewidth=0, zorder=-2, gid=_whose(mark)
        )


def _label(panel: Axes, mark: Mark, label: Label, from_s: float) -> None:
    """The text, behind a dot for each arm that has the mark where not all have it, and a line up to it."""
    at, above = panel.get_xaxis_transform(), GAP_PT + LINE_PT * (label.level + 0.5)
    own = colour(mark.arms[0]) if len(mark.arms) == 1 and not mark.common else INK
    where: dict[str, Any] = {
        "xycoords": at,
        "textcoords": "offset points",
        "va": "center",
        "fontsize": FONT_PT,
    }
    panel.annotate(
        "",
        (mark.at_s, 1),
        (0, above),
        xycoords=at,
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "linewidth": 0.8, "color": own, "shrinkA": 0, "shrinkB": 0}
        | {"gid": _whose(mark)},
    )
    dots = () if mark.common else mark.arms
    text_pt = GAP_PT / 2 + DOT_PT * len(dots)
    panel.annotate(
        mark.text,
        (from_s, 1),
        (text_pt, above),
        color=own,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        gid=_whose(mark),
        **where,
    )
    for place, arm in enumerate(dots):
        offset = (GAP_PT / 2 + DOT_PT * place, above)
        panel.annotate("\u25cf", (from_s, 1), offset, color=colour(arm), gid=group(arm), **where)


def _whose(mark: Mark) -> str | None:
    """The group of a mark that only some arms have."""
    return None if mark.common else group(*mark.arms)
