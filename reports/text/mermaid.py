"""Charts as Mermaid's text, which GitHub and GitLab draw in comments: these cannot show a file of a job."""

from collections.abc import Sequence
from math import isfinite

from msgspec import Struct

DIGITS = 4
MARGIN = 0.05
"""Space above the lines, as a share of their height. The axis begins at 0: noise has to look like noise."""


class Line(Struct, frozen=True):
    """One line of a chart."""

    colour: str
    """As `#rrggbb`."""
    values: Sequence[float]


def line_chart(title: str, x_axis: str, y_axis: str, lines: Sequence[Line]) -> str:
    """A fenced block with a chart of values 1, 2, 3, …, as many as the shortest line has; empty where one of
    them is not finite, or a line has fewer than two.

    Mermaid draws no legend, no single point and no gap: the title has to name the colours.
    """
    length = min((len(line.values) for line in lines), default=0)
    lines = [Line(line.colour, line.values[:length]) for line in lines]
    values = [value for line in lines for value in line.values]
    if length < 2 or not all(map(isfinite, values)):
        return ""
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or 0.5
    bottom = min(0.0, low)
    palette = ", ".join(line.colour for line in lines)
    return "\n".join(
        [
            "```mermaid",
            f"%%{{init: {{'themeVariables': {{'xyChart': {{'plotColorPalette': '{palette}'}}}}}}}}%%",
            "xychart-beta",
            f'    title "{_quoted(title)}"',
            f'    x-axis "{_quoted(x_axis)}" [{", ".join(map(str, range(1, length + 1)))}]',
            f'    y-axis "{_quoted(y_axis)}" {_number(bottom)} --> {_number(high + margin)}',
            *(f"    line [{', '.join(map(_number, line.values))}]" for line in lines),
            "```",
        ]
    )


def _number(value: float) -> str:
    """Without an exponent, which Mermaid does not read."""
    return f"{float(f'{value:.{DIGITS}g}'):.9f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    """Text that ends neither its quotation marks nor the block, on one line."""
    return " ".join(text.replace('"', "'").replace("`", "'").split())
