"""What the rules assume of the clients, and how a path or a name shows that WebSockets go there."""

import re

from msgspec import Struct

from scenarios.scenario.model import Gateway

PING_INTERVAL_S = Gateway().ping_interval_s
PING_TIMEOUT_S = Gateway().ping_timeout_s
CONNECT_TIMEOUT_S = 20.0
"""After which socket.io-client gives up an attempt."""
POLLING_REQUESTS = 5
"""Requests with which a client connects that begins with polling and upgrades."""
FEW_SOCKETS = 2_000
"""A proxy with room for no more sockets is too small, unless `--clients` says how many there are."""
FEW_PER_ADDRESS = 20
"""An office or a mobile carrier has more clients than this behind one address."""
LONG_LIFE_S = 3_600.0
"""A WebSocket usually lives about this long, or longer."""

_WEBSOCKET = re.compile(
    r"socket\.?[-_]?io|engine\.?[-_]?io|web-?sockets?|sockjs|signalr|(?<![a-z0-9])(?:wss?|cable)(?![a-z0-9])",
    re.IGNORECASE,
)
_ENGINE_IO = re.compile(r"socket\.?[-_]?io|engine\.?[-_]?io", re.IGNORECASE)


class Clients(Struct, frozen=True, kw_only=True):
    """What the command line says of the clients."""

    paths: tuple[str, ...] = ()
    """More paths of the gateway; the others are recognised by their names."""
    number: int | None = None
    """None: not known."""
    websocket_only: bool = False
    """No client begins with polling."""

    @property
    def described(self) -> bool:
        """Whether anything is said of them: there is a gateway for sure."""
        return bool(self.paths) or self.number is not None or self.websocket_only

    def fit(self, sockets: int) -> bool:
        """Whether room for that number of sockets is enough."""
        return sockets > FEW_SOCKETS if self.number is None else sockets >= self.number

    def says_websocket(self, text: str) -> bool:
        """Whether a path, a pattern of paths, or a name is of WebSockets."""
        plain = text.replace("\\", "")
        return bool(_WEBSOCKET.search(plain)) or any(path in plain for path in self.paths)

    def says_engine_io(self, text: str) -> bool:
        """Whether it is a path of Engine.IO; one from the command line is, unless nobody polls there."""
        plain = text.replace("\\", "")
        named = any(path in plain for path in self.paths)
        return bool(_ENGINE_IO.search(plain)) or (named and not self.websocket_only)

    def says_polling(self, text: str) -> bool:
        """Whether it is a path of Engine.IO whose clients begin with polling."""
        return self.says_engine_io(text) and not self.websocket_only
