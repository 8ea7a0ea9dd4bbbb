"""The page of connection limits."""

import textwrap
from itertools import dropwhile, takewhile
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LIMITS, LimitError, limit
from scenarios.proxies import envoy
from scenarios.proxies.added_lines import added_lines
from scenarios.proxies.registry import PROXIES
from scenarios.reference.docstrings import Described, described
from scenarios.reference.parameters import Parameter, parameters
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import edge_rules
from tools.pages.rendering import rendered
from tools.pages.shared_ip import SharedIp, shared_ip

SCENARIO = "mass-drop"
"""The scenario whose configuration the page shows; it decides on the rates that depend on one."""

GROUPS = (2, 10, 100)


class Entry(Struct, frozen=True):
    """One limit on the page."""

    name: str
    described: Described
    parameters: list[Parameter]
    where: str
    lines: str
    """What it adds to nginx's configuration."""
    envoy_lines: str
    """What counts at Envoy, and its bucket; empty where Envoy does not support it."""
    haproxy_lines: str
    """What it adds to HAProxy's configuration, where nginx does not support it."""
    pod_settings: str
    """What it sets at the pods."""
    by: str
    """What tells clients apart: `address`, `token`, or nothing."""
    shared_ip: list[SharedIp]
    """What nginx does to clients behind one IP; empty where nginx refuses nothing."""


def entries() -> list[Entry]:
    """All limits, in the order of the registry."""
    return [_entry(name) for name in LIMITS]


def page() -> str:
    """The page in Markdown."""
    limits = entries()
    shared = shared_lines([entry.lines for entry in limits if entry.shared_ip])
    own = [replace(entry, lines=entry.lines.replace(f"{shared}\n\n", "").strip("\n")) for entry in limits]
    return rendered("limits.md.j2", limits=own, shared=shared, scenario=SCENARIO)


def envoy_lines(scenario: Scenario) -> str:
    """What the rules of a scenario's limit count at Envoy, and the buckets for it."""
    files = envoy.render(scenario, listen="127.0.0.1:8080", pods=[], directory=Path("run"))
    after = dropwhile(lambda line: line.strip() != "descriptors:", files[envoy.ROUTES].splitlines())
    return textwrap.dedent("\n".join(takewhile(lambda line: "- match:" not in line, after)))


def shared_lines(texts: list[str]) -> str:
    """The whole lines with which all texts begin, up to the last empty one among them."""
    side_by_side = zip(*(text.splitlines() for text in texts), strict=False)
    lines = [line for line, *_ in takewhile(lambda each: len(set(each)) == 1, side_by_side)]
    last = max((number for number, line in enumerate(lines) if not line), default=0)
    return "\n".join(lines[:last])


def _entry(name: str) -> Entry:
    kind = LIMITS[name]
    limits = limit(name)
    supporting = [proxy for proxy in PROXIES if _supports(proxy, name)]
    scenario = load(SCENARIO, [f"edge.limit={name}", f"edge.proxy={supporting[0]}"])
    rules, added = edge_rules(scenario), added_lines(scenario)
    settings = [
        f"{key} = {value}" if isinstance(value, bool) else f"{key} = {value:g}"
        for key, value in msgspec.structs.asdict(limits.admission).items()
        if value
    ]
    proxy = "the proxy" if len(supporting) == len(PROXIES) else f"{' and '.join(supporting)} only"
    places = [place for place, applies in ((proxy, limits.at_proxy), ("the pod", settings)) if applies]
    tokens = any(rule.token for rule in rules)
    addresses = limits.admission.window_connections or any(rule.per_address for rule in limits.at_proxy)
    return Entry(
        name=name,
        described=described(kind),
        parameters=parameters(kind),
        where=" and ".join(places) or "–",
        lines=added if "nginx" in supporting else "",
        envoy_lines=envoy_lines(scenario) if rules and "envoy" in supporting else "",
        haproxy_lines="" if "nginx" in supporting else added,
        pod_settings="\n".join(settings),
        by="token" if tokens else "address" if addresses else "",
        shared_ip=[shared_ip(rules, clients) for clients in GROUPS] if rules and not tokens else [],
    )


def _supports(proxy: str, name: str) -> bool:
    try:
        limit_at(proxy, name)
    except LimitError:
        return False
    return True
