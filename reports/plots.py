"""The figure: what happened, on one clock, all arms on top of each other.

Arms differ in colour (Okabe and Ito's, which colour-blind people can tell apart) and in line style, so
that the figure also works in grey. Thick lines are what a panel is about, thin ones its companion.
"""

import io
import re
import warnings
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports import units
from reports.record import Run
from reports.traces import ArmTraces, traces

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (6, 1.5, 1.2, 1.5)), (0, (1.4, 1.2)))
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e4e4e4"
THICK, THIN = 2.0, 0.9
MOST_LABELS = 6

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    # Where the title would end up anyway; asking matplotlib to find out costs a layout of every label.
    "axes.titley": 1.0,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": FAINT,
    "svg.fonttype": "none",
    "svg.hashsalt": "reconnect-storm",
    # Without these, matplotlib thins lines out differently from version to version.
    "path.simplify": False,
    # An arm's name is text, whatever is in it.
    "text.parse_math": False,
}
_FONTS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def figure(runs: Sequence[Run]) -> Figure:
    """Four panels over seconds from the trigger, the last one in two strips."""
    arms = traces(runs)
    with mpl.rc_context(_STYLE):
        # The legend takes as much room as it needs, two arms a line.
        head = 0.75 + 0.24 * -(-len(arms) // 2)
        height = 11.2 + head
        drawing = Figure(figsize=(10, height))
        panels = drawing.subplots(
            5, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2.4, 2.4, 1.9, 1.4], "hspace": 0.34}
        )
        drawing.subplots_adjust(left=0.075, right=0.985, top=1 - head / height, bottom=0.045)
        latency, served, attempts, pods, edge = panels
        bounds = "\u25b3 at least: never came before the end  ·  thin: fan-out latency"
        _title(latency, "Effective latency, p99", bounds, 24)
        _title(served, "Clients usefully connected", "thin: connected at all")
        _title(attempts, "Tries to connect, per second", "thin: refused by a limit")
        _title(pods, "Pods: event loop occupied", "thin: CPU, per pod")
        _title(edge, "nginx: CPU", "thin: CPU of the load generator")
        for index, arm in enumerate(arms):
            look = {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)]}
            _draw_latency(latency, arm, look)
            _draw(served, arm, "useful", look, companion="connected", per="clients")
            _draw(attempts, arm, "attempts", look, companion="limited")
            _draw(pods, arm, "pod_loop", look, companion="pod_cpu")
            _draw(edge, arm, "nginx_cpu", look, companion="generator_cpu")
        _scales(latency, served, attempts, pods, edge)
        _mark_recoveries(served, arms)
        _mark_times(panels, arms)
        _legend(drawing, arms)
    return drawing


