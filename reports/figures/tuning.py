"""The figure of a search: what each candidate costs, in its worst storm.

Two panels share the time to recover: to the left against the peak of the pods' load, to the right against the
recovery time of the slowest shared-IP group. Candidates differ by shape as well as by colour.
"""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from msgspec import Struct

from reports.figures.palette import COLOURS, GREY, STYLE
from reports.text import units
from reports.tuning.result import Tuned, Tuning


class Marking(Struct, frozen=True):
    """How a kind of candidate is drawn."""

    label: str
    marker: str
    colour: str
    size: float
    filled: bool = True


CHOSEN = Marking("recommended", "*", COLOURS[2], 16)
FIX = Marking("fix of the incident", "D", COLOURS[0], 9)
NOW = Marking("current settings", "s", COLOURS[6], 9)
ON_FRONT = Marking("Pareto-optimal", "o", COLOURS[1], 7)
MEETING = Marking("meets all constraints", "o", COLOURS[1], 6, filled=False)
VIOLATING = Marking("violates a constraint", "x", GREY, 6)
MARKINGS = (VIOLATING, MEETING, ON_FRONT, NOW, FIX, CHOSEN)
"""What is drawn later lies on top."""

PANELS = (
    ("peak_load", "Peak load of the pods", units.percent),
    ("nat_victim_s", "Slowest shared-IP group recovered", units.seconds),
)


def marking(found: Tuning, finalist: Tuned) -> Marking:
    """How a finalist is drawn."""
    origins = finalist.origin.split(" = ")
    if finalist.name == found.chosen:
        return CHOSEN
    if "incident's fix" in origins:
        return FIX
    if "now" in origins:
        return NOW
    if finalist.name in found.front:
        return ON_FRONT
    return VIOLATING if finalist.broken else MEETING


def tuned_figure(found: Tuning) -> Figure:
    """The finalists that recovered in every storm; the others are named in the legend's last line."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(10.0, 4.6))
        panels = drawing.subplots(1, 2)
        drawing.subplots_adjust(left=0.075, right=0.985, top=0.78, bottom=0.13, wspace=0.24)
        for panel, (key, title, write) in zip(panels, PANELS, strict=True):
            if key == "peak_load":
                panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
            _draw(panel, found, key)
            panel.set_title(title, loc="left", fontsize=11, fontweight="bold")
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _, write=write: write(value)))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.seconds(value)))
            panel.set_xlabel("time to recover, worst storm")
            # No mark may be cut in half at the edge.
            panel.set_xlim(0, 1.03 * panel.get_xlim()[1])
            panel.set_ylim(0, 1.06 * panel.get_ylim()[1])
            panel.grid(visible=True, linewidth=0.8)
            panel.tick_params(which="both", length=0)
        _legend(drawing, panels[0])
    return drawing


def tuned_alt_text(found: Tuning) -> str:
    """What the figure shows, for those who cannot see it."""
    parts = [
        f"{marking(found, finalist).label}: {finalist.name}, {_description(finalist)}"
        for finalist in _described(found)
    ]
    return (
        "Two charts over the time to recover in the worst storm: peak load of the pods, and recovery "
        f"time of the slowest shared-IP group. {'. '.join(parts)}."
    )


def _described(found: Tuning) -> list[Tuned]:
    shown = {CHOSEN.label, FIX.label, NOW.label, ON_FRONT.label}
    return [finalist for finalist in found.finalists if marking(found, finalist).label in shown]


def _description(finalist: Tuned) -> str:
    score = finalist.score
    if score.time_to_recover_s is None:
        return f"{score.recovered} of {score.storms} storms recovered"
    return (
        f"recovers in {units.seconds(score.time_to_recover_s)}, peak load {units.percent(score.peak_load)}, "
        f"slowest shared-IP group after {units.seconds(score.nat_victim_s)}"
    )


def _draw(panel: Axes, found: Tuning, key: str) -> None:
    for kind in MARKINGS:
        points = [
            (finalist.score.time_to_recover_s, getattr(finalist.score, key))
            for finalist in found.finalists
            if marking(found, finalist) == kind
        ]
        there = [(x, y) for x, y in points if x is not None and y is not None]
        panel.plot(
            [x for x, _ in there],
            [y for _, y in there],
            linestyle="none",
            label=kind.label + _missing(len(points) - len(there)),
            marker=kind.marker,
            markersize=kind.size,
            markerfacecolor=kind.colour if kind.filled else "white",
            markeredgecolor=kind.colour,
        )


def _missing(count: int) -> str:
    return f" ({count} never recovered, not shown)" if count else ""


def _legend(drawing: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    order: Sequence[int] = range(len(handles) - 1, -1, -1)
    drawing.legend(
        [handles[place] for place in order],
        [labels[place] for place in order],
        loc="upper left",
        bbox_to_anchor=(0.06, 1.0),
        ncols=3,
        frameon=False,
    )
