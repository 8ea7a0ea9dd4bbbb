"""The result of one measure in a gate."""

from typing import Literal

from msgspec import Struct

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
    """The result of one measure."""

    key: str
    name: str
    better: str
    least: str
    """The minimum effect."""
    answer: Answer
    why: str
    """The result in a sentence, with its figures."""
    baseline: Spread
    candidate: Spread
    ratio: float | None
    """Candidate's median ÷ baseline's; None where that is no number."""
    ratio_low: float | None
    """Its exact interval."""
    ratio_high: float | None
    """None as well where the interval has no end."""
    ratio_never: bool
    """It has no end because runs of the candidate never reached it."""
    coverage: float | None
    """The least probability that the interval contains the true ratio."""
    p: float | None
    """Of the test, adjusted; None where the difference is below the minimum effect: then none is made."""
    more: int | None
    """Estimate of the further rounds needed to decide; None where it is decided, or where none would."""
    excluded: bool = False
    """A regression was excluded, by this interim analysis or an earlier one, within its share of β."""
    accepted: str = ""
    """Why it may be worse; empty where nobody has accepted it, or where there is nothing to accept."""


class Counted(Struct, frozen=True):
    """Runs of one side, by whether they can be trusted."""

    valid: int
    failed: int
    """INVALID for a reason that a change can cause, or never recorded."""

    @property
    def share(self) -> float:
        """Of these runs, the failed ones."""
        return self.failed / (self.valid + self.failed) if self.failed else 0.0

    @property
    def values(self) -> list[float]:
        """1 for each failed run, 0 for each valid one."""
        return [1.0] * self.failed + [0.0] * self.valid
