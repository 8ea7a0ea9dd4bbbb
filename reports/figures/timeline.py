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
from reports.figures.marks import Mark, draw_marks, draw_phases, draw_recoveries, labelled, marks
from reports.figures.palette import GREY, STYLE, look
from reports.figures.traces import ArmTraces, traces
from reports.rundir.reader import Run, proxy_name
from reports.text import units

THICK, THIN = 2.0, 0.9
WIDTH_IN, LEFT, RIGHT = 10.0, 0.075, 0.985
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


def figure(runs: Sequence[Run]) -> Figure:
    """Four panels over seconds from the trigger, the last one in two strips.

    A run whose control run failed has to have been marked by `under_control` before.
    """
    arms = traces(runs)
    first_s, last_s = _extent(arms)
    width_pt = 72 * WIDTH_IN * (RIGHT - LEFT)
    marked = labelled(marks(arms), first_s, last_s, width_pt)
    with mpl.rc_context(_STYLE):
        # The legend takes as much room as it needs, two arms a line, and so do the labels of the marks.
        head = 0.5 + 0.24 * -(-len(arms) // 2) + marked.height_pt / 72
        height = 11.2 + head
        drawing = Figure(figsize=(WIDTH_IN, height))
        panels = drawing.subplots(
            5, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2.4, 2.4, 1.9, 1.4], "hspace": 0.34}
        )
        drawing.subplots_adjust(left=LEFT, right=RIGHT, top=1 - head / height, bottom=0.045)
        latency, served, attempts, pods, edge = panels
        bounds = "\u25b3 at least: not delivered by the end  ·  thin: fan-out latency"
        _title(latency, "Effective latency, p99", bounds, 7 + marked.height_pt)
        late = any(arm.recovered_at_s != arm.recovered_s for arm in arms)
        since = "  ·  recovered after: from the end of the trigger" if late else ""
        _title(served, "Clients served (fresh data < 1 s)", f"thin: connected{since}")
        _title(attempts, "Connection attempts per second", "thin: refused by a limit")
        _title(pods, "Pods: event loop utilisation", "thin: CPU, per pod")
        proxy = proxy_name(run for arm in arms for run in arm.runs)
        _title(edge, f"{proxy}: CPU", "thin: CPU of the load generator")
        for index, arm in enumerate(arms):
            drawn = look(index)
            _draw_latency(latency, arm, drawn)
            _draw(served, arm, "useful", drawn, companion="connected", per="clients")
            _draw(attempts, arm, "attempts", drawn, companion="limited")
            _draw(pods, arm, "pod_loop", drawn, companion="pod_cpu")
            _draw(edge, arm, "nginx_cpu", drawn, companion="generator_cpu")
        _scales(latency, served, attempts, pods, edge)
        edge.set_xlim(first_s, last_s)
        triggered = any(run.info.trigger_s is not None for arm in arms for run in arm.runs)
        edge.set_xlabel(f"seconds {'from the trigger' if triggered else 'of steady state'}")
        draw_phases(panels, [run for arm in arms for run in arm.runs])
        draw_marks(panels, marked, first_s, (last_s - first_s) / width_pt)
        draw_recoveries(served, arms)
        _legend(drawing, arms)
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


def _extent(arms: Sequence[ArmTraces]) -> tuple[float, float]:
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


def _title(panel: Axes, title: str, companion: str, pad: float = 7) -> None:
    panel.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=pad)
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
        panel.fill_between(thick.at_s, thick.low, thick.high, color=style["color"], alpha=0.14, linewidth=0)


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
        panel.fill_between(effective.at_s, low, high, color=style["color"], alpha=0.14, linewidth=0)
    panel.plot(
        effective.at_s[bound],
        effective.median[bound],
        linestyle="none",
        marker="^",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=style["color"],
    )


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
    edge.xaxis.set_major_locator(MaxNLocator(12, integer=True, steps=[1, 2, 5, 10]))


def _legend(drawing: Figure, arms: Sequence[ArmTraces]) -> None:
    handles = [Line2D([], [], linewidth=2.4, **look(index)) for index in range(len(arms))]
    labels = [f"{arm.name}  ({arm.verdict})" for arm in arms]
    drawing.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.065, 0.998),
        ncols=2 if len(arms) > 1 else 1,
        frameon=False,
        handlelength=3.4,
        fontsize=10.5,
        columnspacing=2.5,
    )
