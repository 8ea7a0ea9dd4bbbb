"""Checks a whole scenario, so that an error costs one line and no run.

An error names the file, the key, the invalid value and what is expected.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import msgspec

from scenarios.credentials.answers import CredentialsError, names_in
from scenarios.credentials.function import function_at
from scenarios.events.deploy import Deploy
from scenarios.events.event import Context, Event, common_complaint
from scenarios.events.registry import EVENTS
from scenarios.events.scale import Scale
from scenarios.fields import invalid
from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LimitError
from scenarios.policies.following import PolicyError
from scenarios.policies.registry import policy
from scenarios.scenario.edge.balance import balance_complaints
from scenarios.scenario.edge.complaints import nginx_conf_complaints, tls_complaints
from scenarios.scenario.edge.envoy import envoy_complaints
from scenarios.scenario.edge.haproxy import haproxy_complaints
from scenarios.scenario.edge.nginx import nginx_complaints
from scenarios.scenario.edge.stock import stock_complaints
from scenarios.scenario.explain import explain
from scenarios.scenario.fleet.groups import share_complaints
from scenarios.scenario.mesh import mesh_complaint
from scenarios.scenario.model import Scenario
from scenarios.scenario.own_gateway import program_complaints
from scenarios.scenario.program import command_complaint
from scenarios.scenario.redact_text import shown_url


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message is one line for the person who wrote it."""


def build(
    table: Mapping[str, Any], *, source: str, default_name: str = "", overridden: Sequence[str] = ()
) -> Scenario:
    """The scenario that a table describes.

    source: what an error message names. overridden: the keys that `--set` has put into the table.
    """
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(explain(error, table, source, overridden)) from None
    if not scenario.name:
        scenario = msgspec.structs.replace(scenario, name=default_name)
    _check_meaning(scenario, source)
    return scenario


def _check_meaning(scenario: Scenario, source: str) -> None:
    """Checks what depends on several keys."""

    def fail(key: str, value: object, expected: str) -> None:
        raise ScenarioError(f"{source}: {invalid(key, value, expected)}")

    groups = scenario.fleet.group
    for key, spec in (
        ("fleet.policy", scenario.fleet.policy),
        *(
            (f"fleet.group[{place}].policy", group.policy)
            for place, group in enumerate(groups)
            if group.policy is not None
        ),
        ("phases.rescue_policy", scenario.phases.rescue_policy),
    ):
        try:
            policy(spec)
        except PolicyError as error:
            raise ScenarioError(f"{source}: {key}: {error}") from None
    try:
        limit_at(scenario.edge.proxy, scenario.edge.limit)
    except LimitError as error:
        raise ScenarioError(f"{source}: edge.limit: {error}") from None
    complaint = mesh_complaint(scenario.mesh, target_url=scenario.target.url)
    if complaint:
        raise ScenarioError(f"{source}: mesh.{complaint}")

    # The first complaint is told: what follows may rest on what it is about.
    complaints = (share_complaints(groups), program_complaints(scenario), _credentials(scenario))
    for complaint in chain(*complaints, _edge(scenario)):
        raise ScenarioError(f"{source}: {complaint}")

    health = scenario.abort.health_url
    if health and not health.startswith(("http://", "https://")):
        fail("abort.health_url", shown_url(health), "http://… or https://…")
    if "@" in urlsplit(health).netloc:
        fail("abort.health_url", shown_url(health), "a URL without a user name; it would not be sent")
    _check_fleet(scenario, fail)
    for key, values in scenario.matrix.items():
        if not values:
            fail(f"matrix.{key}", list(values), "at least one value")
    if scenario.matrix and scenario.arms:
        raise ScenarioError(f"{source}: arms: not supported together with matrix: expected one of the two")
    _check_events(scenario, source, fail)
    _check_times(scenario, fail)


def _check_fleet(scenario: Scenario, fail: Callable[[str, object, str], None]) -> None:
    fleet = scenario.fleet
    served = sum(part.share for part in fleet.parts if part.is_served)
    fewest = math.ceil(round(1 / served, 6))
    if fleet.clients < fewest:
        fail("fleet.clients", fleet.clients, f"at least {fewest}, so that one can be served")
    if scenario.target.url:
        return
    if fleet.source == "x-forwarded-for":
        fail("fleet.source", "x-forwarded-for", "proxy-protocol; only an external target may trust a header")
    for place, group in enumerate(fleet.group):
        if not group.path:
            continue
        expected = "no path; the built-in stub has one for all"
        if scenario.own_gateway:
            expected = f"a path that begins with gateway.path, {scenario.gateway.path!r}, as the proxy does"
        if not (scenario.own_gateway and group.path.startswith(scenario.gateway.path)):
            fail(f"fleet.group[{place}].path", group.path, expected)


