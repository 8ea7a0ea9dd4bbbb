"""What a finding is, and what rules ask of a run."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from reports.analysis.actions import fired_events
from reports.analysis.validity import Evidence
from reports.rundir.reader import Run

HARMLESS = frozenset(
    {
        "certificate_rotate",
        "feed_burst",
        "feed_stall",
        "nginx_reload",
        "probes",
        "push_policy",
        "set_limit",
    }
)
"""Events that disconnect no client by themselves; a reload does so by its time-out alone."""
KILLS = frozenset({"pod_killed", "pod_crashed"})
"""What the orchestrator, or a pod itself, did: lines of events.jsonl without an end."""
AFTERMATH_S = 3
"""So long after an event its disconnects still come."""


class Found(Struct, frozen=True, kw_only=True):
    """What a rule found in one run."""

    figures: str
    """The fact with its numbers, in a sentence."""
    change: str = ""
    """What to change where the run tells more than the kind of finding does."""
    proxy: str = ""
    """Whose directive helps, where that is not the run's proxy."""


Rule = Callable[[Evidence], Found | None]


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of finding."""

    title: str
    meaning: str
    """What it is, and what it does in a storm."""
    found_where: str
    """What a run has to show, in words that go on from `found where`."""
    change: Mapping[str, str]
    """The directive to change, by proxy."""
    rule: Rule


class RunFinding(Struct, frozen=True, kw_only=True):
    """One finding about one run, as run.json and reports have it."""

    id: str
    title: str
    figures: str
    meaning: str
    change: str


def source_ips(run: Run) -> int:
    """How many IPs the clients have by the scenario; 0 where that is not known."""
    clients: dict[float, float] = {}
    for row in run.shared_ips:
        size = row["clients_per_ip"] or 1.0
        clients[size] = max(clients.get(size, 0.0), row.get("clients") or 0.0)
    return sum(math.ceil(number / size) for size, number in clients.items())


def rules_in_force(run: Run, place: str, from_s: float, to_s: float) -> list[dict[str, Any]]:
    """The rules of limits that refused anybody in [from_s, to_s), the latest last; none where that is not
    known."""
    known = [(-math.inf, run.info.limit_rules.get(place, []))]
    said = {"proxy": "rules", "pods": "pod_rules"}.get(place)
    if said:
        known += [
            (event.ended_s, event.details.get(said, []))
            for event in fired_events(run.events)
            if event.name == "set_limit" and event.ended_s is not None
        ]
    ends_s = [began_s for began_s, _ in known[1:]] + [math.inf]
    return [
        rule
        for (began_s, rules), end_s in zip(known, ends_s, strict=True)
        for rule in rules
        if began_s < to_s and end_s > from_s and not rule.get("dry_run")
    ]


def per_address(rule: Mapping[str, Any]) -> bool:
    """Whether a rule counts each client address by itself; rules that know no other key do not name it."""
    return str(rule.get("key", "per-address")).endswith("per-address")


def explained_seconds(run: Run) -> set[int]:
    """Seconds in which an event of the run may have disconnected clients."""
    last_s = max((row["t_s"] or 0.0 for row in run.rows), default=0.0)
    spans = [
        (event.began_s, last_s if event.ended_s is None else event.ended_s)
        for event in fired_events(run.events)
        if event.name not in HARMLESS
    ]
    spans += [
        (line["t_s"], line["t_s"])
        for line in run.events
        if line.get("event") in KILLS and isinstance(line.get("t_s"), int | float)
    ]
    return {
        second
        for from_s, to_s in spans
        for second in range(math.floor(from_s), math.ceil(to_s) + AFTERMATH_S + 1)
    }
