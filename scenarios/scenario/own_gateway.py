"""Checks what a scenario says about a gateway of the user's own, its publisher and its services."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from gateway_stub.protocol import Admission
from scenarios.events.exec import Exec
from scenarios.events.set_limit import SetLimit
from scenarios.fields import NameOrTable, invalid
from scenarios.limits.registry import limit
from scenarios.scenario.model import Feed, Gateway, Scenario
from scenarios.scenario.program import (
    STUB_KEYS,
    Program,
    allowed_complaints,
    command_complaint,
    variable_text,
    words_of,
)

OWN_KEYS = (
    "setup",
    "directory",
    "environment",
    "path",
    "ready_path",
    "liveness_path",
    "on_crash",
    "metrics",
)
"""Keys of `gateway` that belong to a command."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_-]*(?:\.[a-z_]+)?)\}")
"""A placeholder in a word or a variable. Other braces, such as those of JSON, are left alone."""
POD_PLACEHOLDERS = ("port", "pod", "host")
FEED_PLACEHOLDERS = ("rate_hz", "payload_bytes", "event")
RESERVED = ("gateway", "feed", *POD_PLACEHOLDERS, *FEED_PLACEHOLDERS)

_GATEWAY = Gateway()
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


def program_complaints(scenario: Scenario) -> Iterator[str]:
    """Everything that is wrong with the user's own programs, each beginning with the key."""
    gateway, feed = scenario.gateway, scenario.feed
    yield from _commands(scenario)
    yield from _ticks(scenario)
    if not gateway.command:
        yield from _without_command(scenario)
        return
    if scenario.target.url:
        yield "gateway.command: not supported together with target.url: expected one of the two"
    for key in STUB_KEYS:
        value = getattr(gateway, key)
        if value != getattr(_GATEWAY, key):
            yield invalid(
                f"gateway.{key}", value, "no such key with gateway.command; it sets the built-in stub"
            )
    yield from _paths(scenario)
    if feed.stall_signals != Feed().stall_signals and not feed.command:
        yield "feed.stall_signals: not supported without feed.command"
    yield from _limits(scenario)
    yield from _services(scenario)
    yield from _placeholders(scenario)


def _paths(scenario: Scenario) -> Iterator[str]:
    gateway = scenario.gateway
    paths = {f"gateway.{key}": getattr(gateway, key) for key in ("path", "ready_path", "liveness_path")}
    if gateway.metrics is not None:
        paths["gateway.metrics.path"] = gateway.metrics.path
    paths |= {f"service[{place}].ready_path": each.ready_path for place, each in enumerate(scenario.service)}
    for key, path in paths.items():
        if path and not _PATH.fullmatch(path):
            yield invalid(key, path, "a path that begins with /, of letters, digits and . _ ~ - /")


def programs(scenario: Scenario) -> Mapping[str, Program]:
    """All programs of the user's own, by their place in the scenario."""
    named = {f"service[{place}]": service for place, service in enumerate(scenario.service)}
    return {"gateway": scenario.gateway, "feed": scenario.feed, **named}


def _commands(scenario: Scenario) -> Iterator[str]:
    for place, program in programs(scenario).items():
        if complaint := command_complaint(f"{place}.command", program.command):
            yield complaint
        for name in program.environment:
            if not _VARIABLE.fullmatch(name):
                yield invalid(f"{place}.environment", name, "names of letters, digits and _")
    if complaint := command_complaint("gateway.setup", scenario.gateway.setup):
        yield complaint
    for number, event in enumerate(scenario.event):
        if isinstance(event, Exec):
            yield from allowed_complaints(f"event[{number}].command", event.command, scenario.commands.allow)


def _without_command(scenario: Scenario) -> Iterator[str]:
    for key in OWN_KEYS:
        value = getattr(scenario.gateway, key)
        if value != getattr(_GATEWAY, key):
            shown = {} if key == "environment" else value
            yield invalid(f"gateway.{key}", msgspec.to_builtins(shown), "gateway.command beside it")
    if scenario.fleet.recovery and not scenario.target.url:
        expected = "false with the built-in stub, which has no connection state recovery"
        yield invalid("fleet.recovery", scenario.fleet.recovery, expected)
    if scenario.feed.command:
        yield "feed.command: not supported without gateway.command: the built-in stub has a feed of its own"
    if scenario.service:
        yield "service: not supported without gateway.command: the built-in stub needs no service"


def _ticks(scenario: Scenario) -> Iterator[str]:
    """A schedule is fitted to numbers and stamps, and pods are told apart by a header of the run's proxy."""
    feed, external = scenario.feed, scenario.target.url
    stub = not scenario.gateway.command and not external
    if feed.numbering == "per-pod" and (stub or external):
        because = "the target is external" if external else "the pods of the built-in stub share one schedule"
        yield invalid("feed.numbering", feed.numbering, f"auto or shared; {because}")
    if feed.due != "schedule":
        return
    if stub:
        expected = "stamp; ticks of the built-in stub carry the due times of its schedule as their stamps"
        yield invalid("feed.due", feed.due, expected)
    for key in ("due_field", "seq_field"):
        if getattr(feed, key) == "":
            expected = 'a path, or left out, with feed.due = "schedule"; the fit needs stamps and numbers'
            yield invalid(f"feed.{key}", "", expected)


def limit_specs(scenario: Scenario) -> Iterator[tuple[str, NameOrTable]]:
    """(key, limit) of all limits at the proxy that a scenario names."""
    yield "edge.limit", scenario.edge.limit
    for place, event in enumerate(scenario.event):
        if isinstance(event, SetLimit):
            yield f"event[{place}].limit", event.limit


def _limits(scenario: Scenario) -> Iterator[str]:
    """Load shedding is the pods' work, and a rate for all clients follows from the cost of a handshake."""
    for key, spec in limit_specs(scenario):
        if limit(spec).admission != Admission():
            expected = "a limit at the proxy; your own gateway takes no orders to shed load"
            yield invalid(key, spec, expected)
        if any(rule.rate_per_s is None for rule in limit(spec).rules):
            expected = "a limit with rate_per_s; it follows from the CPU of a handshake only with the stub"
            yield invalid(key, spec, expected)


def _services(scenario: Scenario) -> Iterator[str]:
    seen: set[str] = set()
    for place, service in enumerate(scenario.service):
        if service.name in seen or service.name in RESERVED:
            yield invalid(
                f"service[{place}].name", service.name, f"a name that is not taken: {RESERVED[0]}, …"
            )
        if not service.command:
            yield f"service[{place}].command: missing: expected the program and its arguments"
        seen.add(service.name)


def _placeholders(scenario: Scenario) -> Iterator[str]:
    services = tuple(f"{service.name}.port" for service in scenario.service)
    known = {
        "gateway": (*POD_PLACEHOLDERS, *services),
        "feed": (*FEED_PLACEHOLDERS, *services, "gateway.ports"),
    }
    for place, program in programs(scenario).items():
        allowed = known.get(place, ("port", "host", *services))
        texts = {f"{place}.command": " ".join(words_of(program.command))}
        if place == "gateway":
            texts["gateway.setup"] = " ".join(words_of(scenario.gateway.setup))
        texts |= {
            f"{place}.environment.{name}": variable_text(value) for name, value in program.environment.items()
        }
        for key, text in texts.items():
            for name in PLACEHOLDER.findall(text):
                if name not in allowed:
                    expected = ", ".join(f"{{{one}}}" for one in allowed)
                    yield invalid(key, f"{{{name}}}", f"one of {expected}")
