"""Reads a scenario file and checks all of it, so that a mistake costs one line and no run.

A mistake names the file, the key, what was found and what is allowed.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from scenarios.events.event import Context, common_complaint
from scenarios.events.registry import EVENTS
from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LimitError
from scenarios.policies.registry import PolicyError, policy
from scenarios.scenario.mesh import mesh_complaint
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import (
    shown_arms,
    shown_at,
    shown_key,
    shown_override,
    shown_text,
    shown_url,
    told_apart,
)
from scenarios.scenario.toml import read_value, split_override, steps

CATALOG = Path(__file__).parents[1] / "catalog"

# The steps of a path in a msgspec error: `.key`, `[index]`, or `[...]` for a value of a dictionary.
_STEP = re.compile(r"\.\w+|\[\d+\]|\[\.\.\.\]")


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message is one line for the person who wrote it."""


def catalog() -> dict[str, Path]:
    """The built-in scenarios, by name."""
    return {path.stem: path for path in sorted(CATALOG.glob("*.toml"))}


def load(name_or_path: str, overrides: Iterable[str] = ()) -> Scenario:
    """The scenario of that name in the catalogue, or in that file, with `key=value` overrides applied."""
    path = catalog().get(name_or_path, Path(name_or_path))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScenarioError(
            f"{name_or_path}: no such scenario; built-in: {', '.join(catalog())}, or give a file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:  # Besides its own error: an endless number or nesting.
        raise ScenarioError(f"{path}: not valid TOML: {error}") from None
    source = str(path)
    for override in overrides:
        key, value = parse_override(override)
        shown = f"--set {shown_override(override)}"
        set_key(table, key, value, source=shown)
        source += f" with {shown}"
    scenario = build(table, source=source, default_name=path.stem)
    arms(scenario, source=source)
    return scenario


def build(table: Mapping[str, Any], *, source: str, default_name: str = "") -> Scenario:
    """The scenario that a table describes; `source` is what an error message names."""
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(_explain(error, table, source)) from None
    if not scenario.name:
        scenario = msgspec.structs.replace(scenario, name=default_name)
    _check_meaning(scenario, source)
    return scenario


def arms(scenario: Scenario, *, source: str = "matrix") -> dict[str, Scenario]:
    """The scenarios that `[matrix]` crosses or `[arms]` names, by label; without either, the one alone."""
    crossed: dict[str, dict[str, Any]] = {"": {}}
    if scenario.arms:
        crossed = dict(zip(shown_arms(scenario.arms), scenario.arms.values(), strict=True))
    for key, values in scenario.matrix.items():
        labels = [_label(key, value) for value in values]
        if len(set(labels)) < len(labels):
            raise ScenarioError(
                f"{source}: key matrix.{shown_key(key)}: found a value twice, allowed: each value once"
            )
        # Two values that differ in a secret alone are two arms as well.
        labels = told_apart([_label(shown_key(key), shown_at(steps(key), value)) for value in values])
        crossed = {
            f"{before} + {label}" if before else label: {**settings, key: value}
            for before, settings in crossed.items()
            for label, value in zip(labels, values, strict=True)
        }
    result = {}
    for label, settings in crossed.items():
        table = msgspec.json.decode(msgspec.json.encode(scenario))
        table["matrix"] = table["arms"] = {}
        for key, value in settings.items():
            set_key(table, key, value, source=f"{source}: matrix")
        result[label or shown_text(scenario.name)] = build(table, source=source)
    return result


def parse_override(text: str) -> tuple[str, Any]:
    """`fleet.clients=1000` as key and value; the value is TOML, or else plain text."""
    parts = split_override(text)
    if parts is None:
        raise ScenarioError(
            f"--set {shown_override(text)}: found no key=value, allowed: for example fleet.clients=1000"
        )
    key, raw = parts
    value = read_value(raw)
    if value == raw and "\n" in raw:
        raise ScenarioError(
            f"--set {shown_override(text)}: found a line break, allowed: one key and its value"
        )
    return key, value


def set_key(table: dict[str, Any], dotted: str, value: Any, *, source: str) -> None:
    """Puts `value` at `a.b.c`, making tables on the way; a step into a list is a place: `event.0.share`."""
    *parents, last = steps(dotted)
    dotted = shown_key(dotted)
    place: Any = table
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else _entry(place, parent)
        if not isinstance(place, dict | list):
            raise ScenarioError(
                f"{source}: key {dotted}: found no table at {shown_key(parent)}, allowed: keys in tables"
            )
    if isinstance(place, dict):
        place[last] = value
    elif _entry(place, last) is None:
        raise ScenarioError(
            f"{source}: key {dotted}: found {shown_key(last)}, allowed: a place from 0 to {len(place) - 1}"
        )
    else:
        place[int(last)] = value


def _entry(entries: list[Any], place: str) -> Any:
    """What is at a place of a list; None where there is no such place."""
    return entries[int(place)] if place.isdecimal() and int(place) < len(entries) else None


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


def _label(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{key.rpartition('.')[2]}={str(value).lower()}"
    if isinstance(value, dict):
        rest = " ".join(f"{key}={item}" for key, item in value.items() if key != "name")
        return f"{value.get('name', '')} {rest}".strip()
    return str(value)


def _explain(error: msgspec.ValidationError, table: Mapping[str, Any], source: str) -> str:
    message, _, path = str(error).partition(" - at `$")
    dotted = ""
    found: Any = table
    kind: Any = Scenario
    places: list[str | int] = []
    for step in _STEP.findall(path):
        kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if step == "[...]":  # msgspec does not say which key of a dictionary.
            kind = get_args(kind)[1]
            key = next(key for key, value in found.items() if not _fits(value, kind))
            name = shown_text(key) if places == ["arms"] else shown_key(key)
            places.append(key)
            dotted, found = f'{dotted}."{name}"', found[key]
        elif step.startswith("["):
            places.append(int(step[1:-1]))
            dotted, found, kind = dotted + step, found[int(step[1:-1])], _element_type(kind)
            if isinstance(found, dict) and found.get("do") in EVENTS:
                kind = EVENTS[found["do"]]
        else:
            found = found.get(step[1:])
            places.append(step[1:])
            dotted, kind = dotted + step, _field_type(kind, step[1:])
    dotted = dotted.removeprefix(".")
    if "unknown field" in message:
        unknown = shown_key(message.split("`")[1])
        where = f"{dotted}.{unknown}" if dotted else unknown
        fields = ", ".join(getattr(kind, "__struct_fields__", ()))
        fields += ", do" if dotted.startswith("event[") else ""
        return f"{source}: key {where}: found an unknown key, allowed: {fields}"
    if "missing required field" in message:
        missing = message.split("`")[1]
        return f"{source}: key {dotted}.{missing}: found nothing, allowed: a value; it is required"
    allowed = message.removeprefix("Expected ").replace("`", "")
    literal = get_args(kind) if str(get_origin(kind)).endswith("Literal") else ()
    if dotted.endswith(".do"):
        literal = tuple(EVENTS)
    if literal:
        allowed = ", ".join(map(repr, literal))
    return f"{source}: key {dotted or '(top level)'}: found {shown_at(places, found)!r}, allowed: {allowed}"


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _element_type(kind: Any) -> Any:
    """What a tuple holds, however deep it is in unions and annotations."""
    if get_origin(kind) is tuple:
        return get_args(kind)[0]
    return next((found for part in get_args(kind) if (found := _element_type(part)) is not None), None)


def _field_type(kind: Any, key: str) -> Any:
    if not hasattr(kind, "__struct_fields__"):
        return None  # the name in a table that could be of several types
    return next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == key), None)
