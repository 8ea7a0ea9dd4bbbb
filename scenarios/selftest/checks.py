"""The checks of a calibration: a scenario whose outcome is known beforehand, and where to read it back.

What is read back is what reports print: the summary in run.json, and columns of series.csv and pods.csv.
To add one, write its scenario and its reading, and enter it in `CHECKS`.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from reports.rundir.reader import Run
from scenarios.limits.registry import limit
from scenarios.selftest.readings import (
    Absence,
    Reading,
    Sawtooth,
    Unit,
    burned_s,
    injected_delays_ns,
    percentile,
    refused_attempts,
)

_POLICIES = "scenarios.selftest.policies"
_STRUCK_S = 0.05
"""The runner strikes so long after a full second; the feeds below have a tick due at each full second."""

_COMMON_FLEET = {"connect_timeout_s": 30.0, "stale_after_s": 0.0, "rtt_ms": 0.0}
"""Nobody gives up, and nobody pays for a network."""


class Check(Struct, frozen=True, kw_only=True):
    """One thing that is known."""

    what: str
    scenario: dict[str, Any]
    read: Callable[[Run], list[Reading]]
    """From a run that has been judged."""
    delays_ns: tuple[int, ...] = ()
    """A source of ticks with these delays, in turn, takes the place of nginx and pods."""


# -- delay ------------------------------------------------------------------------------------------

_DELAY_BEFORE_S = 12
DELAYS_NS = tuple(injected_delays_ns(4_001, median_ms=20.0, spread=0.7, rng=random.Random(1)))  # noqa: S311
"""Six turns of them in the steady state below: a turn that is cut off hardly moves a percentile."""

_DELAY = {
    "fleet": {**_COMMON_FLEET, "clients": 200, "policy": "naive"},
    "feed": {"rate_hz": 10.0},
    # A single client, at the end: the accounting of the steady state is final long before the run's own.
    "event": [{"at_s": _DELAY_BEFORE_S, "do": "drop_share", "share": 0.005}],
    "phases": {"duration_s": _DELAY_BEFORE_S + 3, "during_s": 3, "rescue_at_s": 0},
}


def _read_delay(run: Run) -> list[Reading]:
    before = run.info.summary.get("before") or {}
    effective = before.get("effective_p99") or {}
    known = {percent: percentile(percent, DELAYS_NS) / 1e6 for percent in (50, 99)}
    return [
        _reading("delay", "fan-out latency, p50", "ms", known[50], before.get("fanout_p50_ms")),
        _reading("delay", "fan-out latency, p99", "ms", known[99], before.get("fanout_p99_ms")),
        _reading("delay", "effective latency, p99", "ms", known[99], effective.get("ms")),
    ]


# -- refusals ---------------------------------------------------------------------------------------

_TRYING, _ATTEMPTS, _EVERY_MS = 60, 12, 400
_LIMIT = {"name": "per-ip", "rate_per_s": 1 / 60, "burst": 9}

_REFUSALS = {
    "fleet": {
        **_COMMON_FLEET,
        "clients": _TRYING,
        "clients_per_ip": _TRYING,
        "policy": {"name": f"{_POLICIES}:attempts", "number": _ATTEMPTS, "every_s": _EVERY_MS / 1000},
    },
    "gateway": {"pods": 1, "handshake_cpu_ms": 0.0},
    # The limit comes after the ramp, which it would have refused as well.
    "event": [{"at_s": 1, "do": "set_limit", "limit": _LIMIT}, {"at_s": 3, "do": "drop_all"}],
    "phases": {"duration_s": 10, "during_s": 7, "rescue_at_s": 0},
}


def _read_refusals(run: Run) -> list[Reading]:
    rule = limit(_LIMIT).rules[0].bucket
    known = refused_attempts(rule, clients=_TRYING, attempts=_ATTEMPTS, every_ms=_EVERY_MS)
    storm = run.info.summary.get("storm") or {}
    return [
        _reading("refusals", "refusals as clients counted them", "attempts", known, storm.get("limited")),
        _reading("refusals", "refusals in nginx's log", "attempts", known, storm.get("nginx_limited")),
        _reading("refusals", "clients that gave up", "clients", known / _ATTEMPTS, storm.get("gave_up")),
    ]


# -- CPU --------------------------------------------------------------------------------------------

_BURNING, _BURN_MS = 12, 400.0
BURN_S = _BURNING * _BURN_MS / 1000
_CPU_BEFORE_S, _CPU_DURING_S = 10, 14

_CPU = {
    "fleet": {
        **_COMMON_FLEET,
        "clients": _BURNING,
        "policy": {"name": f"{_POLICIES}:burning", "cpu_ms": _BURN_MS},
    },
    "gateway": {"pods": 1, "handshake_cpu_ms": _BURN_MS, "snapshot_bytes": 0},
    "feed": {"rate_hz": 1.1},
    "event": [{"at_s": _CPU_BEFORE_S, "do": "drop_all"}],
    "phases": {"duration_s": _CPU_BEFORE_S + _CPU_DURING_S, "during_s": _CPU_DURING_S, "rescue_at_s": 0},
}


def _read_cpu(run: Run) -> list[Reading]:
    def burned(rows: Iterable[Mapping[str, float | None]], name: str) -> float | None:
        cells = [(row["t_s"] or 0.0, cell) for row in rows if (cell := row.get(name)) is not None]
        before = [cell for t_s, cell in cells if 0 <= t_s < _CPU_BEFORE_S - 1]
        during = [cell for t_s, cell in cells if t_s >= _CPU_BEFORE_S - 1]
        if not before or not during:
            return None
        idle = sum(before) / len(before)
        return burned_s(sum(during), idle_share=idle, span_s=len(during), burn_s=BURN_S)

    handshakes = sum(row["handshakes"] or 0 for row in run.pods if (row["t_s"] or 0) >= _CPU_BEFORE_S - 1)
    return [
        _reading("cpu", "handshakes that the pod paid for", "handshakes", _BURNING, handshakes),
        _reading("cpu", "CPU of these, by the pod's own line", "CPU-s", BURN_S, burned(run.pods, "cpu")),
        _reading("cpu", "CPU burned in the generator", "CPU-s", BURN_S, burned(run.rows, "generator_cpu")),
    ]


# -- drop share -------------------------------------------------------------------------------------

_DROP_CLIENTS, _DROP_SHARE, _AWAY_S, _DROP_RATE_HZ = 60, 0.25, 6.0, 20.0
_SLOT_S = 0.1

_DROP = {
    "fleet": {
        **_COMMON_FLEET,
        "clients": _DROP_CLIENTS,
        # Availability is looked at every 100 ms: clients that come back all in between would fool it.
        "policy": {"name": f"{_POLICIES}:away", "away_s": _AWAY_S, "spread_s": _SLOT_S},
    },
    "gateway": {"pods": 1, "handshake_cpu_ms": 0.0, "snapshot_bytes": 0},
    "feed": {"rate_hz": _DROP_RATE_HZ},
    "event": [{"at_s": 2, "do": "drop_share", "share": _DROP_SHARE}],
    "phases": {"duration_s": 11, "during_s": 9, "rescue_at_s": 0},
}


def _read_drop(run: Run) -> list[Reading]:
    storm = run.info.summary.get("storm") or {}
    dropped = round(_DROP_SHARE * _DROP_CLIENTS)
    known = Absence(clients=dropped, away_s=_AWAY_S, period_s=1 / _DROP_RATE_HZ)
    availability = storm.get("availability")
    lost = None
    if availability is not None:
        # What is left of it would be within 2 % whatever had happened.
        lost = (1 - availability) * _DROP_CLIENTS * (storm["to_s"] - storm["from_s"])
    return [
        _reading("drop", "disconnects", "clients", dropped, storm.get("disconnects")),
        _reading("drop", "not available", "client-s", known.lost_client_s, lost),
        _reading("drop", "ticks missed while away", "ticks", known.missed, storm.get("missed")),
        _reading("drop", "ticks delivered late", "ticks", known.late, (storm.get("ticks") or {}).get("late")),
        _reading(
            "drop",
            "newest tick 1 s old or older",
            "client-s",
            known.stale_client_s,
            storm.get("stale_client_s"),
        ),
    ]


# -- staleness --------------------------------------------------------------------------------------

_STALL_CLIENTS, _STALL_S, _STALL_WINDOW_S = 10, 10.0, 13

_STALENESS = {
    "fleet": {**_COMMON_FLEET, "clients": _STALL_CLIENTS, "policy": "naive"},
    "gateway": {"pods": 1, "handshake_cpu_ms": 0.0},
    # Slow, and for few: what came due meanwhile is sent afterwards, which takes no time that would show.
    "feed": {"rate_hz": 2.0},
    "event": [{"at_s": 2, "do": "feed_stall", "for_s": _STALL_S}],
    "phases": {"duration_s": 2 + _STALL_WINDOW_S, "during_s": _STALL_WINDOW_S, "rescue_at_s": 0},
}


def _read_staleness(run: Run) -> list[Reading]:
    storm = run.info.summary.get("storm") or {}
    known = Sawtooth(clients=_STALL_CLIENTS, stall_s=_STALL_S, held_s=_STRUCK_S)
    p99_ms = 1000 * known.percentile_s(99, _STALL_WINDOW_S)
    stale_s = known.stale_client_s
    return [
        _reading("staleness", "staleness, p99", "ms", p99_ms, storm.get("staleness_p99_ms")),
        _reading(
            "staleness", "staleness, highest", "ms", 1000 * known.highest_s, storm.get("staleness_max_ms")
        ),
        _reading(
            "staleness", "newest tick 1 s old or older", "client-s", stale_s, storm.get("stale_client_s")
        ),
    ]


def _reading(check: str, what: str, unit: Unit, known: float, found: float | None) -> Reading:
    return Reading(check=check, what=what, unit=unit, known=known, found=found)


CHECKS: dict[str, Check] = {
    "delay": Check(
        what="ticks that a source dates back by known delays",
        scenario=_DELAY,
        read=_read_delay,
        delays_ns=DELAYS_NS,
    ),
    "refusals": Check(
        what="clients behind one address, of which nginx lets in the first few",
        scenario=_REFUSALS,
        read=_read_refusals,
    ),
    "cpu": Check(
        what="a pod that burns known CPU time for each handshake, a generator that does for each attempt",
        scenario=_CPU,
        read=_read_cpu,
    ),
    "drop": Check(
        what="a known share of the clients that stays away for a known time", scenario=_DROP, read=_read_drop
    ),
    "staleness": Check(
        what="a feed that stands still for a known time", scenario=_STALENESS, read=_read_staleness
    ),
}
"""Checks by name, in the order in which they are carried out."""
