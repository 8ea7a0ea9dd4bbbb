"""Marks on the time axis of a figure: events with their labels, phases, the rescue, and recoveries.

Equal events of several arms that run at the same time are one mark.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from msgspec import Struct
from msgspec.structs import replace

from reports.analysis.actions import fired_events, trigger_name
from reports.compare.event_text import short_words
from reports.figures.palette import GREY, INK, colour, group
from reports.figures.traces import ArmTraces
from reports.rundir.reader import Run
from reports.text import units

TOGETHER_S = 1.5
"""Equal events of two arms that lie no further apart are one mark."""
SPAN_S = 1.0
"""What goes on for as long is shown as a stretch."""


class Mark(Struct, frozen=True, kw_only=True):
    """One moment, or a stretch that begins with it; seconds from the trigger."""

    at_s: float
    until_s: float | None
    """None for a moment."""
    text: str
    """Empty where an earlier mark says it for all that are equal."""
    arms: tuple[int, ...]
    """Indices of the arms that have it."""
    common: bool
    """All arms have it."""


class Label(Struct, frozen=True):
    """Where a mark's text stands, in the unit of the places that it was given."""

    from_x: float
    level: int
    """0 is the lowest line of text."""


def marks(arms: Sequence[ArmTraces]) -> list[Mark]:
    """The marks of all arms, each by the first of its runs that are drawn, in order of time."""
    found: list[Mark] = []
    for arm, traced in enumerate(arms):
        own = [*_marks(traced.runs[0])]
        if traced.rescued_s is not None:
            own.append(_mark(traced.rescued_s, "rescue"))
        for mark in own:
            place = next((i for i, other in enumerate(found) if _same(other, mark, arm)), None)
            if place is None:
                found.append(replace(mark, arms=(arm,)))
            else:
                found[place] = replace(found[place], arms=(*found[place].arms, arm))
    every = sorted(found, key=lambda mark: mark.at_s)
    return _without_repeated_texts([replace(mark, common=len(mark.arms) == len(arms)) for mark in every])


def stagger(places: Sequence[tuple[float, float]], right: float) -> list[Label]:
    """Where labels go that each begin at their mark's place, so that they do not lie on each other.

    places: for each label its mark and its width, in order of the marks. A label that would pass `right` ends
    there. A line leads up from each mark to its label; it crosses no other label, unless at the right edge.
    """
    labels: list[Label] = []
    taken: list[tuple[float, float, float, int]] = []
    for at, width in reversed(places):
        begin = min(at, right - width)
        end = begin + width
        level = 0
        while any(
            (level == other_level and begin < other_end and other_begin < end)
            or (level <= other_level and begin <= other_at < end)
            for other_at, other_begin, other_end, other_level in taken
        ):
            level += 1
        taken.append((at, begin, end, level))
        labels.append(Label(begin, level))
    return labels[::-1]


def _marks(run: Run) -> Iterator[Mark]:
    trigger_s, end_s = run.info.trigger_s, run.info.trigger_end_s
    zero_s = trigger_s or 0
    events = fired_events(run.events)
    trigger = next((event for event in events if event.kind == "fault"), None)
    if trigger_s is not None and trigger is None:
        yield _mark(0.0, f"trigger: {trigger_name(run).replace('_', ' ')}")
    for event in events:
        text = short_words(event.name, event.details)
        lasting = event.ended_s is not None and event.ended_s - event.began_s >= SPAN_S
        until_s = event.ended_s - zero_s if event.ended_s is not None and lasting else None
        yield _mark(event.began_s - zero_s, f"trigger: {text}" if event is trigger else text, until_s)
    if trigger_s is not None and end_s is not None and end_s > trigger_s:
        yield _mark(end_s - trigger_s, "trigger over")


def _mark(at_s: float, text: str, until_s: float | None = None) -> Mark:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return Mark(at_s=round(at_s, 1), until_s=until_s, text=printable, arms=(), common=False)


def _same(other: Mark, mark: Mark, arm: int) -> bool:
    return other.text == mark.text and abs(other.at_s - mark.at_s) <= TOGETHER_S and arm not in other.arms


