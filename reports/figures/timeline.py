"""The figure: what happened, on one clock, all arms on top of each other.

Thick lines are what a panel is about, thin ones its companion.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.figures.compact import compact
from reports.figures.drawn_marks import draw_marks, draw_phases, draw_recoveries
from reports.figures.layout import NORMAL, Layout
from reports.figures.marks import Mark, labelled, marks
from reports.figures.palette import GREY, GROUP, STYLE, group, look
from reports.figures.traces import ArmTraces, traces
from reports.rundir.reader import Run, proxy_name
from reports.rundir.series import Seconds
from reports.text import units

THICK, THIN = 2.0, 0.9
STACKED_PT = 13.0
"""What a second title takes that stands below the first one."""
LEGEND_PT, LETTER_PT = 70.0, 5.8
"""What the line and the gaps take of a column of the legend, and what a letter of its text takes."""
MARGIN = 0.01
"""Of the clock's length, on either side."""

_STYLE: dict[Any, Any] = STYLE | {
    # Where the title would end up anyway; asking matplotlib to find out costs a layout of every label.
    "axes.titley": 1.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "reconnect-storm",
    # Without these, matplotlib thins lines out differently from version to version.
    "path.simplify": False,
}
_FONTS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def figure(runs: Sequence[Run], layout: Layout = NORMAL) -> Figure:
    """Four panels over seconds from the trigger, the last one in two strips.

    Whatever belongs to one arm alone is in groups of its own; see `palette.group`, which become `data-arms`
    in the SVG. A run whose control run
    failed has to have been marked by `under_control` before.
    """
    arms = traces(runs)
    first_s, last_s = extent(arms)
    marked = labelled(marks(arms), first_s, last_s, layout.clock_pt)
    with mpl.rc_context(_STYLE):
        # The legend takes as much room as it needs, and so do the labels of the marks.
        stacked_in = STACKED_PT / 72 if layout.stacked else 0.0
        lines = -(-len(arms) // _legend_columns(arms, layout))
        head = 0.5 + 0.24 * lines + stacked_in + marked.height_pt / 72
        height = layout.panels_in + head
        drawing = Figure(figsize=(layout.width_in, height))
        panels = drawing.subplots(
            5, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2.4, 2.4, 1.9, 1.4], "hspace": layout.gap}
        )
        drawing.subplots_adjust(left=layout.left, right=layout.right, top=1 - head / height, bottom=0.045)
        latency, served, attempts, pods, edge = panels
        bounds = "\u25b3 at least: not delivered by the end  ·  thin: fan-out latency"
        _title(layout, latency, "Effective latency, p99", bounds, 7 + marked.height_pt)
        late = any(arm.recovered_at_s != arm.recovered_s for arm in arms)
        since = "  ·  recovered after: from the end of the trigger" if late else ""
        _title(layout, served, "Clients served (fresh data < 1 s)", f"thin: connected{since}")
        _title(layout, attempts, "Connection attempts per second", "thin: refused by a limit")
        _title(layout, pods, "Pods: event loop utilisation", "thin: CPU, per pod")
        proxy = proxy_name(run for arm in arms for run in arm.runs)
        _title(layout, edge, f"{proxy}: CPU", "thin: CPU of the load generator")
        for index, arm in enumerate(arms):
            drawn = look(index) | {"gid": group(index)}
            _draw_latency(latency, arm, drawn)
            _draw(served, arm, "useful", drawn, companion="connected", per="clients")
            _draw(attempts, arm, "attempts", drawn, companion="limited")
            _draw(pods, arm, "pod_loop", drawn, companion="pod_cpu")
            _draw(edge, arm, "nginx_cpu", drawn, companion="generator_cpu")
        _scales(latency, served, attempts, pods, edge)
        edge.xaxis.set_major_locator(MaxNLocator(layout.ticks, integer=True, steps=[1, 2, 5, 10]))
        edge.set_xlim(first_s, last_s)
        triggered = any(run.info.trigger_s is not None for arm in arms for run in arm.runs)
        edge.set_xlabel(f"seconds {'from the trigger' if triggered else 'of steady state'}")
        per_pt_s = (last_s - first_s) / layout.clock_pt
        draw_phases(panels, [run for arm in arms for run in arm.runs], per_pt_s)
        draw_marks(panels, marked, first_s, per_pt_s)
        draw_recoveries(served, arms, per_pt_s)
        _legend(drawing, arms, layout)
    return drawing


