"""Literal histories of runs, for tests that read them: seconds as rows, latencies as lists."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

from reports.rundir.columns import POD_COLUMNS, SERIES_COLUMNS, SIDECAR_COLUMNS
from reports.rundir.histograms import Buckets
from reports.rundir.reader import Run
from reports.rundir.schema import Phase, RunInfo, Tag, new_histogram
from reports.rundir.series import Row
from reports.rundir.writer import RunWriter

CLIENTS = 100
TRIGGER_S = 8
END_S = 62
WINDOW_S = 30

Event = dict[str, Any]
"""One line of events.jsonl."""

Latencies = Mapping[int, Iterable[tuple[float, int]]]
"""By second: milliseconds, and how many values of them."""


def second(t_s: float, **changes: float | None) -> Row:
    """One good second of 100 clients at 5 ticks/s on two pods, but for `changes`."""
    row: Row = dict.fromkeys(SERIES_COLUMNS, 0.0)
    good: Row = {
        "t_s": t_s,
        "clients": float(CLIENTS),
        "connected": float(CLIENTS),
        "useful": float(CLIENTS),
        "ticks": 500.0,
        "ticks_sent": 500.0,
        "pod_cpu": 0.05,
        "pod_cpu_total": 0.1,
        "pod_loop": 0.06,
        "pod_loop_max": 0.07,
        "pod_lag_ms": 1.0,
        "tick_late_ms": 1.0,
        "fanout_p50_ms": 40.0,
        "fanout_p99_ms": 60.0,
        "fanout_max_ms": 70.0,
        "effective_p99_ms": 60.0,
        "staleness_p50_ms": 150.0,
        "staleness_p99_ms": 250.0,
        "staleness_max_ms": 260.0,
        "nginx_cpu": 0.02,
        "generator_cpu": 0.1,
        "generator_lag_p99_ms": 0.5,
        "retry_late_p99_ms": 0.5,
    }
    return row | good | changes


def seconds(from_s: int, to_s: int, **changes: float | None) -> list[Row]:
    """Equal seconds in [from_s, to_s)."""
    return [second(t, **changes) for t in range(from_s, to_s)]


def storm(
    useful: Callable[[int], float] | float,
    *,
    to_s: int = END_S,
    attempts: float = 50.0,
    pod_cpu: float = 0.5,
) -> list[Row]:
    """Eight good seconds, then everybody is dropped and `useful` of 100 clients are back in second t."""
    rows = seconds(0, TRIGGER_S)
    for t in range(TRIGGER_S, to_s):
        back = useful(t) if callable(useful) else useful
        out = back < CLIENTS
        rows.append(
            second(
                t,
                connected=back,
                useful=back,
                attempts=attempts if out else 0.0,
                attempts_peak_100ms=attempts / 5 if out else 0.0,
                disconnects=float(CLIENTS) if t == TRIGGER_S else 0.0,
                pod_cpu=pod_cpu if out else 0.05,
                pod_cpu_total=2 * pod_cpu if out else 0.1,
                effective_p99_ms=5000.0 if out else 60.0,
                effective_at_least=1.0 if out else 0.0,
                stale_client_s=CLIENTS - back,
            )
        )
    return rows


def pod_second(t_s: float, pod: int, **changes: float | None) -> Row:
    """One good second of one of two pods, but for `changes`."""
    row: Row = dict.fromkeys(POD_COLUMNS, 0.0)
    good: Row = {
        "t_s": t_s,
        "pod": float(pod),
        "clients": CLIENTS / 2,
        "cpu": 0.05,
        "loop": 0.06,
        "ticks_sent": 250.0,
    }
    return row | good | changes


def sidecar_second(t_s: float, pod: int, **changes: float | None) -> Row:
    """One good second of the sidecar beside a pod, but for `changes`."""
    row: Row = dict.fromkeys(SIDECAR_COLUMNS, 0.0)
    good: Row = {"t_s": t_s, "pod": float(pod), "cpu": 0.02, "rss_mb": 50.0}
    return row | good | changes


def shared_ips(limited: float) -> tuple[Row, ...]:
    """Half of the clients are alone, half behind one address."""
    return tuple(
        {
            "t_s": float(t),
            "clients_per_ip": size,
            "clients": 50.0,
            "connected": 50.0,
            "useful": 50.0 if size == 1 else 10.0,
            "attempts": 40.0,
            "limited": 0.0 if size == 1 else limited,
            "ticks_in_time": 250.0 if size == 1 else 50.0,
            "ticks_late": 0.0 if size == 1 else 175.0,
            "ticks_never": 0.0 if size == 1 else 25.0,
            "ticks_skipped": 0.0 if size == 1 else 150.0,
        }
        for t in range(8, 60)
        for size in (1.0, 50.0)
    )


def strike(name: str, kind: str, from_s: float, to_s: float | None = None, **details: Any) -> list[Event]:
    """The lines of one strike in events.jsonl; without an end where `to_s` is None."""
    lines: list[Event] = [{"t_s": from_s, "event": name, "kind": kind, "phase": "begin", **details}]
    if to_s is not None:
        lines.append({"t_s": to_s, "event": name, "kind": kind, "phase": "end", **details})
    return lines


def histograms(by_second: Latencies) -> dict[int, HdrHistogram]:
    """One histogram a second; equal ones are the same object, so leave them as they are."""
    return {t: _histogram(tuple(values)) for t, values in by_second.items()}


@cache
def _histogram(values: tuple[tuple[float, int], ...]) -> HdrHistogram:
    histogram = new_histogram()
    for ms, number in values:
        histogram.record_value(round(ms * 1000), number)
    return histogram


def latencies_of(rows: Iterable[Row]) -> dict[Tag, dict[int, HdrHistogram]]:
    """Latencies that fit `rows`: 60 ms for who is served, at least 5 s for who is not.

    The newest tick of who is served is 100 or 200 ms old, that of the others 5 s.
    """
    known: dict[int, list[tuple[float, int]]] = {}
    bounds: dict[int, list[tuple[float, int]]] = {}
    ages: dict[int, list[tuple[float, int]]] = {}
    for row in rows:
        t, served = int(row["t_s"] or 0), int(row["useful"] or 0)
        known[t] = [(40.0, 4 * served), (60.0, served)]
        bounds[t] = [(5000.0, 5 * (CLIENTS - served))]
        ages[t] = [(100.0, 5 * served), (200.0, 5 * served), (5000.0, 10 * (CLIENTS - served))]
    return {
        "fanout": histograms(known),
        "effective": histograms(known),
        "censored": histograms(bounds),
        "staleness": histograms(ages),
    }


def history(
    rows: list[Row],
    *,
    trigger_s: int | None = TRIGGER_S,
    rescued_at_s: int | None = None,
    tail_from_s: int | None = None,
    latencies: dict[Tag, dict[int, HdrHistogram]] | None = None,
    pods: Iterable[Row] = (),
    sidecars: Iterable[Row] = (),
    events: Iterable[Event] = (),
    directory: Path = Path("run"),
    **info: Any,
) -> Run:
    """A complete run with these seconds, cut into phases as a runner does it."""
    end = int(rows[-1]["t_s"] or 0) + 1 if rows else 0
    return Run(
        directory=directory,
        info=RunInfo(**{**_info(trigger_s, rescued_at_s, tail_from_s, end), **info}),
        rows=tuple(rows),
        shared_ips=(),
        pods=tuple(pods),
        events=tuple(events),
        sidecars=tuple(sidecars),
        histograms={
            tag: {t: Buckets.of(histogram) for t, histogram in by_second.items()}
            for tag, by_second in (latencies_of(rows) if latencies is None else latencies).items()
        },
    )


def with_seconds(run: Run, directory: Path) -> None:
    """Writes the run as a run directory, with latencies that fit its rows."""
    writer = RunWriter(directory, run.info)
    for row in run.rows:
        writer.row(row)
    for tag, by_second in latencies_of(run.rows).items():
        for second_of_run, histogram in by_second.items():
            writer.histogram(tag, second_of_run, histogram)
    writer.close()


def scenario(**changes: Any) -> dict[str, Any]:
    """A resolved scenario as run.json has it; `fleet__policy="incident"` changes one key."""
    table: dict[str, Any] = {
        "name": "mass-drop",
        "summary": "",
        "fleet": {"clients": CLIENTS, "policy": "naive", "seed": 1},
        "gateway": {"pods": 2, "handshake_cpu_ms": 20.0, "cpu": "burn"},
        "feed": {"rate_hz": 5.0},
        "edge": {"limit": "none", "port": 0},
        "event": [{"at_s": float(TRIGGER_S), "do": "drop_all"}],
        "phases": {"duration_s": END_S, "during_s": 15, "recovery_window_s": WINDOW_S},
        "matrix": {},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            table[section] = {**table[section], name: value}
        else:
            table[section] = value
    return table


def _info(
    trigger_s: int | None, rescued_at_s: int | None, tail_from_s: int | None, end: int
) -> dict[str, Any]:
    return {
        "scenario": scenario(),
        "arm": "naive + none",
        "seed": 1,
        "status": "complete",
        "started_utc": "2026-11-22T20:00:00Z",
        "trigger_s": trigger_s,
        "rescued_at_s": rescued_at_s,
        "phases": _phases(trigger_s, rescued_at_s, tail_from_s, end),
        "versions": {"reconnect-storm": "0.1.0", "nginx": "1.31.3"},
        "machine": {"cores": 2, "cpu_model": "test", "pinned": True},
        "stability": {
            "clients": CLIENTS,
            "pods": 2,
            "capacity_cores": 1.0,
            "handshake_cpu_s": 0.02,
            "utilisation": 0.1,
            "readmission_s": 6.3,
            "s1": [6.1, 6.1, 6.1],
            "s2": 2.0,
            "calm_from_attempt": None,
            "limit_refuses_above_clients_per_ip": None,
        },
        "command": ["reconnect-storm", "run", "mass-drop"],
    }


def _phases(
    trigger_s: int | None, rescued_at_s: int | None, tail_from_s: int | None, end: int
) -> tuple[Phase, ...]:
    if trigger_s is None:
        return (Phase("before", 0, end),)
    during_end = min(trigger_s + 15, end)
    cut = rescued_at_s or tail_from_s or end
    named = [
        Phase("before", 0, trigger_s),
        Phase("during", trigger_s, during_end),
        Phase("after", during_end, cut),
        Phase("rescue" if rescued_at_s else "tail", cut, end),
    ]
    return tuple(phase for phase in named if phase.from_s < phase.to_s)
