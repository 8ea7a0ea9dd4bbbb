"""Are the delays of a real client those of its model? Position by position, with fixed seeds."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

ALONE = 12
"""Attempts that are compared one by one; later ones in pools of a growing size."""
ATOM, ATOM_OF_FEW = 0.02, 0.1
"""A value that so large a share of clients waits exactly is compared by itself: in the model, and among the
real clients, who are fewer, so that some share a value by chance."""
MANY = 500
"""So many values show the bounds of a distribution."""
SOME = 40
"""So many values can have shares."""
EXACT_MS = 0.001
P_VALUE = 1e-4
SIGMAS = 4.5

Chains = Sequence[Sequence[float]]


def differences(real: Chains, model: Chains) -> list[str]:
    """How the two differ, a line each; none if they do not."""
    return [
        f"{where}: {problem}"
        for where, found, expected in _parts(real, model)
        for problem in (*_ends(found, expected), *_values(found, expected))
    ]


def _parts(real: Chains, model: Chains) -> Iterator[tuple[str, list[list[float]], list[list[float]]]]:
    """Both sides at each attempt, or pool of attempts: for each client what it has there."""
    longest = max((len(chain) for side in (real, model) for chain in side), default=0)
    start = 0
    while start < longest:
        end = start + 1 if start < ALONE else min(longest, start + max(88, start // 2))
        where = f"attempt {start}" if end == start + 1 else f"attempts {start} to {end - 1}"
        yield where, [list(chain[start:end]) for chain in real], [list(chain[start:end]) for chain in model]
        start = end


def _ends(found: list[list[float]], expected: list[list[float]]) -> Iterator[str]:
    """Clients that make the attempt, against those that have stopped."""
    share, other = (sum(len(part) > 0 for part in side) / len(side) for side in (found, expected))
    if not _near(share, other, len(found), len(expected)):
        yield f"{share:.1%} of the clients make it, {other:.1%} in the model"


def _values(found: list[list[float]], expected: list[list[float]]) -> Iterator[str]:
    real = np.round([value for part in found for value in part], 4)
    model = np.round([value for part in expected for value in part], 4)
    if not len(real) or not len(model):
        return
    if np.ptp(model) <= EXACT_MS:
        if np.abs(real - model[0]).max() > EXACT_MS:
            yield f"{real.min():g} to {real.max():g} ms, exactly {model[0]:g} ms in the model"
        return
    slack = 0.05 * float(np.ptp(model)) + EXACT_MS
    if len(model) >= MANY and (real.min() < model.min() - slack or real.max() > model.max() + slack):
        yield f"{real.min():g} to {real.max():g} ms, {model.min():g} to {model.max():g} ms in the model"
    if len(real) >= SOME:
        yield from _atoms(real.tolist(), model.tolist())
    # The approximation is one for large samples.
    test = stats.ks_2samp(real, model, method="asymp" if len(real) >= SOME else "exact")
    if test.pvalue < P_VALUE:
        yield f"other delays (Kolmogorov-Smirnov {test.statistic:.3f}, p = {test.pvalue:.1e})"


def _atoms(real: list[float], model: list[float]) -> Iterator[str]:
    """Values that many clients wait exactly, such as a cap."""
    counts, expected = Counter(real), Counter(model)
    for value in sorted({*counts, *expected}):
        share, other = counts[value] / len(real), expected[value] / len(model)
        large = other >= ATOM or share >= ATOM_OF_FEW
        if large and not _near(share, other, len(real), len(model)):
            yield f"{share:.1%} wait exactly {value:g} ms, {other:.1%} in the model"


def _near(share: float, other: float, size: int, other_size: int) -> bool:
    """Whether two shares of samples of these sizes may be the same."""
    pooled = (share * size + other * other_size) / (size + other_size)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / size + 1 / other_size))
    return abs(share - other) <= SIGMAS * deviation + 1e-12