@contextmanager
def writing() -> Iterator[None]:
    """How a figure is turned into a file; letters that matplotlib's own font lacks are no reason to warn.

    An SVG's text is drawn by the reader's fonts; in a bitmap, such letters are boxes.
    """
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def svg(drawing: Figure, alt: str, prefix: str = "") -> str:
    """The figure as one `<svg>` element that scales with its container; the same bytes every time.

    prefix: stands before every id, so that several figures can be in one page.
    """
    target = io.StringIO()
    with writing():
        drawing.savefig(
            target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[\d.]+pt"', r"\1", text, count=1)
    # Many groups belong to one arm, and an id may occur only once.
    text = re.sub(rf'<g id="{GROUP}([\d-]+)"', r'<g data-arms="\1"', text)
    text = re.sub(r'(\bid="|\bhref="#|url\(#)', rf"\g<1>{prefix}", text)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    return compact(re.sub(r"'DejaVu Sans'(?:, [^;\"]*?)?sans-serif", _FONTS, text))


def alt_text(runs: Sequence[Run]) -> str:
    """What the figure shows, for those who cannot see it."""
    arms = traces(runs)
    proxy = proxy_name(runs)
    parts = []
    for arm in arms:
        since = "" if arm.recovered_at_s == arm.recovered_s else " from the trigger\u2019s end"
        end = (
            f"recovered after {units.seconds(arm.recovered_s)}{since}"
            if arm.recovered_s is not None
            else "did not recover"
        )
        rescued = f", forced-recovery probe at {arm.rescued_s} s" if arm.rescued_s is not None else ""
        parts.append(f"{arm.name} ({arm.verdict}): {end}{rescued}")
    texts = [_mark_text(mark, arms) for mark in marks(arms) if mark.text]
    marked = f"Marked: {'; '.join(texts)}. " if texts else ""
    return (
        "Five charts over seconds from the trigger: effective and fan-out latency, clients served, "
        f"connection attempts, event loops and CPU of the pods, CPU of {proxy} and load generator. "
        + marked
        + ". ".join(parts)
        + "."
    )


def _mark_text(mark: Mark, arms: Sequence[ArmTraces]) -> str:
    whose = "" if mark.common else f" ({', '.join(arms[index].name for index in mark.arms)})"
    return f"{mark.text} at {mark.at_s:.0f} s{whose}"


def extent(arms: Sequence[ArmTraces]) -> tuple[float, float]:
    """First and last second of the clock, with a margin."""
    clocks = [
        (row["t_s"] - (run.info.trigger_s or 0))
        for arm in arms
        for run in arm.runs
        for row in run.rows
        if row["t_s"] is not None and row["t_s"] >= 0
    ]
    first_s, last_s = (min(clocks), max(clocks) + 1) if clocks else (0.0, 1.0)
    margin_s = MARGIN * (last_s - first_s)
    return first_s - margin_s, last_s + margin_s


def _title(layout: Layout, panel: Axes, title: str, companion: str, pad: float = 7) -> None:
    above = pad + STACKED_PT if layout.stacked else pad
    panel.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=above)
    if layout.stacked:
        small: dict[str, Any] = {"fontsize": 9, "color": GREY, "annotation_clip": False}
        at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        panel.annotate(companion, (0, 1), (0, pad), **at, **small)
    else:
        panel.set_title(companion, loc="right", fontsize=9, color=GREY, pad=pad)
    panel.grid(visible=True, axis="y", linewidth=0.8)
    panel.tick_params(which="both", length=0)


