"""Marks on the time axis of a figure: events with their labels, and the rescue.

Equal events of several arms that run at the same time are one mark.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from reports.analysis.actions import fired_events, trigger_name
from reports.compare.event_text import short_words
from reports.figures.traces import ArmTraces
from reports.rundir.reader import Run

TOGETHER_S = 1.5
"""Equal events of two arms that lie no further apart are one mark."""
SPAN_S = 1.0
"""What goes on for as long is shown as a stretch."""
FONT_PT, LINE_PT, GAP_PT, DOT_PT = 9.0, 13.0, 5.0, 7.5
CHARACTER_PT = 4.8
"""What a character of a label takes; with some to spare, since the reader's font is not known."""


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


def _width_pt(mark: Mark) -> float:
    dots = 0.0 if mark.common else DOT_PT * len(mark.arms)
    return dots + CHARACTER_PT * len(mark.text) + GAP_PT