def _edge(scenario: Scenario) -> Iterator[str]:
    """What is wrong with the proxy's settings."""
    fleet, gateway, proxy = scenario.fleet, scenario.gateway, scenario.edge.proxy
    served = sum(part.share for part in fleet.parts if part.is_served)
    served_clients = round(fleet.clients * served)
    yield from stock_complaints(
        scenario.edge.defaults,
        proxy=proxy,
        target_url=scenario.target.url,
        served_clients=served_clients,
        envoy=scenario.edge.envoy_in_force,
    )
    yield from nginx_complaints(
        scenario.edge.nginx_in_force if proxy == "nginx" else scenario.edge.nginx,
        proxy=proxy,
        target_url=scenario.target.url,
        served_clients=served_clients,
    )
    yield from haproxy_complaints(
        scenario.edge.haproxy,
        proxy=proxy,
        target_url=scenario.target.url,
        served_clients=served_clients,
        counts_rates=bool(limit_at(proxy, scenario.edge.limit).rules),
    )
    yield from envoy_complaints(
        scenario.edge.envoy,
        proxy=proxy,
        target_url=scenario.target.url,
        served_clients=served_clients,
    )
    yield from tls_complaints(scenario)
    yield from nginx_conf_complaints(scenario)
    if not scenario.target.url and not scenario.edge.nginx_conf:
        polls = any(part.fleet.transport == "polling-upgrade" for part in fleet.parts)
        yield from balance_complaints(gateway.balance, proxy=proxy, polls=polls, pods=gateway.pods)


def _credentials(scenario: Scenario) -> Iterator[str]:
    """What is wrong with the source of credentials, or with the place for them."""
    target = scenario.target
    said = {"auth": target.auth, "headers": target.headers, "cookies": target.cookies}
    asked, key = target.credentials, "target.credentials"
    if asked is None:
        return
    if asked.function and asked.command:
        yield f"{key}.command: not supported together with {key}.function: expected one of the two"
    elif not asked.function and not asked.command:
        yield f"{key}: neither function nor command: expected one of the two"
    try:
        if asked.function:
            function_at(asked.function)
    except CredentialsError as error:
        yield f"{key}.function: {str(error).removeprefix(': ')}"
    if complaint := command_complaint(f"{key}.command", asked.command):
        yield complaint
    if not any(names_in(value) for value in said.values()):
        places = ", ".join(f"target.{name}" for name in said)
        yield f"{key}: nothing uses the answers: expected a placeholder, {{token}}, in a value of {places}"


def _check_events(scenario: Scenario, source: str, fail: Callable[[str, object, str], None]) -> None:
    # An index is never used again, so a deploy adds as many as there are pods.
    deploys = sum(event.times for event in scenario.event if isinstance(event, Deploy))
    scales = [event.pods for event in scenario.event if isinstance(event, Scale)]
    pods = max([scenario.gateway.pods, *scales]) * (1 + deploys)
    context = Context(
        pods=pods,
        proxy=scenario.edge.proxy,
        own_gateway=scenario.own_gateway,
        publisher=bool(scenario.feed.command),
        liveness=bool(scenario.gateway.liveness_path) or not scenario.own_gateway,
        tls=scenario.edge.tls is not None,
        nginx_conf=bool(scenario.edge.nginx_conf),
        groups=tuple(group.name for group in scenario.fleet.group),
    )
    for place, event in enumerate(scenario.event):
        if scenario.target.url and not event.any_target:
            others = ", ".join(name for name, kind in EVENTS.items() if kind.any_target)
            fail(f"event[{place}].do", event.name, f"{others}; the target is external")
        complaint = common_complaint(event) or event.complaint(context)
        if complaint:
            raise ScenarioError(f"{source}: event[{place}].{complaint}")


def _check_times(scenario: Scenario, fail: Callable[[str, object, str], None]) -> None:
    phases, trigger = scenario.phases, scenario.trigger_s
    last = phases.rescue_at_s if trigger is not None and phases.rescue_at_s else phases.duration_s
    for place, event in enumerate(scenario.event):
        if event.enabled and event.at_s >= last:
            expected = f"less than {last:g}, where the run ends or the rescue begins"
            fail(f"event[{place}].at_s", event.at_s, expected)
    if trigger is not None:
        if trigger < 1:
            fail("event[].at_s", trigger, "at least 1, so that there is a baseline before it")
        if trigger + phases.during_s > phases.duration_s:
            fail("phases.during_s", phases.during_s, f"at most {phases.duration_s - trigger:g}")
        low, high = trigger + phases.during_s + 1, phases.duration_s - phases.rescue_s
        if phases.rescue_at_s and not low <= phases.rescue_at_s <= high:
            fail("phases.rescue_at_s", phases.rescue_at_s, f"0 for none, or from {low:g} to {high}")
        for place, event in enumerate(scenario.event):
            over_s = _over_s(event, phases.rescue_at_s) if event.enabled and event.kind == "fault" else 0
            if over_s > phases.rescue_at_s > 0:
                expected = f"0 for none, or at least {over_s:g}, when event[{place}], {event.name}, is over"
                fail("phases.rescue_at_s", phases.rescue_at_s, expected)


def _over_s(event: Event, before_s: float) -> float:
    """When the last action that begins before that time is over; of random times the first one counts."""
    last_s = event.at_s
    if event.every_s is not None and not isinstance(event.every_s, tuple):
        more = math.ceil((before_s - event.at_s) / event.every_s) - 1
        last_s += min(more, event.times - 1) * event.every_s
    return last_s + event.lasts_s
