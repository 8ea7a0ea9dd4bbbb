"""Colours and lines of the figures.

Arms differ in colour (Okabe and Ito's, which colour-blind people can tell apart) and in line style, so that
the figures also work in grey.
"""

from typing import Any

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (1.4, 1.2)),
    (0, (9, 2)),
    (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5)),
    (0, (3, 1.2, 1.2, 1.2)),
)
"""As many as there are colours, so that two arms that share a line share their colour, too."""
GROUP = "arms-"
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e4e4e4"

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": FAINT,
    # A name is text, whatever is in it.
    "text.parse_math": False,
}
"""What all charts over two axes have in common, for matplotlib."""


def colour(arm: int) -> str:
    """Of the arm with this index."""
    return COLOURS[arm % len(COLOURS)]


def look(arm: int) -> dict[str, Any]:
    """Colour and line style of the arm with this index."""
    return {"color": colour(arm), "linestyle": LINES[arm % len(LINES)]}


def group(*arms: int) -> str:
    """Id of the groups, in a figure, of what belongs to the arms with these indices and to no other."""
    return f"{GROUP}{'-'.join(map(str, arms))}"
