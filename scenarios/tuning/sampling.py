"""Candidates drawn evenly from the whole space, and what is always tried beside them."""

from collections.abc import Mapping

import numpy as np

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

_BITS = 30
_POWERS = 2 ** np.arange(_BITS, dtype=np.uint32)
_PRIMITIVE: tuple[tuple[int, tuple[int, ...]], ...] = (
    (0, (1,)),
    (1, (1, 3)),
    (1, (1, 3, 1)),
    (2, (1, 1, 1)),
    (1, (1, 1, 3, 3)),
    (4, (1, 3, 5, 13)),
    (2, (1, 1, 5, 5, 17)),
    (4, (1, 1, 5, 5, 5)),
    (7, (1, 1, 7, 11, 19)),
    (11, (1, 1, 5, 1, 1)),
    (13, (1, 1, 1, 3, 11)),
    (14, (1, 3, 5, 5, 31)),
    (1, (1, 3, 3, 9, 7, 49)),
    (13, (1, 1, 1, 15, 21, 21)),
    (16, (1, 3, 1, 13, 27, 49)),
)
"""Of the second and each further dimension: the inner coefficients of its primitive polynomial, as bits, and
its first direction numbers. Source: Joe and Kuo (2008), their table for two-dimensional projections."""
MOST_DIMENSIONS = len(_PRIMITIVE) + 1


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
    for point in sobol(DIMENSIONS, trials, seed):
        add(found, candidate(point, dict(scale), families))
    return found


def sobol(dimensions: int, count: int, seed: int) -> list[tuple[float, ...]]:
    """The first points of a Sobol sequence in the unit cube, scrambled by a random matrix and shift.

    dimensions: up to `MOST_DIMENSIONS`; count: up to 2³⁰. Returns (count, dimensions).

    Each direction number follows from those before it by a primitive polynomial (Joe and Kuo 2008); the
    matrices are lower triangular, so that the points lie as evenly as without them (Matoušek 1998). Same
    seed, same points, which are those of `scipy.stats.qmc.Sobol`.
    """
    (rng,) = np.random.default_rng(seed).spawn(1)
    shift = rng.integers(2, size=(dimensions, _BITS), dtype=np.uint32) @ _POWERS
    matrices = np.tril(rng.integers(2, size=(dimensions, _BITS, _BITS), dtype=np.uint32))
    matrices |= np.eye(_BITS, dtype=np.uint32)
    plain = np.array([_directions(number) for number in range(dimensions)], np.uint32)
    # Bit p of a scrambled number, from the highest one on, is the parity of row p times the plain number.
    bits = plain[:, :, None] >> np.arange(_BITS - 1, -1, -1, dtype=np.uint32) & 1
    parities = np.einsum("dpk,djk->djp", matrices, bits) & 1
    scrambled = (parities.astype(np.uint32) * _POWERS[::-1]).sum(axis=2, dtype=np.uint32)
    points = np.empty((count, dimensions), np.uint32)
    point = shift
    for number in range(count):
        points[number] = point
        # Gray code: from one point to the next, one direction changes, that of the lowest 0 of its number.
        point = point ^ scrambled[:, (~number & (number + 1)).bit_length() - 1]
    return [tuple(row) for row in (points * 0.5**_BITS).tolist()]


def _directions(dimension: int) -> list[int]:
    """The direction numbers of a dimension, each with its point before the highest of the bits."""
    if not dimension:
        return [1 << (_BITS - 1 - index) for index in range(_BITS)]
    polynomial, numbers = _PRIMITIVE[dimension - 1]
    degree = len(numbers)
    found = [*numbers]
    for index in range(degree, _BITS):
        number = found[index - degree] ^ (found[index - degree] << degree)
        for step in range(1, degree):
            if polynomial >> (degree - 1 - step) & 1:
                number ^= found[index - step] << step
        found.append(number)
    return [number << (_BITS - 1 - index) for index, number in enumerate(found)]
