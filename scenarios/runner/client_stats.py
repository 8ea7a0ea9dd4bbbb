"""What is known of parts of the clients in each second: of those behind equally shared IPs, or of a group."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from scenarios.wire.interval import SomeClients
from scenarios.wire.merge import later_clients
from scenarios.wire.tick_counts import TickCounts


class ClientSeconds:
    """One table of a run directory. columns: what it has. key: the column that tells the parts apart."""

    def __init__(self, columns: Collection[str], key: str) -> None:
        self._columns, self._key = columns, key
        self._clients: dict[int, dict[int, SomeClients]] = {}
        self._ticks: dict[int, dict[int, TickCounts]] = {}
        """By the second of the due time, which may have been written already."""

    @property
    def seconds(self) -> set[int]:
        """The seconds that have rows."""
        return {*self._clients, *self._ticks}

    def add(
        self,
        second: int,
        clients: Mapping[int, SomeClients],
        ticks: Mapping[int, Mapping[int, TickCounts]],
    ) -> None:
        """Takes what the generator says of a second; ending a run cuts one in two parts."""
        self._clients[second] = later_clients(self._clients.get(second, {}), clients)
        for part, counts in ticks.items():
            for due_second, some in counts.items():
                known = self._ticks.setdefault(due_second, {})
                before = known.get(part)
                known[part] = some if before is None else before + some

    def rows(self, second: int) -> list[dict[str, Any]]:
        """A row for each part; of a second of which the generator told nothing, ticks may have been due."""
        clients, ticks = self._clients.get(second, {}), self._ticks.get(second, {})
        found = []
        for part in sorted({*clients, *ticks}):
            said = msgspec.structs.asdict(clients[part]) if part in clients else {}
            counts = ticks[part].columns() if part in ticks else {}
            row = {self._key: part, **said, **counts}
            found.append({name: value for name, value in row.items() if name in self._columns})
        return found
