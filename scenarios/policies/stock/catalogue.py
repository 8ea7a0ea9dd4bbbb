"""All stock clients by name; `socketio-js@4.8.4` and `socketio-js@4.8` name the version that was read."""

from collections.abc import Mapping

from scenarios.policies.stock import socketio
from scenarios.policies.stock.client import StockClient

STOCK: Mapping[str, type[StockClient]] = {
    "socketio-js": socketio.SocketIoJs,
    "socketio-java": socketio.SocketIoJava,
    "socketio-dart": socketio.SocketIoDart,
    "socketio-go": socketio.SocketIoGo,
    "socketio-swift": socketio.SocketIoSwift,
    "socketio-cpp": socketio.SocketIoCpp,
    "socketio-python": socketio.PythonSocketIO,
}


def versioned(name: str) -> str | None:
    """The name without its version; None where no stock client of that version is known."""
    plain, at, version = name.partition("@")
    kind = STOCK.get(plain)
    if not at or kind is None:
        return None
    return plain if f"{kind.version}.".startswith(f"{version}.") else None
