"""What a user's nginx configuration has to say, and what it must not: a run stays on the loopback."""

import re
from collections.abc import Iterator

from scenarios.host.dns import is_loopback
from scenarios.proxies.own_nginx.configuration import Rendered
from scenarios.proxies.own_nginx.log import COMBINED, LogFormat, format_of
from scenarios.proxies.own_nginx.placeholders import CERTIFICATE, EXPECTED, KEY, LISTEN, PODS, Values
from scenarios.scenario.model import POD_HEADER, Scenario

DEFAULT_FORMAT = "storm"
_OWN = "combined"
"""What an access log has that names no format."""

_PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass")
_LOOPBACK = "this machine's loopback"


def complaints(rendered: Rendered, values: Values, scenario: Scenario, file: str) -> Iterator[str]:
    """What is wrong with it, each with its place. file: the user's, for what is missing."""
    yield from _missing(rendered, values, file)
    yield from _listens(rendered, values, scenario)
    yield from _leads_elsewhere(rendered)
    yield from _unlike_the_scenario(rendered, scenario, file)


def _missing(rendered: Rendered, values: Values, file: str) -> Iterator[str]:
    """Placeholders that are not there, or only in a comment."""
    used = {(one.name, arg) for one in rendered.statements for arg in one.args}
    arguments = {arg for _, arg in used}
    found = {
        LISTEN: ("listen", values.listen) in used,
        PODS: any(pod in argument for pod in values.pods for argument in arguments),
    }
    if values.certificate:
        found |= {
            CERTIFICATE: ("ssl_certificate", values.certificate) in used,
            KEY: ("ssl_certificate_key", values.certificate) in used,
        }
    for name, is_there in found.items():
        if not is_there:
            yield f"{file}: no {{{{ {name} }}}}: expected {EXPECTED[name]}"


def _listens(rendered: Rendered, values: Values, scenario: Scenario) -> Iterator[str]:
    for one in rendered.named("listen"):
        if not _is_local(_host_to_listen(one.args[0])):
            yield f"{one.place}: {one.text}: expected {{{{ listen }}}}, or an address of {_LOOPBACK}"
        if one.args[0] != values.listen:
            continue
        if scenario.edge.tls and "ssl" not in one.args:
            yield f"{one.place}: {one.text}: expected `listen {{{{ listen }}}} ssl;` with [edge.tls]"
        if not scenario.edge.tls and "ssl" in one.args:
            yield f"{one.place}: {one.text}: expected [edge.tls] in the scenario, or no ssl"
        proxied = scenario.fleet.source == "proxy-protocol"
        if proxied != ("proxy_protocol" in one.args):
            expected = "proxy_protocol with" if proxied else "no proxy_protocol without"
            yield f'{one.place}: {one.text}: expected {expected} fleet.source = "proxy-protocol"'
    for one in rendered.named("server"):
        inside = {each.name for each in one.block or ()}
        if one.block is not None and not inside & {"listen", "include"}:
            yield f"{one.place}: server without listen: expected one, on {{{{ listen }}}} or {_LOOPBACK}"


def _leads_elsewhere(rendered: Rendered) -> Iterator[str]:
    """A storm must not reach what nobody asked for."""
    upstreams = {one.args[0] for one in rendered.named("upstream")}
    for one in rendered.named("server", *_PASSES):
        if one.block is not None or "$" in one.args[0]:
            continue
        host = _host_of(one.args[0])
        if host not in upstreams and not _is_local(host):
            yield (
                f"{one.place}: {one.text}: leads to another host: expected {{{{ pods }}}}, or a service on"
                f" {_LOOPBACK}"
            )


def _unlike_the_scenario(rendered: Rendered, scenario: Scenario, file: str) -> Iterator[str]:
    headers = {one.args[:2] for one in rendered.named("add_header")}
    if scenario.numbered_per_pod and (POD_HEADER, "$upstream_addr") not in headers:
        yield (
            f"{file}: no header {POD_HEADER}: expected `add_header {POD_HEADER} $upstream_addr always;` in"
            " the location of the gateway, whose pods number their own ticks (feed.numbering)"
        )
    name = scenario.edge.nginx_log_format
    if not name:
        return
    found = kept_format(rendered, name)
    if found is None:
        yield f"edge.nginx_log_format: {file} has no access_log with a log_format {name}"
    elif complaint := found.complaint:
        yield f"edge.nginx_log_format: log_format {name}: {complaint}"


def kept_format(rendered: Rendered, name: str) -> LogFormat | None:
    """The format of that name, where an access log has it."""
    logs = (one for one in rendered.named("access_log") if one.args[0] != "off")
    if not any((one.args[1:2] or (_OWN,)) == (name,) for one in logs):
        return None
    defined = (format_of(one.args[1:]) for one in rendered.named("log_format") if one.args[0] == name)
    return next(defined, COMBINED if name == _OWN else None)


def _host_to_listen(address: str) -> str:
    return "*" if address.isdecimal() else _host_of(address)


def _host_of(address: str) -> str:
    """The host of `https://host:port/path`, `[::1]:80`, `unix:/path` or `host`."""
    address = re.sub(r"^\w+://", "", address)
    if address.startswith("unix:"):
        return "unix:"
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return re.split(r"[:/]", address, maxsplit=1)[0]


def _is_local(host: str) -> bool:
    return host == "unix:" or is_loopback(host)
