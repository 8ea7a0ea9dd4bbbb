"""What a limit of nginx counts by: variables, through all `map` and `geo` blocks that make them."""

import re
from collections.abc import Iterator

from msgspec import Struct

from scenarios.lint.nginx.site import Site
from scenarios.lint.nginx.tree import Directive

_VARIABLE = re.compile(r"\$\{?(\w+)")
_ADDRESS = {"binary_remote_addr", "remote_addr"}
_FORWARDED = re.compile(r"http_(x_forwarded_for|x_real_ip|true_client_ip|cf_connecting_ip|x_client_ip)")
_SAME = {
    "document_uri", "host", "hostname", "http_host", "proxy_host", "proxy_protocol_server_addr",
    "realip_remote_addr", "request_method", "request_uri", "scheme", "server_addr", "server_name",
    "server_port", "server_protocol", "uri",
}  # fmt: skip
"""Variables that all clients of a gateway have in common."""
_ONLY_NEW = {"arg_sid", "args", "request_uri", "http_upgrade", "arg_transport"}
"""Variables that tell a new connection from the requests that follow it."""


class Key(Struct, frozen=True, kw_only=True):
    """What a limit counts by."""

    text: str
    identity: frozenset[str]
    """The variables that its values are made of."""
    conditions: frozenset[str]
    """The variables that decide whether it is counted, or which of several values it has."""
    masked: bool
    """Whether a map takes a part of an address."""

    @property
    def single(self) -> bool:
        """Whether it is the same for all clients."""
        return self.identity <= _SAME

    @property
    def by_address(self) -> bool:
        """Whether it is the address that nginx sees."""
        return bool(self.identity & _ADDRESS)

    @property
    def forwarded(self) -> bool:
        """Whether it is an address that a request states itself."""
        return any(_FORWARDED.fullmatch(name) for name in self.identity)

    @property
    def only_new(self) -> bool:
        """Whether it may count new connections only."""
        return bool(self.conditions & _ONLY_NEW)


class Zone(Struct, frozen=True, kw_only=True):
    """A limit_req_zone or limit_conn_zone."""

    directive: Directive
    name: str
    size: str
    """As it is written."""
    key: Key
    rate_hz: float | None = None


def zones(site: Site, name: str) -> dict[str, Zone]:
    """The zones of `limit_req_zone` or `limit_conn_zone`, by their names."""
    makers = {maker.args[-1].lstrip("$"): maker for maker in _makers(site) if maker.args}
    found = {}
    for directive in site.root.everything():
        if directive.name == name and (zone := directive.option("zone")):
            own, _, size = zone.partition(":")
            found[own] = Zone(
                directive=directive,
                name=own,
                size=size,
                key=_key(directive.value, makers),
                rate_hz=_rate_hz(directive.option("rate") or ""),
            )
    return found


def _makers(site: Site) -> Iterator[Directive]:
    return (one for one in site.root.everything() if one.name in {"map", "geo", "split_clients"})


def _rate_hz(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,9})r/([sm])", text)
    return int(found[1]) / (60 if found[2] == "m" else 1) if found else None


def _key(text: str, makers: dict[str, Directive]) -> Key:
    identity: set[str] = set()
    conditions: set[str] = set()
    masked = False
    seen: set[str] = set()
    todo = [(name, True) for name in _VARIABLE.findall(text)]
    while todo:
        name, is_value = todo.pop()
        maker = makers.get(name)
        if maker is None or name in seen:
            (identity if is_value else conditions).add(name)
            continue
        seen.add(name)
        entries = maker.block or ()
        sources = _VARIABLE.findall(maker.args[0]) if len(maker.args) > 1 else ["remote_addr"]
        results = [found for entry in entries for word in entry.args for found in _VARIABLE.findall(word)]
        named = {found for entry in entries for found in re.findall(r"\(\?P?<(\w+)>", entry.name)}
        masked = masked or bool(named and "remote_addr" in " ".join(sources))
        todo += [(found, is_value) for found in results if found not in named]
        if named & {*results} or maker.name == "split_clients":
            # What a pattern takes out of the source is a part of it.
            todo += [(found, is_value) for found in sources]
        todo += [(found, False) for found in sources]
    return Key(text=text, identity=frozenset(identity), conditions=frozenset(conditions), masked=masked)
