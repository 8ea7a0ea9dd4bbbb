"""Sizes in which the figure is drawn: letters stay the same, what lies between them gets wider."""

from msgspec import Struct


class Layout(Struct, frozen=True, kw_only=True):
    """The size of a figure in inches, and how it fills it."""

    width_in: float
    panels_in: float
    """Height of all panels with what lies between them; legend and labels come on top."""
    gap: float
    """Between two panels, as a share of their mean height."""
    legend_columns: int
    ticks: int
    """At most, on the axis of seconds."""
    stacked: bool = False
    """The second title of a panel stands below the first one, not beside it."""
    left_in: float = 0.75
    right_in: float = 0.15

    @property
    def left(self) -> float:
        """Where panels begin, as a share of the width."""
        return self.left_in / self.width_in

    @property
    def right(self) -> float:
        """Where panels end, as a share of the width."""
        return 1 - self.right_in / self.width_in

    @property
    def clock_pt(self) -> float:
        """Length of the axis of seconds in points."""
        return 72 * (self.width_in - self.left_in - self.right_in)


NORMAL = Layout(width_in=10.0, panels_in=11.2, gap=0.34, legend_columns=2, ticks=12)
"""For paper, for a page of a usual width, and alone."""
WIDE = Layout(width_in=14.0, panels_in=9.8, gap=0.42, legend_columns=4, ticks=24)
"""For wide screens: not higher than these."""
NARROW = Layout(
    width_in=4.4,
    panels_in=10.4,
    gap=0.52,
    legend_columns=1,
    ticks=6,
    stacked=True,
    left_in=0.6,
    right_in=0.1,
)
"""For phones: can be read without scrolling sideways."""
