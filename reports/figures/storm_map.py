"""The figure of a load × trigger map: a cell for each load and size of the trigger.

Cells differ by their region in colour and in lightness, so that the figure also works in grey, and by their
verdict in the mark and the word that stand in them. All cells are equally large, whatever lies between two
values; the lines S1 = 1 and S2 = 1 run between the middles of cells and are carried on to the edge.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from reports.analysis.verdict import VerdictName
from reports.compare.map_text import numbers_text, outcome_text, tally_text
from reports.compare.storm_map import REGIONS, Cell, Region, StormMap, value_text
from reports.figures.palette import GREY, INK

LIGHT_INK = "#ffffff"
FILLS: dict[Region, str] = {
    "stable": "#dceefa",
    "vulnerable": "#f2bd3f",
    "metastable": "#b84a00",
    "overloaded": "#3d3d3d",
    "unknown": "#ffffff",
}
DARK_FILLS: frozenset[Region] = frozenset({"metastable", "overloaded"})
HATCHED: frozenset[Region] = frozenset({"unknown"})
HATCH = "////"
HATCH_COLOUR = "#c9c9c9"
MARKS: dict[VerdictName | None, str] = {
    "STEADY": "o",
    "RECOVERED": "o",
    "SLOW_DRAIN": "^",
    "FLAPPING": "D",
    "METASTABLE": "X",
    "OUTAGE": "s",
    "INVALID": "",
    None: "",
}
CELL_WIDTH_IN, CELL_HEIGHT_IN, LEGEND_LINE_IN = 1.45, 1.0, 0.2
FEWEST_CELLS = 4
"""Across; with fewer the cells are wider, so that there is room for the legend."""
LINES = (("S1", "s1", "-"), ("S2", "s2", (0, (4, 1.6))))

FAR = 9.0
"""ln of the largest S that is drawn, and of the smallest: infinity has no place between two cells."""

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.8,
    # The key of a scenario is text, whatever is in it.
    "text.parse_math": False,
}

Floats = NDArray[np.float64]


def map_figure(found: StormMap) -> Figure:
    """The map: load to the right, trigger upwards."""
    across, up = len(found.loads), len(found.triggers)
    present = {cell.region for column in found.cells for cell in column}
    regions = [region for region in REGIONS if region in present]
    head, foot = 0.35, 0.8 + LEGEND_LINE_IN * max(len(regions), len(LINES))
    width, height = CELL_WIDTH_IN * max(across, FEWEST_CELLS) + 1.0, CELL_HEIGHT_IN * up + head + foot
    with mpl.rc_context(_STYLE):
        drawing = Figure(figsize=(width, height))
        panel = drawing.add_axes(
            (0.85 / width, foot / height, 1 - 1.0 / width, CELL_HEIGHT_IN * up / height),
            xlim=(-0.5, across - 0.5),
            ylim=(-0.5, up - 0.5),
        )
        for i, column in enumerate(found.cells):
            for j, cell in enumerate(column):
                _draw_cell(panel, i, j, cell)
        lines = [_draw_line(panel, found, *line) for line in LINES]
        _axes(panel, found)
        _legend(drawing, regions, lines, (foot - 0.6) / height)
    return drawing


def map_alt_text(found: StormMap) -> str:
    """What the figure shows, for those who cannot see it."""
    parts = []
    for point, column in zip(found.loads, found.cells, strict=True):
        cells = "; ".join(
            f"{found.trigger_key} {value_text(cell.trigger)}: {outcome_text(cell)}, {numbers_text(cell)}"
            for cell in column
        )
        parts.append(f"{found.load_key} {value_text(point.value)} is {point.region} ({cells})")
    return f"A map of load against the size of the trigger, {found.trigger}. {'. '.join(parts)}."


def level_line(numbers: Sequence[Sequence[float | None]]) -> tuple[Floats, Floats, Floats]:
    """Places across, places up, and ln S there, for `numbers[i][j]` in the middle of cell (i, j).

    The outermost places are the edges of the map, half a cell further out, with ln S carried on in a straight
    line. S is close to a power of load and trigger, so its logarithm bends least between two cells. NaN where
    a number is not known.
    """
    known = np.array([[np.nan if number is None else number for number in column] for column in numbers])
    with np.errstate(divide="ignore"):
        logs = np.clip(np.log(known), -FAR, FAR)
    for axis in (0, 1):
        logs = np.moveaxis(logs, axis, 0)
        before, after = 1.5 * logs[0] - 0.5 * logs[1], 1.5 * logs[-1] - 0.5 * logs[-2]
        logs = np.moveaxis(np.concatenate([before[None], logs, after[None]]), 0, axis)
    across, up = (np.array([-0.5, *range(size - 2), size - 2.5]) for size in logs.shape)
    return across, up, logs


def _draw_cell(panel: Axes, i: int, j: int, cell: Cell) -> None:
    hatched = cell.region in HATCHED
    panel.add_patch(
        Rectangle(
            (i - 0.5, j - 0.5),
            1,
            1,
            facecolor=FILLS[cell.region],
            hatch=HATCH if hatched else None,
            edgecolor=HATCH_COLOUR if hatched else "none",
            linewidth=0,
        )
    )
    panel.add_patch(Rectangle((i - 0.5, j - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=2.5))
    ink = LIGHT_INK if cell.region in DARK_FILLS else INK
    mark = MARKS[cell.verdict]
    if mark:
        panel.plot(
            [i],
            [j + 0.29],
            marker=mark,
            markersize=10,
            color=ink,
            markeredgecolor=FILLS[cell.region],
            markeredgewidth=1.5,
            zorder=4,
        )
    words = outcome_text(cell).split(",")[0]
    lines = [(words, 9.0, "bold", 0.03), (numbers_text(cell), 8.0, "normal", -0.18)]
    if cell.valid > 1:
        lines.append((tally_text(cell), 8.0, "normal", -0.36))
    # The lines of S1 and S2 pass behind words and mark.
    behind = {"facecolor": FILLS[cell.region], "edgecolor": "none", "pad": 0.8}
    for text, size, weight, height in lines:
        panel.text(
            i,
            j + height,
            text,
            ha="center",
            va="center",
            fontsize=size,
            fontweight=weight,
            color=ink,
            bbox=behind,
            zorder=5,
        )


def _draw_line(panel: Axes, found: StormMap, name: str, field: str, dashes: Any) -> tuple[Line2D, str]:
    """Draws S = 1, and returns its line and words for the legend."""
    across, up, logs = level_line([[getattr(cell, field) for cell in column] for column in found.cells])
    look: dict[str, Any] = {"color": INK, "linewidth": 2.2, "linestyle": dashes}
    handle = Line2D([], [], **look)
    known = logs[~np.isnan(logs)]
    if not known.size:
        return handle, f"{name} is not known"
    if known.min() > 0 or known.max() <= 0:
        return handle, f"{name} is {'above' if known.min() > 0 else 'at most'} 1 everywhere"
    lines = panel.contour(
        across, up, np.ma.masked_invalid(logs.T), levels=[0.0], colors=[INK], linewidths=2.2, zorder=3
    )
    lines.set_linestyle([dashes])
    # A rim, for the line to be seen on dark cells and beside letters.
    lines.set_path_effects([withStroke(linewidth=4.6, foreground="white")])
    return handle, f"{name} = 1"


def _axes(panel: Axes, found: StormMap) -> None:
    panel.set_xticks(range(len(found.loads)), [value_text(point.value) for point in found.loads])
    panel.set_yticks(range(len(found.triggers)), [value_text(size) for size in found.triggers])
    panel.set_xlabel(f"load: {found.load_key}")
    panel.set_ylabel(f"trigger: {found.trigger_key} ({found.trigger})")
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    for i, point in enumerate(found.loads):
        panel.text(
            i,
            len(found.triggers) - 0.42,
            point.region,
            ha="center",
            va="bottom",
            fontweight="bold",
            fontsize=10,
        )


def _legend(
    drawing: Figure, regions: Sequence[Region], lines: Sequence[tuple[Line2D, str]], top: float
) -> None:
    """What the fills mean, on the left, and the lines, on the right."""
    patches = [
        Patch(
            facecolor=FILLS[region],
            edgecolor=HATCH_COLOUR if region in HATCHED else GREY,
            hatch=HATCH if region in HATCHED else None,
            linewidth=0.5,
        )
        for region in regions
    ]
    handles, words = zip(*lines, strict=True)
    look: dict[str, Any] = {"frameon": False, "fontsize": 9, "handlelength": 2.6, "borderaxespad": 0.2}
    texts = [f"{region}: {REGIONS[region]}" for region in regions]
    drawing.legend(patches, texts, loc="upper left", bbox_to_anchor=(0.01, top), **look)
    drawing.legend(handles, words, loc="upper right", bbox_to_anchor=(0.99, top), **look)
