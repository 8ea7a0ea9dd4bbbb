"""The page of connection limits."""

import textwrap
from itertools import dropwhile, takewhile
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from scenarios.limits.registry import LIMITS, limit
from scenarios.proxies import envoy
from scenarios.proxies.added_lines import added_lines
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
    pod_settings: str
    """What it sets at the pods."""
    per_address: bool
    shared_ip: list[SharedIp]
    """What nginx does to clients behind one IP; empty where nginx refuses nothing."""


def entries() -> list[Entry]:
    """All limits, in the order of the registry."""
    return [_entry(name) for name in LIMITS]


def page() -> str:
    """The page in Markdown."""
    limits = entries()
    shared = shared_lines([entry.lines for entry in limits if entry.lines])
    own = [replace(entry, lines=entry.lines.removeprefix(shared).strip("\n")) for entry in limits]
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
    scenario = load(SCENARIO, [f"edge.limit={name}"])
    rules = edge_rules(scenario)
    settings = [
        f"{key} = {value:g}" for key, value in msgspec.structs.asdict(limits.admission).items() if value
    ]
    proxy = "the proxy" if all(rule.nodelay for rule in rules) else "nginx only"
    places = [place for place, applies in ((proxy, rules), ("the pod", settings)) if applies]
    return Entry(
        name=name,
        described=described(kind),
        parameters=parameters(kind),
        where=" and ".join(places) or "–",
        lines=added_lines(scenario),
        envoy_lines=envoy_lines(scenario) if rules and all(rule.nodelay for rule in rules) else "",
        pod_settings="\n".join(settings),
        per_address=any(rule.per_address for rule in rules),
        shared_ip=[shared_ip(rules, clients) for clients in GROUPS] if rules else [],
    )
