"""Candidates drawn evenly from the whole space, and what is always tried beside them."""

from collections.abc import Mapping

from scenarios.scenario.model import Scenario
from scenarios.tuning.candidate import Candidate
from scenarios.tuning.space import (
    DIMENSIONS,
    POLICY_FAMILIES,
    add,
    anchors,
    candidate,
    stock_family,
)


def candidates(
    scenario: Scenario,
    scale: Mapping[str, float],
    *,
    trials: int,
    seed: int,
    client: str | None = None,
) -> list[Candidate]:
    """The anchors of a scenario, and so many others, drawn by a scrambled Sobol sequence.

    With a stock client, all others are options of it. Raises PolicyError.

    The sequence fills the space more evenly than independent draws do, whatever the number of trials.
    Two draws that come to the same settings count once.
    """
    families = (stock_family(client),) if client else POLICY_FAMILIES
    found = anchors(scenario, dict(scale), client)
    for point in _points(trials, seed):
        add(found, candidate(point, dict(scale), families))
    return found


def _points(count: int, seed: int) -> list[tuple[float, ...]]:
    if not count:
        return []
    # It takes a second to import, and nothing but a search needs it.
    from scipy.stats import qmc  # noqa: PLC0415

    sobol = qmc.Sobol(DIMENSIONS, scramble=True, rng=seed)
    # A whole power of two, as the sequence is made for, of which the first ones are taken.
    points = sobol.random_base2((count - 1).bit_length())
    return [tuple(point) for point in points[:count].tolist()]
