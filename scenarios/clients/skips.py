"""Which ticks each client has skipped: one that comes after all was not lost, and is no duplicate."""

_MOST = 10_000
"""Skipped ticks that are remembered of a client; of more, the rest counts as received before."""


class Skips:
    """Numbers of the ticks that clients have not received, although they have newer ones."""

    def __init__(self) -> None:
        self._of: dict[int, set[int]] = {}

    def add(self, client: int, held: int, seq: int) -> None:
        """A client that had tick `held` has received `seq`, and none in between."""
        if seq - held > 1:
            known = self._of.setdefault(client, set())
            known.update(range(held + 1, min(seq, held + 1 + _MOST - len(known))))

    def found(self, client: int, seq: int) -> bool:
        """A client has received an old tick; returns whether it had skipped it."""
        known = self._of.get(client)
        if not known or seq not in known:
            return False
        known.remove(seq)
        return True
