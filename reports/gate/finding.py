"""What a gate found of one gauge, and how a ratio and a p are written."""

from typing import Literal

from msgspec import Struct

from reports.text import units

Answer = Literal["worse", "better", "not worse", "inconclusive"]


class Spread(Struct, frozen=True, kw_only=True):
    """One gauge over the runs of one side."""

    median: float | None
    """None where it never came."""
    low: float | None
    high: float | None
    at_least: bool
    """The median is only a lower bound."""
    text: str


class Finding(Struct, frozen=True, kw_only=True):
    """What was found of one gauge."""

    key: str
    name: str
    better: str
    least: str
    """The smallest worsening that matters."""
    answer: Answer
    why: str
    """The answer in a sentence, with its figures."""
    baseline: Spread
    candidate: Spread
    ratio: float | None
    """Candidate's median ÷ baseline's; None where that is no number."""
    ratio_low: float | None
    """Its exact interval."""
    ratio_high: float | None
    """None as well where the interval has no end."""
    ratio_never: bool
    """It has no end because runs of the candidate never came to it."""
    coverage: float | None
    """In what share of all cases such an interval holds the true ratio, at the least."""
    p: float | None
    """Of the test, corrected; None where none was needed, because nothing is worse by as much as matters."""
    more: int | None
    """How many more rounds would decide, as it looks now; None where it is decided, or where none would."""
    excluded: bool = False
    """A worsening was excluded, by this look or an earlier one, within its share of β."""


class Counted(Struct, frozen=True):
    """Runs of one side, by whether they can be trusted."""

    valid: int
    failed: int
    """INVALID for a reason that a change can cause, or never come about."""

    @property
    def share(self) -> float:
        """Of these runs, the failed ones."""
        return self.failed / (self.valid + self.failed) if self.failed else 0.0

    @property
    def values(self) -> list[float]:
        """1 for each failed run, 0 for each valid one."""
        return [1.0] * self.failed + [0.0] * self.valid


def ratio_text(
    ratio: float | None,
    low: float | None = None,
    high: float | None = None,
    coverage: float | None = None,
    *,
    never: bool = False,
) -> str:
    """`0.72× (0.70 to 0.74, 96 %)`; nothing without a ratio."""
    if ratio is None:
        return ""
    text = f"{ratio:.2f}{units.TIMES}"
    if low is None or coverage is None:
        return text
    end = f" to {high:.2f}" if high is not None else " to never" if never else " or more"
    return f"{text} ({low:.2f}{end}, {units.coverage(coverage)})"


def p_text(p: float | None) -> str:
    """`p 0.0043`, `p < 0.001`; nothing without a test."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"