def svg(drawing: Figure, alt: str) -> str:
    """The figure as one `<svg>` element that scales with its container; the same bytes every time."""
    target = io.StringIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's fonts draw the text, so what matplotlib's own font lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawing.savefig(
            target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[\d.]+pt"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    return re.sub(r"'DejaVu Sans'(?:, [^;\"]*?)?sans-serif", _FONTS, text)


def alt_text(runs: Sequence[Run]) -> str:
    """What the figure shows, for who cannot see it."""
    parts = []
    for arm in traces(runs):
        end = (
            f"recovered after {units.seconds(arm.recovered_s)}"
            if arm.recovered_s is not None
            else "did not recover by itself"
        )
        rescued = f", rescued at {arm.rescued_s} s" if arm.rescued_s is not None else ""
        parts.append(f"{arm.name} ({arm.verdict}): {end}{rescued}")
    return (
        "Five charts over seconds from the trigger: effective and fan-out latency, clients usefully "
        "connected, tries to connect, pods' event loops and CPU, CPU of nginx and generator. "
        + ". ".join(parts)
        + "."
    )


def _title(panel: Axes, title: str, companion: str, pad: int = 7) -> None:
    panel.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=pad)
    panel.set_title(companion, loc="right", fontsize=9, color=GREY, pad=pad)
    panel.grid(visible=True, axis="y", linewidth=0.8)
    panel.tick_params(which="both", length=0)


def _draw(
    panel: Axes,
    arm: ArmTraces,
    name: str,
    look: dict[str, Any],
    *,
    companion: str,
    per: str | None = None,
) -> None:
    thin = arm.trace(companion, per)
    panel.plot(thin.at_s, thin.median, linewidth=THIN, alpha=0.75, **look)
    thick = arm.trace(name, per)
    panel.plot(thick.at_s, thick.median, linewidth=THICK, **look)
    if len(arm.runs) > 1:
        panel.fill_between(thick.at_s, thick.low, thick.high, color=look["color"], alpha=0.14, linewidth=0)


def _draw_latency(panel: Axes, arm: ArmTraces, look: dict[str, Any]) -> None:
    """Like `_draw`, but seconds of which only a lower bound is known are triangles and no line.

    A tick counts by when it was due, so what is never delivered is known to have taken until the rescue or
    the end, and the bounds fall towards that moment. A line would make this look like an improvement.
    """
    fanout, effective = arm.trace("fanout_p99_ms"), arm.trace("effective_p99_ms")
    bound = arm.trace("effective_at_least").high > 0
    panel.plot(fanout.at_s, fanout.median, linewidth=THIN, alpha=0.75, **look)
    known = np.where(bound, np.nan, effective.median)
    panel.plot(effective.at_s, known, linewidth=THICK, **look)
    if len(arm.runs) > 1:
        low, high = (np.where(bound, np.nan, edge) for edge in (effective.low, effective.high))
        panel.fill_between(effective.at_s, low, high, color=look["color"], alpha=0.14, linewidth=0)
    panel.plot(
        effective.at_s[bound],
        effective.median[bound],
        linestyle="none",
        marker="^",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=look["color"],
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
    edge.margins(x=0.01)


def _mark_recoveries(panel: Axes, arms: Sequence[ArmTraces]) -> None:
    found = [
        (arm.recovered_s, arm.name, index) for index, arm in enumerate(arms) if arm.recovered_s is not None
    ]
    if not found:
        return
    first_s, last_s = panel.get_xlim()
    latest_s = max(found)[0]
    right = latest_s < (first_s + last_s) / 2
    at_s = latest_s + 0.03 * (last_s - first_s) if right else min(found)[0] - 0.03 * (last_s - first_s)
    for line, (recovered_s, name, index) in enumerate(sorted(found)):
        colour = COLOURS[index % len(COLOURS)]
        panel.plot([recovered_s], [1], marker="o", markersize=7, color=colour, clip_on=False, zorder=5)
        if line >= MOST_LABELS:
            continue
        panel.text(
            at_s,
            0.86 - 0.13 * line,
            f"\u25cf {name}: steady after {units.seconds(recovered_s)}",
            color=colour,
            ha="left" if right else "right",
            va="center",
            fontsize=9.5,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )


def _mark_times(panels: Sequence[Axes], arms: Sequence[ArmTraces]) -> None:
    top = panels[0]
    runs = [run for arm in arms for run in arm.runs]
    if all(run.info.trigger_s is None for run in runs):
        panels[-1].set_xlabel("seconds of steady state")
        return
    panels[-1].set_xlabel("seconds from the trigger")
    marks = {0: f"trigger: {_trigger(runs[0])}"}
    for arm in arms:
        if arm.rescued_s is not None:
            marks[arm.rescued_s] = "rescue"
    during = runs[0].phase("during")
    for panel in panels:
        if during is not None:
            panel.axvspan(0, during.to_s - during.from_s, color="#f6f6f3", zorder=-2)
        for at_s in marks:
            panel.axvline(at_s, color=INK, linewidth=1, linestyle=(0, (2, 2)) if at_s else "-", zorder=0)
    for at_s, text in marks.items():
        _above(top, at_s, text, 1.055, INK)
    for phase in runs[0].info.phases:
        if phase.name in {"before", "during", "after"}:
            middle = (phase.from_s + phase.to_s) / 2 - (runs[0].info.trigger_s or 0)
            _above(top, middle, phase.name, -0.06, GREY)


def _above(panel: Axes, at_s: float, text: str, height: float, colour: str) -> None:
    panel.text(
        at_s,
        height,
        text,
        transform=panel.get_xaxis_transform(),
        ha="center",
        va="center",
        fontsize=9.5,
        color=colour,
    )


def _trigger(run: Run) -> str:
    events = run.info.scenario.get("event") or [{}]
    return str(events[0].get("do", "")).replace("_", " ")


def _legend(drawing: Figure, arms: Sequence[ArmTraces]) -> None:
    handles = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)], linewidth=2.4)
        for i in range(len(arms))
    ]
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
