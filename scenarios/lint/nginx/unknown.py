"""What a file of nginx's does not say: other files, and values that are filled in later."""

from collections.abc import Iterator

from scenarios.lint.finding import Finding, not_judged
from scenarios.lint.nginx.site import Site
from scenarios.lint.nginx.tree import Directive, Scope
from scenarios.lint.placeholders import UNKNOWN, unknown

_DECIDING = (
    "proxy_pass", "proxy_read_timeout", "proxy_connect_timeout", "proxy_http_version", "proxy_set_header",
    "proxy_next_upstream", "proxy_buffering", "limit_req", "limit_conn", "real_ip_header", "set_real_ip_from",
    "worker_processes", "worker_connections", "worker_rlimit_nofile", "worker_shutdown_timeout",
    "ssl_session_timeout", "server", "limit_req_zone", "limit_conn_zone",
)  # fmt: skip
"""Directives whose values rules are about."""
_HEADERS = ("upgrade", "connection", "x-forwarded-for")

NOT_JUDGED = not_judged("nginx")
RULES = (NOT_JUDGED,)


def check(site: Site) -> Iterator[Finding]:
    """Each thing once."""
    includes = [one for scope in unsure(site) for one in scope.own("include") if one.unread]
    for one in {each.value: each for each in reversed(includes)}.values():
        yield NOT_JUDGED.at(one.place, _of_include(one, sum(each.value == one.value for each in includes)))
    for one in _values(site):
        yield NOT_JUDGED.at(one.place, f"{one.name} {' '.join(one.args)} is filled in later")
    for location in site.locations:
        if location.polling and location.upstream is None and _is_name(location.target):
            yield NOT_JUDGED.at(
                location.place,
                f"{location.name} leads to {location.target}, which is no upstream of this file: how many"
                " servers it stands for, and whether clients stay with one, is not known",
            )
    if site.locations and not site.whole:
        yield NOT_JUDGED.at(
            site.root.place,
            "this file is a part of a configuration: worker_connections and other settings of"
            " the process are elsewhere",
        )


def unsure(site: Site) -> list[Scope]:
    """The blocks around WebSockets, or around any proxy_pass if none is known, with includes not there."""
    inner = [one.scope for one in site.locations] or [
        scope for scope in site.root.inner() if scope.own("proxy_pass")
    ]
    found = {
        scope.place: scope
        for one in inner
        for scope in one.chain
        if any(each.unread for each in scope.own("include"))
    }
    return [*found.values()]


def _of_include(one: Directive, times: int) -> str:
    again = f" (and {times - 1} more)" if times > 1 else ""
    if one.value == UNKNOWN:
        return f"what stands here is filled in later{again}"
    return f"the included file {one.value} is not here{again}"


def _values(site: Site) -> Iterator[Directive]:
    """The directives around WebSockets, and of their upstreams, whose values are not known."""
    blocks = [scope for location in site.locations for scope in location.scope.chain]
    blocks += [one.scope for one in site.upstreams]
    blocks += [site.events] if site.events is not None and site.locations else []
    for block in {scope.place: scope for scope in blocks}.values():
        for one in block.own(*_DECIDING):
            named = one.name != "proxy_set_header" or one.value.lower() in _HEADERS
            if one.block is None and named and any(map(unknown, one.args)):
                yield one


def _is_name(host: str) -> bool:
    """Whether it is a plain name: an address, a domain and a name with a port stand for themselves."""
    return bool(host) and not any(character in host for character in ".:[$…")
