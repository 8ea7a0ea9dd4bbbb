"""Arms side by side. The unit is a run, never a sample: an arm is as many values as it has valid runs."""

from collections.abc import Sequence

from msgspec import Struct

from reports.arms import ArmResult, alike, arm_result, standing
from reports.comparable import ComparisonError, by_arm, variables
from reports.headline import believe, effects, headline
from reports.record import Run

__all__ = ["ArmResult", "Comparison", "ComparisonError", "compare"]


class Comparison(Struct, frozen=True, kw_only=True):
    """What the arms say together. The first one is the reference."""

    arms: tuple[ArmResult, ...]
    variables: tuple[str, ...]
    """Keys of the scenario in which the arms differ."""
    winners: tuple[str, ...]
    """The best arm, and those that cannot be told from it; empty where no run is valid."""
    spread: bool
    """Ticks carried no time: what is called fan-out is the spread since the first receipt of a tick."""
    headline: str
    effects: tuple[str, ...]
    """What each variable alone changed."""
    believe: str
    """How far all of this can be trusted."""


def compare(runs: Sequence[Run]) -> Comparison:
    """Compares runs by arm; works for a single one as well.

    Raises ComparisonError where two of them must not be compared.
    """
    varied = variables(runs)
    arms = tuple(arm_result(name, group, varied) for name, group in by_arm(runs).items())
    ranked = sorted((arm for arm in arms if arm.valid), key=standing)
    winners = tuple(arm.name for arm in arms if ranked and alike(ranked[0], arm))
    return Comparison(
        arms=arms,
        variables=varied,
        winners=winners,
        spread=any(run.info.reference == "first receipt" for run in runs),
        headline=headline(arms, winners),
        effects=effects(arms, varied),
        believe=believe(arms, winners),
    )
