"""Which runs may be compared: those that differ only in the variables under study."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from reports.rundir.reader import Run
from reports.rundir.schema import RunInfo
from reports.rundir.toml import label

IGNORED_KEYS = frozenset(
    {"name", "summary", "folder", "matrix", "commands", "edge.port", "fleet.seed", "slo", "hypothesis"}
)
"""Keys of a scenario that change nothing about a result, or that differ between rounds on purpose."""

FIXED_KEYS = ("gateway.cpu", "phases.")
"""Keys that no comparison may vary: another way to spend CPU, or other stretches of time, are other units."""


EVENT = "event"
GROUP = "group"
NO_EVENT = "none"
EVENT_DEFAULTS = (("enabled", True), ("times", 1))
"""Fields that events have, and that say nothing where they have these values."""


class ComparisonError(ValueError):
    """Runs that must not be compared; the message names the key and both values."""


def studied(runs: Sequence[Run]) -> list[Run]:
    """The runs without their controls, which are no arms; controls alone are what is studied."""
    return [run for run in runs if not run.info.control] or list(runs)


def by_arm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each arm, both in the order in which they were started; controls are left out."""
    arms: dict[str, list[Run]] = {}
    for run in sorted(studied(runs), key=lambda run: run.info.started_utc):
        arms.setdefault(run.info.arm, []).append(run)
    return arms


