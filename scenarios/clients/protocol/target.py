"""Where the clients connect to: a URL made into an address, a request and, for TLS, a context."""

import ipaddress
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import h11
from msgspec import Struct
from msgspec.structs import replace

from scenarios.clients.protocol.session import Upgrade
from scenarios.fields import invalid
from scenarios.scenario.fleet.groups import Group
from scenarios.scenario.model import Fleet, Target
from scenarios.scenario.redact import shown_key
from scenarios.scenario.redact_text import HIDDEN, shown_url

DEFAULT_PATH = "/socket.io/"
_OURS = frozenset({"connection", "upgrade", "content-length", "content-type", "transfer-encoding"})
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class TargetError(ValueError):
    """A target that cannot be used; the message names the key, its value and what is expected."""


class Address(Struct, frozen=True):
    """One of the addresses of a gateway."""

    family: int
    address: tuple[str, int]


class Endpoint(Struct, frozen=True):
    """A gateway, resolved once: no client asks for a name again."""

    addresses: tuple[Address, ...]
    """All that its name stands for, in an order that depends on nothing else."""
    path: str
    """Engine.IO path, with its query."""
    upgrade: Upgrade
    tls: ssl.SSLContext | None
    server_name: str
    loopback: bool

    def for_group(self, group: Group) -> "Endpoint":
        """The same gateway as the clients of a group ask it."""
        path, _, query = self.path.partition("?")
        pairs = [*filter(None, [query]), *filter(None, [urlencode(group.query)])]
        whole = (group.path or path) + (f"?{'&'.join(pairs)}" if pairs else "")
        upgrade = Upgrade(self.upgrade.host, whole, self.upgrade.headers, protocol=group.protocol)
        return replace(self, path=whole, upgrade=upgrade)

    @property
    def family(self) -> int:
        """Of the first address."""
        return self.addresses[0].family

    @property
    def address(self) -> tuple[str, int]:
        """The first address."""
        return self.addresses[0].address


def resolve(target: Target, *, allow_remote: bool = False) -> Endpoint:
    """The endpoint of a target. Raises TargetError."""
    try:
        url = urlsplit(target.url)
        port = url.port
        wrong = url.scheme not in _PORTS or not url.hostname or port == 0
    except ValueError:
        wrong = True
    # Anything else in a request line would have to be escaped first.
    if wrong or not target.url.isascii() or " " in target.url:
        raise TargetError(
            invalid(
                "target.url",
                shown_url(target.url),
                "http://host:port or https://host:port, with path and query if not /socket.io/",
            )
        )
    if url.username is not None or url.fragment:
        raise TargetError(
            invalid(
                "target.url",
                shown_url(target.url),
                "a URL without user name and fragment; credentials go into target.auth or target.headers",
            )
        )
    port = port or _PORTS[url.scheme]
    assert url.hostname  # noqa: S101
    found = _resolved(url.hostname, port)
    elsewhere = next((each.address[0] for each in found if not _is_loopback(each)), None)
    if elsewhere is not None and not allow_remote:
        raise TargetError(
            f"target.url: {url.hostname} ({elsewhere}) is outside this host's loopback:"
            " expected --allow-remote, and only with the owner's permission"
        )
    path = (url.path if url.path.strip("/") else DEFAULT_PATH) + (f"?{url.query}" if url.query else "")
    headers = dict(target.headers)
    if target.cookies:
        more = [value for name, value in target.headers.items() if name.lower() == "cookie"]
        headers = {name: value for name, value in headers.items() if name.lower() != "cookie"}
        own = [f"{name}={value}" for name, value in target.cookies.items()]
        headers["Cookie"] = "; ".join([*more, *own])
    _check_headers(headers)
    return Endpoint(
        addresses=found,
        path=path,
        upgrade=Upgrade(url.netloc, path, headers),
        tls=_tls(target) if url.scheme in {"https", "wss"} else None,
        server_name=target.server_name or url.hostname,
        loopback=elsewhere is None,
    )


def addresses_for(endpoint: Endpoint, source: str) -> tuple[Address, ...]:
    """Where clients may go whose source addresses are made in that way."""
    if source != "proxy-protocol":
        return endpoint.addresses
    # The header names source and target in one family, and our sources are of the older one.
    return tuple(each for each in endpoint.addresses if each.family == socket.AF_INET)


def _resolved(host: str, port: int) -> tuple[Address, ...]:
    """The addresses of a host. Raises TargetError."""
    # A literal is taken as it is; of a name, those of a kind that this machine has itself.
    flags = 0 if _is_literal(host) else socket.AI_ADDRCONFIG
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        raise TargetError(f"target.url: host {host} cannot be resolved: {error}") from None
    found = {Address(family, (str(name), port)) for family, _, _, _, (name, *_) in answers}
    # Resolvers turn the order from one question to the next. The older family comes first.
    ordered = sorted(found, key=lambda each: (each.family != socket.AF_INET, _packed(each)))
    if all(map(_is_loopback, ordered)):
        # A name such as localhost has both; gateways on loopback mostly listen on the older one alone.
        ordered = [each for each in ordered if each.family == ordered[0].family]
    return tuple(ordered)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _packed(address: Address) -> bytes:
    return ipaddress.ip_address(address.address[0]).packed


def _is_loopback(address: Address) -> bool:
    return ipaddress.ip_address(address.address[0]).is_loopback


def source_of(fleet: Fleet, endpoint: Endpoint) -> str:
    """How source addresses are made, with `auto` decided. Raises TargetError for what cannot work."""
    binds = endpoint.loopback and endpoint.family == socket.AF_INET and _binds_to_all_of_127()
    if fleet.source == "auto":
        return "bind" if binds else "same"
    if fleet.source == "bind" and not binds:
        raise TargetError(
            invalid(
                "fleet.source",
                "bind",
                "proxy-protocol, x-forwarded-for or same; bind needs a target on 127.0.0.1, and Linux",
            )
        )
    if fleet.source == "proxy-protocol" and not addresses_for(endpoint, "proxy-protocol"):
        raise TargetError(
            invalid("fleet.source", "proxy-protocol", "another source for a target without an IPv4 address")
        )
    return fleet.source


def _check_headers(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        try:
            h11.Request(method="GET", target="/", headers=[("Host", "gateway"), (name, value)])
        except (h11.LocalProtocolError, UnicodeError):
            # What it says has the value in it.
            key = "target.cookies, or target.headers" if name == "Cookie" else "target.headers"
            raise TargetError(
                f"{key}: invalid header {shown_key(name)} = {HIDDEN}: expected names and values of HTTP"
            ) from None
        if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
            raise TargetError(invalid("target.headers", name, "headers that are not set by HTTP itself"))


def _binds_to_all_of_127() -> bool:
    return sys.platform.startswith("linux")


def _tls(target: Target) -> ssl.SSLContext:
    if target.ca_file and not Path(target.ca_file).is_file():
        raise TargetError(invalid("target.ca_file", target.ca_file, "a file with certificates"))
    try:
        context = ssl.create_default_context(cafile=target.ca_file or None)
    except (ssl.SSLError, OSError) as error:
        raise TargetError(f"target.ca_file: {target.ca_file}: {error}") from None
    context.set_alpn_protocols(["http/1.1"])
    if target.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
