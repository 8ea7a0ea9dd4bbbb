"""Which runs may be set side by side: those that differ only in what is being studied."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from reports.record import Run

IGNORED_KEYS = frozenset({"name", "summary", "matrix", "edge.port", "fleet.seed"})
"""Keys of a scenario that change nothing about a result, or that differ between rounds on purpose."""

FIXED_KEYS = ("gateway.cpu", "phases.")
"""Keys that no comparison may vary: another way to spend CPU, or other stretches of time, are other units."""


class ComparisonError(ValueError):
    """Runs that must not be compared; the message names the key and both values."""


def by_arm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each arm, both in the order in which they were started."""
    arms: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.info.started_utc):
        arms.setdefault(run.info.arm, []).append(run)
    return arms


def variables(runs: Sequence[Run]) -> tuple[str, ...]:
    """The keys of the scenario in which the arms differ, where nothing else does. Raises ComparisonError.

    Within an arm all runs must have the same scenario; all runs must share one machine and one set of
    versions.
    """
    if not runs:
        raise ComparisonError("there is no run to compare")
    first = runs[0]
    for run in runs[1:]:
        _same("machine", first.info.machine, run.info.machine, first, run)
        _same("versions", first.info.versions, run.info.versions, first, run)
        ours, theirs = ({"latencies count from": one.info.reference} for one in (first, run))
        _same("ticks", ours, theirs, first, run)
    arms = by_arm(runs)
    for arm in arms.values():
        for run in arm[1:]:
            _same("scenario", settings(arm[0]), settings(run), arm[0], run)
    heads = [settings(arm[0]) for arm in arms.values()]
    keys = list(dict.fromkeys(key for head in heads for key in head))
    varied = tuple(key for key in keys if len({_canonical(head.get(key)) for head in heads}) > 1)
    for key in varied:
        if key.startswith(FIXED_KEYS):
            for arm in arms.values():
                fixed, found = heads[0].get(key), settings(arm[0]).get(key)
                _same("scenario", {key: fixed}, {key: found}, first, arm[0])
    return varied


def settings(run: Run) -> dict[str, Any]:
    """The scenario of a run as `section.key` → value, without the keys that do not matter."""
    flat: dict[str, Any] = {}
    for section, value in run.info.scenario.items():
        if isinstance(value, Mapping):
            flat |= {f"{section}.{key}": item for key, item in value.items()}
        else:
            flat[section] = value
    return {
        key: value for key, value in flat.items() if key not in IGNORED_KEYS and not key.startswith("matrix.")
    }


def label(value: Any) -> str:
    """A setting's value as people name it: a table by its name, with its parameters behind it."""
    if isinstance(value, Mapping):
        rest = " ".join(f"{key}={item}" for key, item in value.items() if key != "name")
        return f"{value.get('name', '')} {rest}".strip()
    return str(value)


def _same(what: str, a: Mapping[str, Any], b: Mapping[str, Any], run: Run, other: Run) -> None:
    for key in dict.fromkeys([*a, *b]):
        if _canonical(a.get(key)) != _canonical(b.get(key)):
            raise ComparisonError(
                f"these runs cannot be compared: {what}: key {key}: found {a.get(key)!r} in {run.directory} "
                f"and {b.get(key)!r} in {other.directory}"
            )


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
