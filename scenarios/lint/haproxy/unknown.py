"""What a file of HAProxy's does not say: backends of other files, values that are filled in later."""

from collections.abc import Iterator

from scenarios.lint.finding import Finding, not_judged
from scenarios.lint.haproxy.parse import Section
from scenarios.lint.haproxy.site import Site
from scenarios.lint.placeholders import unknown

_DECIDING = (
    "timeout",
    "server",
    "maxconn",
    "balance",
    "cookie",
    "retries",
    "stick-table",
    "hard-stop-after",
    "mode",
)
"""What lines begin with that rules are about."""

NOT_JUDGED = not_judged("haproxy")
RULES = (NOT_JUDGED,)


def check(site: Site) -> Iterator[Finding]:
    """Each thing once."""
    known = {one.name for one in site.sections if one.kind in {"backend", "listen"}}
    for front in site.sections:
        for line in (*front.own("use_backend"), *front.own("default_backend")):
            name = line.after(line.words[0]) or ""
            if name and name not in known and front.kind != "defaults":
                where = "is chosen by the request" if "%[" in name else "is not in this file"
                yield NOT_JUDGED.at(line.place, f"backend {name} {where}")
    judged = (*site.fronts, *site.backs, *([site.process] if site.process and site.backs else []))
    sections = {each.place: each for one in judged for each in _with_defaults(one)}
    for section in sections.values():
        for line in section.lines:
            if line.words[0] in _DECIDING and any(map(unknown, line.words[1:])):
                yield NOT_JUDGED.at(line.place, f"{line.text} is filled in later")
    if site.assumed:
        yield NOT_JUDGED.at(
            site.backs[0].place,
            f"nothing here says WebSocket, and the only backend, {site.backs[0].name}, is taken for the"
            " gateway's",
            change="name the path of the gateway with --path, if there is one",
        )
    if site.backs and site.process is None:
        yield NOT_JUDGED.at(
            site.first,
            "this file is a part of a configuration: maxconn and other settings of global are elsewhere",
        )


def _with_defaults(section: Section) -> Iterator[Section]:
    owner: Section | None = section
    while owner is not None:
        yield owner
        owner = owner.defaults
