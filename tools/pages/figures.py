"""Small figures for the page of policies: SVG text, the same bytes every time.

They are drawn for a width of 360 pixels, in one dark and one light tone that grey keeps apart.
"""

import io
import re
import warnings
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from reports.figures.compact import compact
from scenarios.policies.collapse import duration
from tools.pages.delays import Delays

LINEAR_BELOW_S = 0.01
"""The logarithmic axis of delays becomes a linear one below this, so that 0 has a place on it."""

_DARK, _LIGHT, _INK, _GREY, _FAINT = "#0b3c5d", "#a9cbe0", "#222222", "#5f5f5f", "#e4e4e4"
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titley": 1.0,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "grid.color": _FAINT,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "reconnect-storm",
    # Without these, matplotlib thins lines out differently from version to version.
    "path.simplify": False,
    "text.parse_math": False,
}
_FONTS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_TICKS_S = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0)


def delays_figure(delays: Delays) -> Figure:
    """The delay before each attempt: median, 10-90 % band, smallest and largest."""
    with mpl.rc_context(_STYLE):
        drawing, panel = _panel("Delay before attempt n", "median, 10–90 %, min and max")
        attempts = range(len(delays.median_s))
        panel.fill_between(attempts, delays.p10_s, delays.p90_s, color=_LIGHT, linewidth=0)
        # A band of one attempt or of no width would not be visible.
        panel.vlines(attempts, delays.p10_s, delays.p90_s, color=_LIGHT, linewidth=5)
        for edge in (delays.least_s, delays.most_s):
            panel.plot(attempts, edge, linestyle="none", marker="o", markersize=3, color=_GREY)
        panel.plot(attempts, delays.median_s, color=_DARK, linewidth=2.2, marker="_", markersize=9)
        panel.set_yscale("symlog", linthresh=LINEAR_BELOW_S, linscale=0.6)
        top_s = max(1.0, *delays.most_s)
        panel.set_ylim(-LINEAR_BELOW_S / 4, top_s * 2)
        panel.set_yticks([tick for tick in _TICKS_S if tick <= top_s * 2])
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda s, _: duration(s)))
        panel.set_xlim(-0.5, delays.attempts - 0.5)
        panel.set_xticks(range(0, delays.attempts, 2))
        panel.set_xlabel("attempt n")
        if delays.ends:
            last = len(delays.median_s) - 1
            panel.text(
                last + 0.5, delays.median_s[last], "then gives up", color=_INK, va="center", fontsize=10
            )
    return drawing


def attempts_figure(counts: Sequence[int], *, clients: int) -> Figure:
    """How many attempts start in each second, of clients whose attempts all fail."""
    with mpl.rc_context(_STYLE):
        drawing, panel = _panel("Attempts per second", f"{clients} clients, all attempts fail")
        panel.stairs(counts, range(len(counts) + 1), fill=True, color=_DARK, linewidth=0.6)
        panel.set_xlim(0, len(counts))
        panel.set_ylim(0, max(counts) * 1.08)
        panel.set_xticks(range(0, len(counts) + 1, 20))
        panel.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]))
        panel.set_xlabel("seconds from the loss of the connection")
    return drawing


def svg(drawing: Figure, alt: str) -> str:
    """The figure as an SVG file, with `alt` for readers who cannot see it."""
    target = io.StringIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's fonts draw the text, so what matplotlib's own font lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawing.savefig(
            target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = target.getvalue()
    text = text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    text = compact(re.sub(r"'DejaVu Sans'(?:, [^;\"]*?)?sans-serif", _FONTS, text))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}'


def _panel(title: str, subtitle: str) -> tuple[Figure, Axes]:
    drawing = Figure(figsize=(5, 2.9))
    panel = drawing.add_axes((0.145, 0.175, 0.815, 0.68))
    panel.set_title(title, loc="left", fontsize=11.5, fontweight="bold", pad=8, x=-0.14)
    panel.set_title(subtitle, loc="right", fontsize=10, color=_GREY, pad=8)
    panel.grid(visible=True, axis="y", linewidth=0.8)
    panel.tick_params(which="both", length=0)
    return drawing, panel