def _without_repeated_texts(found: Sequence[Mark]) -> list[Mark]:
    """An event that fires again and again has its text at the first mark, with their number."""
    times: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, mark in enumerate(found):
        times.setdefault((mark.text, mark.arms), []).append(place)
    texts = {place: "" for places in times.values() for place in places[1:]}
    texts |= {
        places[0]: f"{text}, {len(places)} times" for (text, _), places in times.items() if len(places) > 1
    }
    return [replace(mark, text=texts.get(place, mark.text)) for place, mark in enumerate(found)]


MOST_RECOVERIES = 6
"""This many are written out; the others are dots alone."""

FONT_PT, LINE_PT, GAP_PT, DOT_PT = 9.0, 13.0, 5.0, 7.5
CHARACTER_PT = 4.8
"""What a character of a label takes; with some to spare, since the reader's font is not known."""
BOLD_PT = 5.8
"""The same for the words beside recoveries, which are bold."""
DURING, STRETCH = "#f6f6f3", "#ece6da"


class Labelled(Struct, frozen=True):
    """Marks, each with the place of its label, if it has one, in points from the left edge."""

    marks: tuple[tuple[Mark, Label | None], ...]
    height_pt: float
    """What the labels take above the topmost panel."""


def labelled(marks: Sequence[Mark], first_s: float, last_s: float, width_pt: float) -> Labelled:
    """Staggers the labels over panels from first_s to last_s, `width_pt` points wide."""
    spoken = [place for place, mark in enumerate(marks) if mark.text]
    scale = width_pt / (last_s - first_s)
    places = [((marks[place].at_s - first_s) * scale, _width_pt(marks[place])) for place in spoken]
    labels = dict(zip(spoken, stagger(places, width_pt), strict=True))
    lines = 1 + max((label.level for label in labels.values()), default=-1)
    return Labelled(
        tuple((mark, labels.get(place)) for place, mark in enumerate(marks)),
        lines * LINE_PT + GAP_PT if lines else 0.0,
    )


def draw_marks(panels: Sequence[Axes], found: Labelled, first_s: float, per_pt_s: float) -> None:
    """Lines and stretches through all panels, and labels above the first one.

    per_pt_s: seconds that a point is wide.
    """
    for mark, label in found.marks:
        for panel in panels:
            _line(panel, mark)
        if label is not None:
            _label(panels[0], mark, label, first_s + label.from_x * per_pt_s)


def draw_phases(panels: Sequence[Axes], runs: Sequence[Run]) -> None:
    """Names of the phases below the first panel, and `during` shaded in all, by the run that got furthest."""
    run = max(runs, key=lambda run: max((phase.to_s for phase in run.info.phases), default=0))
    zero_s = run.info.trigger_s
    if zero_s is None:
        return
    for phase in run.info.phases:
        if phase.name == "during":
            for panel in panels:
                panel.axvspan(phase.from_s - zero_s, phase.to_s - zero_s, color=DURING, zorder=-3)
        if phase.name in {"before", "during", "after"}:
            panels[0].text(
                (phase.from_s + phase.to_s) / 2 - zero_s,
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


def _width_pt(mark: Mark) -> float:
    dots = 0.0 if mark.common else DOT_PT * len(mark.arms)
    return dots + CHARACTER_PT * len(mark.text) + GAP_PT


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
            mark.at_s, mark.until_s, color=shade, alpha=alpha, linewidth=0, zorder=-2, gid=_only(mark)
        )


def _label(panel: Axes, mark: Mark, label: Label, from_s: float) -> None:
    """The text, behind a dot for each arm that has the mark where not all have it, and a line up to it."""
    at, above = panel.get_xaxis_transform(), GAP_PT + LINE_PT * (label.level + 0.5)
    own = INK if _only(mark) is None else colour(mark.arms[0])
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
        | {"gid": _only(mark)},
    )
    dots = () if mark.common else mark.arms
    text_pt = GAP_PT / 2 + DOT_PT * len(dots)
    panel.annotate(
        mark.text,
        (from_s, 1),
        (text_pt, above),
        color=own,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        gid=_only(mark),
        **where,
    )
    for place, arm in enumerate(dots):
        offset = (GAP_PT / 2 + DOT_PT * place, above)
        panel.annotate("\u25cf", (from_s, 1), offset, color=colour(arm), gid=group(arm), **where)


def _only(mark: Mark) -> str | None:
    """The group of the one arm that has a mark which others have not."""
    return group(mark.arms[0]) if len(mark.arms) == 1 and not mark.common else None