def orders(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """In which order the arms ran, round by round; empty where that is not known, or no arm ran."""
    rounds: dict[int, dict[str, str]] = {}
    for run in studied(runs):
        if run.info.predicted:
            return []
        # Of a run that was repeated, the last attempt counts.
        started = rounds.setdefault(run.info.round, {})
        started[run.info.arm] = max(run.info.started_utc, started.get(run.info.arm, ""))
    if any(len(set(started.values())) < len(started) for started in rounds.values()):
        return []
    return [tuple(sorted(rounds[number], key=rounds[number].__getitem__)) for number in sorted(rounds)]


def variables(runs: Sequence[Run]) -> tuple[str, ...]:
    """The keys of the scenario in which the arms differ, where nothing else does. Raises ComparisonError.

    Within an arm all runs must have the same scenario; all runs must be measured, or all predicted, and share
    one machine, one set of versions and one moment of the trigger. Events that are not the same kind of event
    in all arms are one variable: `event.1` where it is one of them, `event` where it is several.
    """
    if not runs:
        raise ComparisonError("there is no run to compare")
    arms = by_arm(runs)
    first, *others = [run for arm in arms.values() for run in arm]
    for run in others:
        _same_info("kind of run", lambda info: {"predicted": info.predicted}, first, run)
        _same("machine", first.info.machine, run.info.machine, first, run)
        # A part that only one of them has, such as another proxy, is no other version of anything.
        shared = sorted(first.info.versions.keys() & run.info.versions.keys())
        _same_info("versions", partial(_some_versions, names=shared), first, run)
    for arm in arms.values():
        for run in arm[1:]:
            _same("scenario", settings(arm[0]), settings(run), arm[0], run)
    _same_trigger([first, *others])
    _same_reference([first, *others])
    heads = [settings(arm[0]) for arm in arms.values()]
    keys = list(dict.fromkeys(key for head in heads for key in head))
    varied = [key for key in keys if len({_canonical(head.get(key)) for head in heads}) > 1]
    for key in varied:
        if key.startswith(FIXED_KEYS):
            for arm in arms.values():
                fixed, found = heads[0].get(key), settings(arm[0]).get(key)
                _same("scenario", {key: fixed}, {key: found}, first, arm[0])
    fields = [field for key in varied for field in _fields(key, [head.get(key) for head in heads])]
    return _with_whole_events(fields)


def settings(run: Run) -> dict[str, Any]:
    """The scenario of a run as `section.key` → value, without the keys that do not matter.

    The events are numbered in the order of the scenario: `event.0.do`, `event.0.at_s`, `event.1.do`. Groups
    of the fleet have their names: `fleet.group.web.policy`.
    """
    flat: dict[str, Any] = {}
    for section, value in run.info.scenario.items():
        if section in IGNORED_KEYS:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{section}.{key}": item for key, item in value.items() if key != GROUP}
            for group in value.get(GROUP, ()):
                flat |= {f"{section}.{GROUP}.{group['name']}.{key}": item for key, item in group.items()}
        elif section == EVENT:
            for number, event in enumerate(value):
                flat |= {f"{EVENT}.{number}.{key}": item for key, item in event.items()}
        else:
            flat[section] = value
    return {key: value for key, value in flat.items() if key not in IGNORED_KEYS}


def setting(run: Run, variable: str) -> str:
    """The value of a variable in a run, as people name it; `none` where an event is not there.

    An event that is switched on or off is `scale` or `no scale`.
    """
    found = settings(run)
    if is_switch(variable):
        name = found.get(f"{_event_of(variable)}.do", NO_EVENT)
        return str(name) if found.get(variable, True) else f"no {name}"
    if variable in found:
        return label(found[variable])
    table, _, field = variable.rpartition(".")
    if isinstance(found.get(table), Mapping):
        return label(found[table].get(field))
    events = run.info.scenario.get(EVENT) or []
    if variable == EVENT:
        return " + ".join(map(_event_label, events)) or NO_EVENT
    if variable.startswith(f"{EVENT}.") and variable.count(".") == 1:
        number = int(variable.removeprefix(f"{EVENT}."))
        return _event_label(events[number]) if number < len(events) else NO_EVENT
    return label(None)


def is_switch(variable: str) -> bool:
    """Whether it says of an event that it happens at all."""
    return variable.startswith(f"{EVENT}.") and variable.endswith(".enabled")


def _event_label(event: Mapping[str, Any]) -> str:
    """`push_policy at 20 s policy=naive`, without what every event has anyway."""
    rest = [
        f"{key}={label(value)}"
        for key, value in event.items()
        if key not in {"do", "at_s"} and value is not None and (key, value) not in EVENT_DEFAULTS
    ]
    return " ".join([str(event.get("do")), f"at {event.get('at_s'):g} s", *rest])


def _fields(key: str, values: Sequence[Any]) -> list[str]:
    """What differs in a key: fields of a table such as `edge.nginx`, or the key itself.

    A table with a name, such as a limit, is one value; so is one that not all have.
    """
    if not all(isinstance(value, Mapping) and "name" not in value for value in values):
        return [key]
    fields = dict.fromkeys(field for value in values for field in value)
    return [
        f"{key}.{field}" for field in fields if len({_canonical(value.get(field)) for value in values}) > 1
    ]


def _with_whole_events(varied: Sequence[str]) -> tuple[str, ...]:
    """The variables, in which the fields of an event that is another one in another arm are one variable."""
    whole = {_event_of(key) for key in varied if key.startswith(f"{EVENT}.") and key.endswith(".do")}
    named = [
        (EVENT if len(whole) > 1 else _event_of(key)) if _event_of(key) in whole else key for key in varied
    ]
    return tuple(dict.fromkeys(named))


def _event_of(key: str) -> str:
    return ".".join(key.split(".")[:2]) if key.startswith(f"{EVENT}.") else key


def _same_trigger(runs: Sequence[Run]) -> None:
    """Refuses a run whose trigger came at another moment than that of the others, or not at all.

    Its phases would be others. A run that ended before its trigger does not count.
    """
    lasted = [run for run in runs if run.info.trigger_s is not None or run.info.status == "complete"]
    for run in lasted[1:]:
        _same_info("trigger", lambda info: {"trigger_s": info.trigger_s}, lasted[0], run)


def _same_reference(runs: Sequence[Run]) -> None:
    """Refuses latencies from the first receipt beside those from due times: they are other quantities.

    Due times by stamp and by a fitted schedule may be compared; see `one_reference.py`. Runs that received
    nothing have no latencies, and are compared with these.
    """
    for run in runs[1:]:
        if "first receipt" in {runs[0].info.reference, run.info.reference}:
            _same_info("ticks", lambda info: {"latencies count from": info.reference}, runs[0], run)


def _some_versions(info: RunInfo, names: Sequence[str]) -> dict[str, str]:
    return {name: info.versions[name] for name in names}


def _same_info(what: str, of: Callable[[RunInfo], Mapping[str, Any]], run: Run, other: Run) -> None:
    _same(what, of(run.info), of(other.info), run, other)


def _same(what: str, a: Mapping[str, Any], b: Mapping[str, Any], run: Run, other: Run) -> None:
    for key in dict.fromkeys([*a, *b]):
        if _canonical(a.get(key)) != _canonical(b.get(key)):
            raise ComparisonError(
                f"these runs cannot be compared: {what}: {key} is {a.get(key)!r} in {run.directory} "
                f"and {b.get(key)!r} in {other.directory}"
            )


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
