"""The figure of an agreement: attempts per second, predicted on top of measured, a panel for each arm."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.palette import COLOURS, FAINT, GREY, INK
from reports.figures.traces import ArmTraces, traces
from reports.rundir.reader import Run
from reports.rundir.series import Seconds
from reports.text import units

WIDTH_IN, PANEL_IN = 9.0, 2.1
MEASURED: dict[str, Any] = {"color": GREY, "linestyle": "-", "linewidth": 2.6}
PREDICTED: dict[str, Any] = {"color": COLOURS[0], "linestyle": (0, (4, 1.4)), "linewidth": 1.4}
"""They differ in width and in line as well as in colour."""


def agreement_figure(measured: Sequence[Run], predicted: Sequence[Run]) -> Figure:
    """Medians over the runs of each arm that both have, over seconds from the trigger; bands are extremes."""
    pairs = _pairs(measured, predicted)
    height = 0.9 + PANEL_IN * max(1, len(pairs))
    with mpl.rc_context({"text.parse_math": False, "font.size": 10}):
        drawing = Figure(figsize=(WIDTH_IN, height))
        panels = drawing.subplots(max(1, len(pairs)), 1, sharex=True, squeeze=False)[:, 0]
        drawing.subplots_adjust(
            left=0.08, right=0.985, top=1 - 0.55 / height, bottom=0.5 / height, hspace=0.42
        )
        for panel, (real, model) in zip(panels, pairs, strict=False):
            _frame(panel, f"{real.name}: measured {real.verdict}, predicted {model.verdict}")
            _draw(panel, real, MEASURED)
            _draw(panel, model, PREDICTED)
            panel.set_ylim(bottom=0)
        panels[-1].set_xlabel("seconds from the trigger")
        handles = [
            panels[0].plot([], [], label=label, **look)[0]
            for label, look in (("measured", MEASURED), ("predicted", PREDICTED))
        ]
        drawing.legend(handles=handles, loc="upper right", ncols=2, frameon=False)
        drawing.suptitle("Connection attempts per second", x=0.08, ha="left", fontsize=11, color=INK)
    return drawing


def agreement_alt_text(measured: Sequence[Run], predicted: Sequence[Run]) -> str:
    """The figure in words: the highest second of each arm on either side."""
    parts = [
        f"{real.name}: at most {_peak(real)} measured, {_peak(model)} predicted"
        for real, model in _pairs(measured, predicted)
    ]
    return f"Connection attempts per second, predicted on top of measured. {'; '.join(parts)}."


def _pairs(measured: Sequence[Run], predicted: Sequence[Run]) -> list[tuple[ArmTraces, ArmTraces]]:
    models = {arm.name: arm for arm in traces(predicted)}
    return [(arm, models[arm.name]) for arm in traces(measured) if arm.name in models]


def _frame(panel: Axes, title: str) -> None:
    panel.set_title(title, loc="left", fontsize=9, color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GREY)
    panel.tick_params(colors=GREY, labelsize=8)
    panel.grid(axis="y", color=FAINT)


def _draw(panel: Axes, arm: ArmTraces, look: dict[str, Any]) -> None:
    trace = arm.trace("attempts")
    panel.fill_between(trace.at_s, trace.low, trace.high, color=look["color"], alpha=0.2, linewidth=0)
    panel.plot(trace.at_s, trace.median, **look)


def _peak(arm: ArmTraces) -> str:
    median: Seconds = arm.trace("attempts").median
    return units.per_second(float(np.nanmax(median)) if len(median) else None)
