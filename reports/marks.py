"""What a figure marks on its clock: what struck, when the trigger was over, when a rescue came.

Events of different arms that are the same and strike at the same time are one mark.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from reports.actions import strikes, trigger_name
from reports.event_words import short_words
from reports.record import Run
from reports.traces import ArmTraces

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
    return _said_once([replace(mark, common=len(mark.arms) == len(arms)) for mark in every])


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
    struck = strikes(run.events)
    trigger = next((strike for strike in struck if strike.kind == "fault"), None)
    if trigger_s is not None and trigger is None:
        yield _mark(0.0, f"trigger: {trigger_name(run).replace('_', ' ')}")
    for strike in struck:
        text = short_words(strike.name, strike.details)
        lasting = strike.ended_s is not None and strike.ended_s - strike.began_s >= SPAN_S
        until_s = strike.ended_s - zero_s if strike.ended_s is not None and lasting else None
        yield _mark(strike.began_s - zero_s, f"trigger: {text}" if strike is trigger else text, until_s)
    if trigger_s is not None and end_s is not None and end_s > trigger_s:
        yield _mark(end_s - trigger_s, "trigger over")


def _mark(at_s: float, text: str, until_s: float | None = None) -> Mark:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return Mark(at_s=round(at_s, 1), until_s=until_s, text=printable, arms=(), common=False)


def _same(other: Mark, mark: Mark, arm: int) -> bool:
    return other.text == mark.text and abs(other.at_s - mark.at_s) <= TOGETHER_S and arm not in other.arms


def _said_once(found: Sequence[Mark]) -> list[Mark]:
    """What strikes again and again has its text at the first strike, with their number."""
    times: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, mark in enumerate(found):
        times.setdefault((mark.text, mark.arms), []).append(place)
    texts = {place: "" for places in times.values() for place in places[1:]}
    texts |= {
        places[0]: f"{text}, {len(places)} times" for (text, _), places in times.items() if len(places) > 1
    }
    return [replace(mark, text=texts.get(place, mark.text)) for place, mark in enumerate(found)]
