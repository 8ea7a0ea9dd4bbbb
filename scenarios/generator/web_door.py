"""Who may do what at Locust's web UI. Locust itself asks nobody: it takes any option from a form, lets any
web page read its answers, and starts load for whoever sends it a form.

A request is let in where its `Host` is one of ours, and, if it changes anything, where it does not come from
another web page. A form that starts a test says how many clients there are and for how long, but not where
they go.
"""

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from scenarios.fields import invalid

START = "locust.swarm"
CHANGING = frozenset({START, "locust.stop", "locust.reset_stats"})
"""Pages of Locust that change something and may be asked to."""
FORM_KEYS = frozenset(
    {"user_count", "spawn_rate", "run_time", "tags", "exclude_tags", "user_classes", "shape_class", "profile"}
)
"""What a form may set when it starts a test. `host` may be in it, if it is the target of this process."""

_LOCUST = "locust."
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded"})
_OWN_PAGE = frozenset({"same-origin", "none"})
"""What a browser says in `Sec-Fetch-Site` of our own page, and of an address that somebody typed."""


class Refusal(Struct, frozen=True):
    """A status of HTTP, and a line for whoever asked."""

    status: int
    reason: str


class Request(Struct, frozen=True, kw_only=True):
    """What is looked at in a request. page: Flask's name of what would answer; empty where nothing would.
    headers: by name in lower case."""

    method: str
    page: str = ""
    headers: Mapping[str, str]
    query: Collection[str] = ()
    content_type: str = ""
    form: Mapping[str, Sequence[str]] = {}


class Door(Struct, frozen=True, kw_only=True):
    """What is let in.

    names: hosts under which the web UI may be asked for, beside this machine's loopback. targets: how a form
    may spell the target of this process; it may name no other.
    """

    names: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()

    def refusal(self, request: Request) -> Refusal | None:
        """Why a request is turned away; None where it is not."""
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            return Refusal(
                421,
                invalid("Host", host, "this host's loopback, or a name given with --web-name"),
            )
        changes = request.method not in _READING or request.page in CHANGING
        if not changes:
            return None
        if another := _other_origin(request.headers, host):
            return Refusal(403, another)
        if request.page.startswith(_LOCUST) and request.page not in CHANGING:
            return Refusal(403, "not allowed: only tests can be started and stopped, and statistics reset")
        return self._form_refusal(request) if request.page == START else None

    def _is_ours(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname, parts.port
        except ValueError:
            return False
        # A user name, a path or a list of hosts would make it something else than it seems to be.
        if not name or parts.netloc != host or "@" in host:
            return False
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or str(address) in self.names

    def _form_refusal(self, request: Request) -> Refusal | None:
        if request.content_type not in _FORM_TYPES:
            return Refusal(415, invalid("Content-Type", request.content_type, "an HTML form"))
        if request.query:
            return Refusal(403, "query string: expected none; settings of a test are in its form")
        unknown = sorted(request.form.keys() - FORM_KEYS - {"host"})
        if unknown:
            return Refusal(403, f"{', '.join(unknown)}: only on the command line")
        if any(target not in self.targets for target in request.form.get("host", ())):
            return Refusal(403, "host: expected the target that this process was started with")
        return None


def host_names(web_host: str, given: Sequence[str], addresses: Sequence[str]) -> frozenset[str]:
    """The names of a `Door`. web_host: where the web UI listens. addresses: of this machine."""
    names = (web_host, *given, *addresses)
    return frozenset(name.lower() for name in names if name and name not in _ANYWHERE)


_ANYWHERE = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 - left out, because no page is asked for there


def _other_origin(headers: Mapping[str, str], host: str) -> str:
    """What shows that another web page has sent a request; empty where nothing does.

    Programs other than browsers send none of these headers. A browser leaves `Origin` out, or says `null`,
    where a page wants to hide itself; then `Sec-Fetch-Site` tells, or `Referer` where a browser has no such.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_PAGE:
        return invalid("Sec-Fetch-Site", site, "a page of this web UI")
    for name in ("origin", "referer"):
        sender = headers.get(name)
        if sender is not None and not _same_host(sender, host):
            return f"{name.capitalize()}: expected a page of this web UI"
    return ""


def _same_host(url: str, host: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()
