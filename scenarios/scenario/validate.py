"""Checks all of a scenario, so that a mistake costs one line and no run.

A mistake names the file, the key, what was found and what is expected.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from scenarios.events.event import Context, common_complaint
from scenarios.events.registry import EVENTS
from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LimitError
from scenarios.policies.registry import PolicyError, policy
from scenarios.scenario.explain import explain
from scenarios.scenario.mesh import mesh_complaint
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact_text import shown_url


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message is one line for the person who wrote it."""


def build(table: Mapping[str, Any], *, source: str, default_name: str = "") -> Scenario:
    """The scenario that a table describes; `source` is what an error message names."""
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(explain(error, table, source)) from None
    if not scenario.name:
        scenario = msgspec.structs.replace(scenario, name=default_name)
    _check_meaning(scenario, source)
    return scenario


def _check_meaning(scenario: Scenario, source: str) -> None:
    """What single bounds cannot say."""

    def fail(key: str, found: object, allowed: str) -> None:
        raise ScenarioError(f"{source}: key {key}: found {found}, allowed: {allowed}")

    for key, spec in (
        ("fleet.policy", scenario.fleet.policy),
        ("phases.rescue_policy", scenario.phases.rescue_policy),
    ):
        try:
            policy(spec)
        except PolicyError as error:
            raise ScenarioError(f"{source}: key {key}: {error}") from None
    try:
        limit_at(scenario.edge.front, scenario.edge.limit)
    except LimitError as error:
        raise ScenarioError(f"{source}: key edge.limit: {error}") from None
    complaint = mesh_complaint(scenario.mesh, target_url=scenario.target.url)
    if complaint:
        key, found, allowed = complaint
        fail(f"mesh.{key}", found, allowed)

    health = scenario.abort.health_url
    if health and not health.startswith(("http://", "https://")):
        fail("abort.health_url", repr(shown_url(health)), "http://… or https://…")
    if "@" in urlsplit(health).netloc:
        fail("abort.health_url", repr(shown_url(health)), "a URL without a user name; nobody would send it")
    if scenario.fleet.source == "x-forwarded-for" and not scenario.target.url:
        fail("fleet.source", "'x-forwarded-for'", "proxy-protocol; only a foreign target may trust a header")
    polls_own_pods = scenario.fleet.transport == "polling-upgrade" and not scenario.target.url
    if polls_own_pods and scenario.gateway.pods > 1 and scenario.gateway.balance != "hash":
        allowed = "'hash' with polling clients and several pods: all requests of a session go to one pod"
        fail("gateway.balance", repr(scenario.gateway.balance), allowed)
    for key, values in scenario.matrix.items():
        if not values:
            fail(f"matrix.{key}", "no values", "at least one")
    if scenario.matrix and scenario.arms:
        fail("arms", "arms beside a matrix", "one of the two")
    _check_events(scenario, fail)
    _check_times(scenario, fail)


def _check_events(scenario: Scenario, fail: Callable[[str, object, str], None]) -> None:
    pods = max([scenario.gateway.pods, *(getattr(event, "pods", 0) for event in scenario.event)])
    context = Context(pods=pods, proxy=scenario.edge.front)
    for place, event in enumerate(scenario.event):
        if scenario.target.url and not event.any_target:
            others = ", ".join(name for name, kind in EVENTS.items() if kind.any_target)
            fail(f"event[{place}].do", repr(event.name), f"{others}; the target is not ours")
        complaint = common_complaint(event) or event.complaint(context)
        if complaint:
            key, found, allowed = complaint
            fail(f"event[{place}].{key}", repr(found), allowed)


def _check_times(scenario: Scenario, fail: Callable[[str, object, str], None]) -> None:
    phases, trigger = scenario.phases, scenario.trigger_s
    last = phases.rescue_at_s if trigger is not None and phases.rescue_at_s else phases.duration_s
    for place, event in enumerate(scenario.event):
        if event.enabled and event.at_s >= last:
            allowed = f"below {last:g}, where the run ends or the rescue begins"
            fail(f"event[{place}].at_s", event.at_s, allowed)
    if trigger is not None:
        if trigger < 1:
            fail("event[].at_s", trigger, "1 or more, so that there is a baseline before it")
        if trigger + phases.during_s > phases.duration_s:
            fail("phases.during_s", phases.during_s, f"up to {phases.duration_s - trigger:g}")
        low, high = trigger + phases.during_s + 1, phases.duration_s - phases.rescue_s
        if phases.rescue_at_s and not low <= phases.rescue_at_s <= high:
            fail("phases.rescue_at_s", phases.rescue_at_s, f"0 for none, or from {low:g} to {high}")
