"""Literal runs with mistakes in their settings, for tests of what is found in them."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reports.analysis.findings.registry import findings
from reports.analysis.metrics import summarise
from reports.analysis.validity import Evidence
from reports.rundir.histograms import Buckets
from reports.rundir.proxy_log import ProxyLog
from reports.rundir.reader import Run
from reports.rundir.series import Row
from tests.support.histories import (
    CLIENTS,
    END_S,
    TRIGGER_S,
    Event,
    histograms,
    history,
    scenario,
    storm,
    strike,
)

PER_IP: dict[str, Any] = {"name": "per-ip", "key": "new-per-address", "rate_per_s": 3.0, "burst": 2}
ALL_REQUESTS = {**PER_IP, "name": "per-ip-all-requests", "key": "all-per-address"}
GLOBAL = {**PER_IP, "name": "global", "key": "new-together"}

TRIGGER = strike("drop_all", "fault", TRIGGER_S + 0.05, TRIGGER_S + 0.06)


def ips(size: float, **changes: float) -> tuple[Row, ...]:
    """All clients, so many on an IP; they are out from the trigger on."""
    calm: Row = {"clients_per_ip": size, "clients": float(CLIENTS), "connected": float(CLIENTS)}
    out: Row = {"connected": 0.0, "attempts": 0.0, "limited": 0.0, **changes}
    return tuple({**calm, "t_s": float(t), **(out if t >= TRIGGER_S else {})} for t in range(END_S))


def limited_run(
    rule: Mapping[str, Any] | None = PER_IP,
    *,
    rows: list[Row] | None = None,
    shared_ips: tuple[Row, ...] | None = None,
    log: ProxyLog | None = None,
    events: Iterable[Event] = (),
    keys: Mapping[str, Any] | None = None,
    **info: Any,
) -> Run:
    """A run with one limit at the proxy, which refused 20 requests each second of the storm."""
    refused = [
        row | ({"limited": 20.0, "nginx_limited": 20.0} if (row["t_s"] or 0.0) >= TRIGGER_S else {})
        for row in storm(0.0)
    ]
    run = history(
        refused if rows is None else rows,
        events=[*TRIGGER, *events],
        scenario=scenario(**(keys or {})),
        proxy_log=log,
        **{"limit_rules": {"proxy": [dict(rule)]} if rule else {}, **info},
    )
    return msgspec.structs.replace(run, shared_ips=ips(1.0) if shared_ips is None else shared_ips)


def with_ages(run: Run, ages: Mapping[int, Iterable[tuple[float, int]]]) -> Run:
    """The run with sessions that ended: by second, ages in milliseconds and how many."""
    found = {t: Buckets.of(histogram) for t, histogram in histograms(ages).items()}
    return msgspec.structs.replace(run, histograms={**run.histograms, "session_age": found})


def found_in(run: Run) -> dict[str, str]:
    """The figures of what is found in a run, by the id of the finding."""
    return {each.id: each.figures for each in findings(Evidence(run, summarise(run)))}
