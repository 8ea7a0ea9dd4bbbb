"""Everything that `explain` can explain, from the registries and the docstrings."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from reports.rundir.slo_metrics import SLO_METRICS
from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.limits.registry import LIMITS
from scenarios.lint.lint import RULES
from scenarios.policies.registry import POLICIES
from scenarios.policies.stock.catalogue import STOCK
from scenarios.reference.docstrings import Described, described
from scenarios.reference.examples import example
from scenarios.reference.keys import Key, keys, tables
from scenarios.reference.parameters import Parameter, parameters, written
from scenarios.reference.result_topics import result_topics
from scenarios.reference.topic import Topic

PAGES = {
    "fleet.policy": "policies.md",
    "edge.limit": "limits.md",
    "edge.nginx_conf": "your-own-nginx.md",
    "edge.nginx_log_format": "your-own-nginx.md",
    "edge": "../nginx/README.md",
    "edge.nginx": "edge.md",
    "edge.haproxy": "edge.md#settings-of-haproxy",
    "edge.envoy": "edge.md#settings-of-envoy",
    "mesh": "mesh.md#settings",
    "event": "events.md",
    "commands": "events.md#exec",
    "slo": "rehearsals.md#hypothesis-and-slos",
    "hypothesis": "rehearsals.md#hypothesis-and-slos",
    "phases": "reading-a-report.md#phases",
    "gateway": "your-own-gateway.md",
    "feed": "your-own-gateway.md",
    "service": "your-own-gateway.md",
    "target": "your-own-gateway.md#external",
    "abort": "your-own-gateway.md#external",
}
"""The page of docs/ that has more on a key, or on the keys of a table."""

CHOICES = {
    "policy": [*POLICIES, "module:function"],
    "rescue_policy": [*POLICIES, "module:function"],
    "limit": [*LIMITS, "several joined by +"],
    "metric": [*SLO_METRICS],
}
"""What keys choose from that are names."""

OTHER_KEYS = "writing-scenarios.md"


def topics() -> list[Topic]:
    """All topics, group by group."""
    return [*_keys(), *_events(), *_policies(), *_limits(), *_rules(), *result_topics()]


def _keys() -> Iterator[Topic]:
    for table in tables():
        if table.path:
            text = described(table.kind)
            yield Topic(
                name=table.path,
                kind=f"table {table.heading}",
                group="tables",
                says=_says(text),
                parameters=tuple(parameters(table.kind)),
                more=_page(table.path),
            )
    for key in keys().values():
        if key.holds is None:
            yield _of_key(key)


def _of_key(key: Key) -> Topic:
    parameter = key.parameter
    return Topic(
        name=key.path,
        kind=f"key of {key.table.heading}" if key.table.path else "key of a scenario file",
        group="keys",
        says=key.meaning,
        facts={**_facts(parameter), **_names(parameter.name)},
        example=_example(key),
        more=_page(key.path),
    )


def _example(key: Key) -> str:
    default = key.parameter.default
    if default in (None, "", (), {}):
        return ""
    setting = f"{key.parameter.name} = {written(default)}"
    return f"{key.table.heading}\n{setting}" if key.table.path else setting


def _events() -> Iterator[Topic]:
    for name, kind in EVENTS.items():
        own = tuple(parameters(kind, without=Event.__struct_fields__))
        yield Topic(
            name=name,
            kind=f"event, a {kind.kind}",
            group="events",
            says=_says(described(kind)),
            facts={
                "your own gateway": kind.own_gateway,
                "external target": "yes" if kind.any_target else "no",
            },
            parameters=own,
            example=example(kind),
            more=f"events.md#{name}",
        )
        yield from _parameters(name, "event", own, f"events.md#{name}")


def _policies() -> Iterator[Topic]:
    for name, (kind, defaults) in POLICIES.items():
        page = "clients.md" if name in STOCK else "policies.md"
        yield from _entry(name, "policy", "policies", kind, defaults, "[fleet]\npolicy = ", page)


def _limits() -> Iterator[Topic]:
    for name, kind in LIMITS.items():
        yield from _entry(name, "limit", "limits", kind, {}, "[edge]\nlimit = ", "limits.md")


def _rules() -> Iterator[Topic]:
    for rule in RULES.values():
        yield Topic(
            name=rule.name,
            kind=f"rule of lint, severity {rule.severity.word}",
            group="rules of lint",
            says=f"{rule.happens[0].upper()}{rule.happens[1:]}.",
            facts={"change": rule.change},
            source=rule.source,
            more=f"lint.md#{rule.name}",
        )


def _entry(
    name: str,
    what: str,
    group: str,
    kind: type[Struct],
    defaults: Mapping[str, Any],
    setting: str,
    page: str,
) -> Iterator[Topic]:
    text, own = described(kind), tuple(parameters(kind, defaults=defaults))
    known = {each.name: each.default for each in own if each.default not in (None, ())}
    last = dict([*known.items()][-1:])
    yield Topic(
        name=name,
        kind=what,
        group=group,
        says=text.sentence,
        formula=text.formula,
        notes=text.notes,
        source=text.source,
        parameters=own,
        example=f"{setting}{written({'name': name, **last} if last else name)}",
        more=f"{page}#{name}",
    )
    yield from _parameters(name, what, own, f"{page}#{name}")


def _parameters(owner: str, what: str, own: tuple[Parameter, ...], more: str) -> Iterator[Topic]:
    for parameter in own:
        yield Topic(
            name=f"{owner}.{parameter.name}",
            kind=f"parameter of the {what} {owner}",
            group="",
            says=parameter.meaning,
            facts={**_facts(parameter), **_names(parameter.name)},
            more=more,
        )


def _facts(parameter: Parameter) -> dict[str, str]:
    facts = {"type": parameter.allowed.replace("`", ""), "unit": parameter.unit}
    facts["default"] = parameter.written_default.replace("`", "")
    return {name: text for name, text in facts.items() if text}


def _names(key: str) -> dict[str, str]:
    return {"names": ", ".join(CHOICES[key])} if key in CHOICES else {}


def _says(text: Described) -> str:
    return f"{text.sentence} {' '.join(text.notes.split())}".strip()


def _page(path: str) -> str:
    beginnings = [path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1)]
    return next((PAGES[beginning] for beginning in beginnings if beginning in PAGES), OTHER_KEYS)
