"""The chart of a trend: each measure over the commits, with its extremes and change points.

The mark of a gate tells its outcome."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.figures.palette import FAINT, GREY, INK
from reports.gate.decision import Outcome
from reports.gate.history import TrendEntry
from reports.gate.measures import VERDICT, Gauge
from reports.trend.changes import Change
from reports.trend.text import sentence

MARKS: dict[Outcome, tuple[str, str]] = {
    "pass": ("o", "#0072B2"),
    "regression": ("v", "#D55E00"),
    "inconclusive": ("D", "#E69F00"),
    "invalid": ("X", "#6b6b6b"),
    "failed": ("P", "#000000"),
}
"""They differ in shape as well as in colour."""

NEVER = "^"
"""At the upper edge: in most runs it never came."""

WORSE, BETTER = ("#D55E00", "--"), ("#009E73", "-.")
"""Colour and line of a change point."""

MOST_ENTRIES = 60
WIDTH_IN, PANEL_IN = 9.0, 1.5


def trend_figure(
    entries: Sequence[TrendEntry], gauges: Sequence[Gauge], found: Sequence[Change] = ()
) -> Figure:
    """One panel a measure over the last `MOST_ENTRIES` entries, which have to be of one scenario.

    A dotted line stands where the machine changed: what lies on either side of it is not comparable. `found`:
    the change points of these entries; a dashed line stands before the first gate of each new level.
    """
    shown, left_out = entries[-MOST_ENTRIES:], max(0, len(entries) - MOST_ENTRIES)
    drawn = [gauge for gauge in gauges if gauge.key != VERDICT and _has(shown, gauge)]
    height = 1.2 + PANEL_IN * max(1, len(drawn))
    figure = Figure(figsize=(WIDTH_IN, height))
    panels = figure.subplots(max(1, len(drawn)), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.09, right=0.985, top=1 - 0.55 / height, bottom=0.75 / height, hspace=0.45)
    for panel, gauge in zip(panels, drawn, strict=False):
        _draw(panel, shown, gauge)
        for change in found:
            if change.key == gauge.key and change.index >= left_out:
                _mark(panel, change, left_out)
    bottom = panels[-1]
    bottom.set_xticks(range(len(shown)), [_commit(entry) for entry in shown], rotation=60, ha="right")
    bottom.tick_params(labelsize=7)
    bottom.set_xlim(-0.6, len(shown) - 0.4)
    handles = [
        panels[0].plot([], [], marker, color=colour, label=outcome)[0]
        for outcome, (marker, colour) in MARKS.items()
    ]
    figure.legend(handles=handles, loc="upper right", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def trend_alt_text(entries: Sequence[TrendEntry], found: Sequence[Change] = ()) -> str:
    """The chart in a few sentences."""
    outcomes = [entry.outcome for entry in entries[-MOST_ENTRIES:]]
    counted = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
    last = entries[-1]
    text = (
        f"Measures of {last.scenario} over {len(outcomes)} gates ({counted}). "
        f"The last one, at {_commit(last)}: {last.outcome}, {last.reason}"
    )
    told = "; ".join(map(sentence, found))
    return f"{text.removesuffix('.')}. Change points: {told}" if told else text


def _has(entries: Sequence[TrendEntry], gauge: Gauge) -> bool:
    return any(gauge.key in entry.measures for entry in entries)


def _draw(panel: Axes, entries: Sequence[TrendEntry], gauge: Gauge) -> None:
    panel.set_title(f"{gauge.name} ({gauge.effect.better} is better)", loc="left", fontsize=9, color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GREY)
    panel.tick_params(colors=GREY, labelsize=8)
    panel.grid(axis="y", color=FAINT)
    panel.yaxis.set_major_locator(MaxNLocator(3))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: gauge.write(float(value))))
    for place, entry in enumerate(entries):
        spread = entry.measures.get(gauge.key)
        if spread is None:
            continue
        marker, colour = MARKS[entry.outcome]
        if spread.median is None or spread.low is None:
            # It never came: above everything that did.
            top = panel.get_xaxis_transform()
            panel.plot([place], [1.0], NEVER, color=colour, markersize=5, transform=top, clip_on=False)
            continue
        # A run that never got there has no end; the bar then stops at the median.
        high = spread.median if spread.high is None else spread.high
        panel.vlines(place, spread.low, high, color=GREY, linewidth=1)
        panel.plot([place], [spread.median], marker, color=colour, markersize=5)
    low, high = panel.get_ylim()
    if low < 0:
        # Nothing that is measured is negative; only matplotlib's margin around a row of zeros is.
        panel.set_ylim(0, max(high, 1.0))
    for place, (before, after) in enumerate(pairwise(entries)):
        if before.machine != after.machine:
            panel.axvline(place + 0.5, color=GREY, linestyle=":", linewidth=1)


def _commit(entry: TrendEntry) -> str:
    return entry.commit.id[:8] + ("-dirty" if entry.commit.dirty else "")


def _mark(panel: Axes, change: Change, left_out: int) -> None:
    """The change point, and the levels before and after it."""
    colour, line = WORSE if change.worse else BETTER
    place = change.index - left_out - 0.5
    panel.axvline(place, color=colour, linestyle=line, linewidth=1.2)
    for level, start, end in (
        (change.before, max(-0.5, change.from_index - left_out - 0.4), place),
        (change.after, place, change.to_index - left_out + 0.4),
    ):
        if level is not None:
            panel.hlines(level, start, end, color=colour, linewidth=1.2)
    panel.annotate(
        f"{change.before_text} → {change.after_text}",
        (place, 1.0),
        xycoords=panel.get_xaxis_transform(),
        xytext=(3, -8),
        textcoords="offset points",
        fontsize=7,
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
    )
