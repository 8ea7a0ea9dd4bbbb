"""What the source files of a gateway say about it: ports, health checks, what clients have to send.

All of it is a guess from patterns, without running anything; the written file says so.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from scenarios.project.folder import Source

_QUOTE = "[\"'`]"
_COMMENTS = re.compile(r"(?m)^\s*(?://|#|\*|/\*).*$")

_READY = ("/readyz", "/ready", "/health/ready", "/readiness", "/healthz", "/health", "/api/health", "/status")
_ALIVE = ("/healthz", "/livez", "/health/live", "/liveness", "/live", "/alive", "/health", "/api/health")

_PORT_VARIABLES = (
    re.compile(r"process\.env(?:\.|\[[\"'])(\w*PORT\w*)"),
    re.compile(r"(?:environ(?:\.get)?|getenv)[\[(]\s*[\"'](\w*PORT\w*)[\"']"),
)
_DESTRUCTURED = re.compile(r"\{([^{}]*)\}\s*=\s*process\.env\b")
_PORT_NAME = re.compile(r"\b(\w*PORT\w*)\b(?=\s*(?:[,=:]|$))")
_FIXED_PORTS = (
    re.compile(r"\.listen\(\s*(\d{2,5})\b"),
    re.compile(r"\bport\s*[=:]\s*(\d{2,5})\b", re.IGNORECASE),
    re.compile(r"\.listen\(\(\s*[\"'][^\"']*[\"'],\s*(\d{2,5})\b"),
)
_AUTH = re.compile(r"handshake\.auth\b|\bauth\s*(?:\[|\.get\()")
_HEADER = re.compile(r"handshake\.headers\.(?!origin|host|cookie)(\w+)|HTTP_(AUTHORIZATION)\b")
_QUERY = re.compile(r"handshake\.query\b")
_NAMESPACE = re.compile(rf"\.of\(\s*{_QUOTE}(/[\w/.-]+){_QUOTE}|namespace\s*=\s*{_QUOTE}(/[\w/.-]+){_QUOTE}")
_PATH = (
    re.compile(rf"new\s+(?:Server|SocketIO\w*)\([^;]{{0,300}}?\bpath:\s*{_QUOTE}(/[\w/.~-]+){_QUOTE}"),
    re.compile(rf"socketio_path\s*=\s*{_QUOTE}(/?[\w/.~-]+){_QUOTE}"),
)
_HANDLED = (
    re.compile(rf"\b(?:socket|client|s)\.on\(\s*{_QUOTE}([\w:.-]+){_QUOTE}"),
    re.compile(rf"@\w+\.on\(\s*{_QUOTE}([\w:.-]+){_QUOTE}"),
    re.compile(r"@\w+\.event\b[^\n]*\n(?:async )?def (\w+)\("),
    re.compile(rf"@SubscribeMessage\(\s*{_QUOTE}([\w:.-]+){_QUOTE}"),
)
_BUILT_IN = {
    "connect",
    "connection",
    "connect_error",
    "disconnect",
    "disconnecting",
    "error",
}


class Hints(Struct, frozen=True, kw_only=True):
    """What was found; what is empty was not."""

    port_variables: tuple[str, ...] = ()
    """Names of the variables that are read for a port."""
    fixed_port: str = ""
    """`server.js listens on port 3000`."""
    ready_path: str = ""
    liveness_path: str = ""
    path: str = ""
    """Engine.IO path, where it is not `/socket.io/`."""
    namespaces: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    """What of a handshake is looked at: `auth`, `headers.authorization`, `query`."""
    handled: tuple[str, ...] = ()
    """Events of clients that are handled."""


def hints(sources: Sequence[Source]) -> Hints:
    """What these files say."""
    texts = {source.name: without_comments(source.text) for source in sources}
    whole = "\n".join(texts.values())
    quoted = set(re.findall(rf"{_QUOTE}(/[a-z/]{{1,24}}){_QUOTE}", whole))
    path = _first(pattern.search(whole) for pattern in _PATH)
    return Hints(
        port_variables=tuple(dict.fromkeys(_port_variables(whole))),
        fixed_port=_fixed_port(texts),
        ready_path=next((one for one in _READY if one in quoted), ""),
        liveness_path=next((one for one in _ALIVE if one in quoted), ""),
        path="" if path.strip("/") in {"", "socket.io"} else f"/{path.strip('/')}/",
        namespaces=_unique(_groups(_NAMESPACE.findall(whole))),
        auth=_auth(whole),
        handled=_unique(
            name for pattern in _HANDLED for name in pattern.findall(whole) if name not in _BUILT_IN
        ),
    )


def without_comments(text: str) -> str:
    """The text without lines that are nothing but a comment."""
    return _COMMENTS.sub("", text)


def _port_variables(text: str) -> Iterable[str]:
    for pattern in _PORT_VARIABLES:
        yield from pattern.findall(text)
    for inside in _DESTRUCTURED.findall(text):
        yield from _PORT_NAME.findall(inside)


def _fixed_port(texts: dict[str, str]) -> str:
    for name, text in texts.items():
        for pattern in _FIXED_PORTS:
            if match := pattern.search(text):
                return f"{name} listens on port {match[1]}"
    return ""


def _auth(text: str) -> tuple[str, ...]:
    found = ["auth"] if _AUTH.search(text) else []
    found += [f"headers.{name}" for name in _groups(_HEADER.findall(text))]
    found += ["query"] if _QUERY.search(text) else []
    return tuple(dict.fromkeys(one.lower() for one in found))


def _groups(matches: Iterable[tuple[str, ...]]) -> list[str]:
    return [next(filter(None, groups), "") for groups in matches]


def _first(matches: Iterable["re.Match[str] | None"]) -> str:
    return next((match[1] for match in matches if match), "")


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, names)))