def _draw(
    panel: Axes,
    arm: ArmTraces,
    name: str,
    style: dict[str, Any],
    *,
    companion: str,
    per: str | None = None,
) -> None:
    thin = arm.trace(companion, per)
    panel.plot(thin.at_s, thin.median, linewidth=THIN, alpha=0.75, **style)
    thick = arm.trace(name, per)
    panel.plot(thick.at_s, thick.median, linewidth=THICK, **style)
    if len(arm.runs) > 1:
        _band(panel, thick.at_s, thick.low, thick.high, style)


def _draw_latency(panel: Axes, arm: ArmTraces, style: dict[str, Any]) -> None:
    """Like `_draw`, but seconds of which only a lower bound is known are triangles and no line.

    A tick counts by when it was due, so what is never delivered is known to have taken until the rescue or
    the end, and the bounds fall towards that moment. A line would make this look like an improvement.
    """
    fanout, effective = arm.trace("fanout_p99_ms"), arm.trace("effective_p99_ms")
    bound = arm.trace("effective_at_least").high > 0
    panel.plot(fanout.at_s, fanout.median, linewidth=THIN, alpha=0.75, **style)
    known = np.where(bound, np.nan, effective.median)
    panel.plot(effective.at_s, known, linewidth=THICK, **style)
    if len(arm.runs) > 1:
        low, high = (np.where(bound, np.nan, edge) for edge in (effective.low, effective.high))
        _band(panel, effective.at_s, low, high, style)
    panel.plot(
        effective.at_s[bound],
        effective.median[bound],
        linestyle="none",
        marker="^",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=style["color"],
        gid=style["gid"],
    )


def _band(panel: Axes, at_s: Seconds, low: Seconds, high: Seconds, style: dict[str, Any]) -> None:
    panel.fill_between(at_s, low, high, color=style["color"], gid=style["gid"], alpha=0.14, linewidth=0)


def _scales(latency: Axes, served: Axes, attempts: Axes, pods: Axes, edge: Axes) -> None:
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: units.milliseconds(ms)))
    latency.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    served.set_ylim(-0.03, 1.06)
    pods.set_ylim(-0.03, 1.08)
    edge.set_ylim(bottom=0)
    attempts.set_ylim(0, max(1.0, attempts.get_ylim()[1]))
    for panel in (served, pods, edge):
        panel.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:.0f} %"))
    for panel in (attempts, edge):
        panel.yaxis.set_major_locator(MaxNLocator(4))
    served.set_yticks([0, 0.25, 0.5, 0.75, 1])
    pods.set_yticks([0, 0.5, 1])


def _legend(drawing: Figure, arms: Sequence[ArmTraces], layout: Layout) -> None:
    handles = [Line2D([], [], linewidth=2.4, **look(index)) for index in range(len(arms))]
    labels = [*map(_legend_text, arms)]
    legend = drawing.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(layout.left - 0.1 / layout.width_in, 0.998),
        ncols=_legend_columns(arms, layout),
        frameon=False,
        handlelength=3.4,
        fontsize=10.5,
        columnspacing=2.5,
    )
    for index, parts in enumerate(zip(legend.get_lines(), legend.get_texts(), strict=True)):
        for part in parts:
            part.set_gid(group(index))


def _legend_text(arm: ArmTraces) -> str:
    return f"{arm.name}  ({arm.verdict})"


def _legend_columns(arms: Sequence[ArmTraces], layout: Layout) -> int:
    """As many as there is room for beside each other, or one; each is as wide as its longest text."""
    lengths = [len(_legend_text(arm)) for arm in arms]
    for columns in range(min(len(arms), layout.legend_columns), 1, -1):
        # This is how matplotlib fills them, too.
        longest = [max(part) for part in np.array_split(lengths, columns)]
        if sum(LEGEND_PT + LETTER_PT * letters for letters in longest) <= layout.clock_pt:
            return columns
    return 1
