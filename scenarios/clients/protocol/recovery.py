"""Connection state recovery of Socket.IO 4.6 and later, from the client's side.

A server that has it gives each session a private id, the `pid`, and puts an offset behind the arguments of
each event. A client that comes back joins with both, in the payload of its CONNECT packet. A server that has
kept the session, and the event of that offset, sends the missed events and then the same `pid` again.
Source: socket.io-client 4.8, `lib/socket.ts`; socket.io-adapter 2.5, `lib/in-memory-adapter.ts`.
"""

from typing import Any

from scenarios.clients.protocol.packets import Event, Events, Joined, Other
from scenarios.clients.protocol.ticks import Tick


class Recovery:
    """What one client keeps of its sessions."""

    __slots__ = ("_offset", "_pid", "asked", "recovered")

    def __init__(self) -> None:
        self._pid = self._offset = ""
        self.asked = False
        """Whether its latest session asked for the state of the one before."""
        self.recovered = False
        """Whether it was given that."""

    def payload(self, auth: Any) -> Any:
        """What a client joins with that would join with `auth` alone; what `auth` names itself stays."""
        self.asked = bool(self._pid)
        if not self._pid:
            return auth
        kept = {"pid": self._pid, "offset": self._offset} if self._offset else {"pid": self._pid}
        return {**kept, **(auth or {})}

    def take(self, events: Events) -> Events:
        """Takes note of these; returns them with those that came before a join behind it."""
        found: list[Event] = []
        for event in events:
            found.append(event)
            if type(event) is Joined:
                self.recovered = bool(event.pid) and event.pid == self._pid
                self._pid = event.pid
                found += self.take(event.replayed)
            elif (type(event) is Tick or type(event) is Other) and event.offset and self._pid:
                self._offset = event.offset
        return tuple(found)
