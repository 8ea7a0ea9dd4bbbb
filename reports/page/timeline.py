"""The figure of a page in each size, and the script that shows its numbers."""

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from reports.figures.layout import NARROW, NORMAL, WIDE, Layout
from reports.figures.timeline import figure, svg
from reports.rundir.reader import Run
from reports.text import templating

LAYOUTS: dict[str, Layout] = {"normal": NORMAL, "wide": WIDE, "narrow": NARROW}
"""By the class that a page shows or hides them by."""
SCRIPT = "timeline.js"


class Drawing(Struct, frozen=True):
    """One figure, and where its panels are, in percent of its width and height."""

    size: str
    svg: Markup
    left: float
    right: float
    top: float
    bottom: float


def drawings(runs: Sequence[Run], alt: str) -> tuple[Drawing, ...]:
    """The figure in every size, `normal` first; no id occurs twice."""
    return tuple(_drawing(runs, alt, size, layout) for size, layout in LAYOUTS.items())


def script() -> Markup:
    """The page's only script."""
    # It belongs to this program, and has nothing in it from a run.
    return Markup((templating.TEMPLATES / SCRIPT).read_text(encoding="utf-8"))  # noqa: S704


def script_hash() -> str:
    """By which the page's policy lets that script run, and no other."""
    digest = hashlib.sha256(script().encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _drawing(runs: Sequence[Run], alt: str, size: str, layout: Layout) -> Drawing:
    drawn = figure(runs, layout)
    panels = drawn.subplotpars
    return Drawing(
        size,
        # matplotlib has escaped the names that are in it.
        Markup(svg(drawn, alt, prefix="" if layout == NORMAL else f"{size}-")),  # noqa: S704
        left=round(100 * panels.left, 3),
        right=round(100 * panels.right, 3),
        top=round(100 * (1 - panels.top), 3),
        bottom=round(100 * panels.bottom, 3),
    )
