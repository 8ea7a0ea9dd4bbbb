"""Which client is in which group: by its number alone, so that all processes agree."""

from collections.abc import Sequence


class GroupOrder:
    """The groups of clients number 0, 1, 2, …; shares sum to 1.

    After any number of clients, each group is within one client of its share. Of the groups that may have the
    next client without exceeding that, the one that has to have it first gets it.
    Source: R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32 (1980).
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = shares
        self._slack = 1 - 1 / (2 * len(shares) - 2) if len(shares) > 1 else 1.0
        self._taken = [0] * len(shares)
        self._clients = 0

    def next(self) -> int:
        """The group of the next client."""
        self._clients += 1
        due = [
            (self._latest(group), group)
            for group, share in enumerate(self._shares)
            if share and share * self._clients - self._taken[group] >= 1 - self._slack - 1e-9
        ]
        _, chosen = min(due)
        self._taken[chosen] += 1
        return chosen

    def _latest(self, group: int) -> float:
        """Until how many clients a group can wait for its next one."""
        return (self._taken[group] + self._slack) / self._shares[group]
