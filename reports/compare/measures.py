"""The measures that tables show: what each is called, where it comes from, how it is written, what is good.

Add one: enter it in `MEASURES` or `EXPERIENCE`; every table and every comparison then has it.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Literal

from msgspec import Struct

from reports.analysis.delivery import SHARES, back_after, share_of
from reports.analysis.metrics import PhaseSummary, Storm, Summary
from reports.analysis.shared_ips import ticks_by_ip
from reports.compare.statistics import at_the_top, below_test
from reports.rundir.columns import OUTCOMES
from reports.rundir.latency import Latency
from reports.text import units

Better = Literal["lower", "higher", "neither"]


class Effect(Struct, frozen=True):
    """Which way is better, and the smallest difference that matters.

    That is a share of the smaller value, but never less than a floor in the measure's own unit: latencies are
    in milliseconds, times in seconds, shares from 0 to 1.
    """

    better: Better = "neither"
    """`neither` where more is neither good nor bad by itself."""
    relative: float = 0.0
    floor: float = 0.0

    def matters(self, a: float, b: float) -> bool:
        """Whether two values lie so far apart; what never came is as far from any value as can be."""
        return a != b and abs(a - b) >= self.least(a, b)

    def least(self, a: float, b: float) -> float:
        """The smallest difference that matters between two values like these."""
        smaller = min(abs(a), abs(b))
        return max(self.floor, self.relative * smaller if smaller < inf else 0.0)

    def limit(self, value: float) -> float:
        """The value from which on another one is worse than this one by as much as matters; infinite where
        none can be."""
        if self.better == "higher":
            return min(value - self.floor, value / (1 + self.relative))
        return value + self.least(value, value)

    def exclusion_p(
        self,
        before: Sequence[float],
        after: Sequence[float],
        *,
        before_open: Sequence[bool] = (),
        after_open: Sequence[bool] = (),
        steps: bool = False,
    ) -> float:
        """The p of runs that are worse than those before by as much as matters: small where that is excluded.

        Open values are only lower bounds, and taken for the case that is worst for the runs after. `steps`:
        see `statistics.below_test`.
        """
        lower = self.better != "higher"
        sign = 1.0 if lower else -1.0
        values = at_the_top(after, after_open) if lower else after
        limits = before if lower else at_the_top(before, before_open)
        return below_test(
            [sign * value for value in values], [sign * self.limit(value) for value in limits], steps=steps
        )


class Names(Struct, frozen=True, kw_only=True):
    """What the names of measures call a part that is not the same in all runs."""

    proxy: str = "proxy"
    fanout: str = "fan-out"
    """`fan-out spread` where ticks carry no time: then it counts from the first receipt of a tick.
    `fan-out by stamp` where some runs have no schedule to count from, and others have one."""


UNITS: dict[Callable[..., str], tuple[str, float]] = {
    units.percent: ("percent", 100.0),
    units.milliseconds: ("ms", 1.0),
    units.seconds: ("s", 1.0),
    units.microseconds: ("us", 1e6),
    units.per_second: ("per-s", 1.0),
    units.times: ("ratio", 1.0),
    units.count: ("count", 1.0),
    units.megabytes: ("mb", 1.0),
    units.plain: ("", 1.0),
}
"""By how a measure is written: its unit in a word, and the factor to that unit."""


class Measure(Struct, frozen=True):
    """One number of a run."""

    key: str
    group: str
    """Heading that it shares with the measures beside it; empty where it stands alone.

    `{proxy}` and `{fanout}` stand for these fields of `Names`."""
    heading: str
    """What this measure is called under its group's heading, with the same `{proxy}` and `{fanout}`."""
    of: Callable[[Summary], Latency | float | None]
    write: Callable[[float | None], str]
    """Turns a value into text with its unit; latencies are in milliseconds."""
    effect: Effect = Effect()

    @property
    def name(self) -> str:
        """The measure in a sentence."""
        return self.name_for(Names())

    def name_for(self, names: Names) -> str:
        """The measure in a sentence about runs with these names."""
        return f"{self.group_for(names)} {self.heading_for(names)}".strip()

    def group_for(self, names: Names) -> str:
        """The group, with these names."""
        return self.group.format(proxy=names.proxy, fanout=names.fanout)

    def heading_for(self, names: Names) -> str:
        """The heading, with these names."""
        return self.heading.format(proxy=names.proxy, fanout=names.fanout)

    @property
    def unit(self) -> tuple[str, float]:
        """The unit in a word, such as `ms`, and the factor from the measure's own unit to it."""
        return UNITS.get(self.write, ("", 1.0))

    @property
    def least(self) -> str:
        """The smallest difference that matters, such as `10/s and 10 %` or `2 points`."""
        share = self.write is units.percent
        floor = f"{self.effect.floor * 100:g} points" if share else self.write(self.effect.floor)
        return f"{floor} and {self.effect.relative * 100:g} %" if self.effect.relative else floor


TIME_TO_RECOVER = "time_to_recover_s"
AVAILABILITY = "availability"

QUICKER = Effect("lower", 0.2, 25.0)
"""On shared cores a calm p99 of 40 ms moves by as much from one minute to the next, without any storm."""
IDLER = Effect("lower", 0.1, 0.05)
FEWER = Effect("lower", 0.1, 10.0)
EVENER = Effect("lower", 0.2, 0.5)
SOONER = Effect("lower", 0.1, 2.0)
SERVED = Effect("higher", floor=0.02)
ONCE = Effect("lower", 0.1, 0.5)
LESS = Effect("lower", floor=0.02)
CHEAPER = Effect("lower", 0.1, 5e-6)


def _phase(name: str, field: str) -> Callable[[Summary], Any]:
    def of(summary: Summary) -> Any:
        phase: PhaseSummary | None = getattr(summary, name)
        return getattr(phase, field) if phase else None

    return of


def _storm(field: str) -> Callable[[Summary], Any]:
    def of(summary: Summary) -> Any:
        storm: Storm | None = summary.storm
        return getattr(storm, field) if storm else None

    return of


def _sidecars(field: str) -> Callable[[Summary], Any]:
    return lambda summary: getattr(summary.sidecars, field) if summary.sidecars else None


def _at_rest(field: str) -> Callable[[Summary], Any]:
    before = _phase("before", field)
    return lambda summary: None if summary.storm else before(summary)


def _outcome(name: str) -> Callable[[Summary], float | None]:
    return lambda summary: summary.storm.outcomes.get(name) if summary.storm else None


def _session_recovery(part: str) -> Callable[[Summary], float | None]:
    def of(summary: Summary) -> float | None:
        found = summary.storm.recovery if summary.storm else None
        return getattr(found, part) if found else None

    return of


def _refused_by_pods(summary: Summary) -> float | None:
    counted = summary.storm.refusals if summary.storm else None
    return counted.pods if counted else None


def _ticks(part: str) -> Callable[[Summary], float | None]:
    return lambda summary: share_of(summary.storm.ticks if summary.storm else None, part)


def _in_time_by_ip(*, shared: bool) -> Callable[[Summary], float | None]:
    """Where all clients are alone on their IP, or none is, the share of all clients says the same."""

    def of(summary: Summary) -> float | None:
        groups = summary.shared_ips
        found = {other: share_of(ticks_by_ip(groups, shared=other), "in_time") for other in (False, True)}
        return None if None in found.values() else found[shared]

    return of


def _back(share: int) -> Callable[[Summary], Latency | None]:
    return lambda summary: back_after(summary.back, share)


def _never_returned(summary: Summary) -> float | None:
    return summary.back.never_returned if summary.back else None


def _pod_spread(summary: Summary) -> float | None:
    return summary.pod_spread if summary.storm else None


PHASES = ("before", "during", "after")

MEASURES: tuple[Measure, ...] = (
    *(
        Measure(f"{key}_{name}", group, name, _phase(name, field), units.milliseconds, QUICKER)
        for key, group, field in (
            ("effective_p99", "effective p99", "effective_p99"),
            ("fanout_p99", "{fanout} p99", "fanout_p99_ms"),
        )
        for name in PHASES
    ),
    Measure("disconnects", "", "disconnects", _storm("disconnects"), units.count, FEWER),
    Measure("attempts_peak", "", "peak attempts", _storm("attempts_peak_per_s"), units.per_second, FEWER),
    Measure(
        "amplification", "", "reconnect attempts per disconnect", _storm("amplification"), units.times, ONCE
    ),
    Measure("limited", "", "refusals", _storm("limited"), units.count),
    Measure(AVAILABILITY, "", "availability", _storm("availability"), units.percent, SERVED),
    Measure("pod_cpu", "pod CPU", "during", _phase("during", "pod_cpu"), units.percent, IDLER),
    Measure("pod_loop", "pod loop", "during", _phase("during", "pod_loop"), units.percent, IDLER),
    Measure("nginx_cpu", "{proxy} CPU", "during", _phase("during", "nginx_cpu"), units.percent, IDLER),
    Measure("tls_full", "TLS handshakes", "full", _storm("tls_full"), units.count),
    Measure("tls_resumed", "TLS handshakes", "resumed", _storm("tls_resumed"), units.count),
    Measure("tls_cpu_share", "TLS handshakes", "of {proxy} CPU", _storm("tls_cpu_share"), units.percent),
    Measure("generator_cpu", "generator CPU", "during", _phase("during", "generator_cpu"), units.percent),
    Measure(
        TIME_TO_RECOVER, "", "time to recover", lambda s: s.recovery.time_to_recover_s, units.seconds, SOONER
    ),
)
"""The columns of the main table, in order."""

BY_STAMP: tuple[Measure, ...] = tuple(
    Measure(
        f"fanout_by_stamp_p99_{name}",
        "fan-out by stamp p99",
        name,
        _phase(name, "fanout_by_stamp_p99_ms"),
        units.milliseconds,
    )
    for name in PHASES
)
"""Beside the fan-out latency; only of runs in which that counts from a fitted schedule."""

DELIVERY: tuple[Measure, ...] = (
    Measure("ticks_in_time", "ticks delivered", "in time", _ticks("in_time"), units.percent, SERVED),
    # Less is not better by itself: a tick that never comes is not late.
    Measure("ticks_late", "ticks delivered", "late", _ticks("late"), units.percent),
    Measure("ticks_never", "ticks delivered", "never", _ticks("never"), units.percent, LESS),
    Measure("ticks_lost", "", "ticks lost", _ticks("lost"), units.percent, LESS),
    *(
        Measure(f"back_{share}", "", f"{share} % of clients back after", _back(share), units.seconds, SOONER)
        for share in SHARES
    ),
    Measure("never_returned", "", "clients that never returned", _never_returned, units.count, FEWER),
)
"""What became of the ticks, and when the clients were back."""

BY_IP: tuple[Measure, ...] = tuple(
    Measure(key, "ticks delivered", heading, _in_time_by_ip(shared=shared), units.percent, SERVED)
    for key, heading, shared in (
        ("ticks_in_time_alone", "in time to clients alone on an IP", False),
        ("ticks_in_time_shared", "in time to clients behind a shared IP", True),
    )
)
"""For gates and contrasts: the table of clients by shared IP has every number of clients per IP."""

SESSION_RECOVERY: tuple[Measure, ...] = tuple(
    Measure(f"sessions_{part}", "session recovery", heading, _session_recovery(part), units.count)
    for part, heading in (
        ("asked", "sessions that asked"),
        ("recovered", "sessions recovered"),
        ("delivered", "ticks delivered"),
        ("replayed", "ticks replayed"),
        ("duplicated", "ticks duplicated"),
        ("lost", "ticks never received"),
    )
)
"""Connection state recovery; only of runs in which clients asked for it."""

EXPERIENCE: tuple[Measure, ...] = (
    *DELIVERY,
    *(
        Measure(
            f"staleness_{key}", "staleness", key, _storm(f"staleness_{key}_ms"), units.milliseconds, QUICKER
        )
        for key in ("p50", "p99", "max")
    ),
    Measure("stale", "", "disconnects by the client's watchdog", _storm("stale"), units.count, FEWER),
    Measure("missed", "", "ticks missed while disconnected", _storm("missed"), units.count, FEWER),
    Measure("attempts", "", "connection attempts", _storm("attempts"), units.count, FEWER),
    *(
        Measure(f"outcome_{name}", "", f"attempts: {ending}", _outcome(name), units.count)
        for name, ending in OUTCOMES.items()
    ),
    Measure("gave_up", "", "clients that gave up for good", _storm("gave_up"), units.count, FEWER),
    Measure("nginx_limited", "", "refusals in the log of {proxy}", _storm("nginx_limited"), units.count),
    Measure("pod_limited", "", "handshakes shed by the pods", _refused_by_pods, units.count),
    Measure("burst_peak", "", "busiest 100 ms of attempts ÷ mean", _storm("burst_peak"), units.times),
    Measure(
        "burst_dispersion",
        "",
        "attempts per 100 ms, variance ÷ mean",
        _storm("burst_dispersion"),
        units.plain,
        EVENER,
    ),
    Measure(
        "pod_spread", "", "clients of the fullest pod ÷ mean, at the end", _pod_spread, units.times, EVENER
    ),
    Measure("wasted_work", "", "handshakes wasted", _storm("wasted_work"), units.percent, IDLER),
    Measure(
        "tick_cpu", "", "CPU per delivered tick, before", lambda s: s.tick_cpu_s, units.microseconds, CHEAPER
    ),
)
"""Client impact, and what the gateway did, from the trigger to the end of `after`."""

SIDECARS: tuple[Measure, ...] = (
    *(
        Measure(f"sidecar_{key}", "", heading, _sidecars(field), write, effect)
        for key, field, heading, write, effect in (
            ("cpu_per_1000", "cpu_before_per_1000", "CPU per 1,000 clients, before", units.percent, IDLER),
            (
                "memory_per_1000",
                "rss_mb_per_1000",
                "memory per 1,000 clients, before",
                units.megabytes,
                Effect(),
            ),
            ("cpu_before", "cpu_before", "CPU of one, before", units.percent, IDLER),
            ("cpu_during", "cpu_during", "CPU of one, during", units.percent, IDLER),
            ("cpu_peak", "cpu_peak", "CPU of the busiest one in its busiest second", units.percent, IDLER),
            ("memory", "rss_mb", "memory of one, before", units.megabytes, Effect()),
            ("memory_peak", "rss_peak_mb", "memory of the largest one", units.megabytes, Effect()),
        )
    ),
    *(
        Measure(f"sidecar_{key}", "", heading, _sidecars(key), units.count)
        for key, heading in (
            ("retries", "retries by sidecars"),
            ("retry_successes", "of these, successful"),
            ("retries_denied", "retries denied by budget or circuit breaker"),
            ("connect_failures", "failed connections to a pod"),
            ("timed_out", "requests past the per-attempt timeout"),
            ("connection_overflow", "connections denied by circuit breaker"),
            ("pending_overflow", "pending requests denied by circuit breaker"),
            ("ejections", "ejections of a pod (outlier detection)"),
            ("limited", "requests refused by the sidecars' limit"),
        )
    ),
)
"""What sidecars took and did; only in reports on runs that have some."""

AT_REST: tuple[Measure, ...] = (
    Measure("rest_fanout_p50", "", "{fanout} p50", _at_rest("fanout_p50_ms"), units.milliseconds),
    Measure("rest_fanout_p99", "", "{fanout} p99", _at_rest("fanout_p99_ms"), units.milliseconds),
    Measure("rest_pod_cpu", "", "CPU of all pods", _at_rest("pod_cpu_total"), units.percent),
    Measure("rest_nginx_cpu", "", "{proxy} CPU", _at_rest("nginx_cpu"), units.percent),
)
"""What a steady state costs without anything going wrong; only of runs without a trigger."""

KEY_MEASURES = (
    "effective_p99_during",
    "effective_p99_after",
    AVAILABILITY,
    TIME_TO_RECOVER,
    "amplification",
    "pod_loop",
)
"""What a comparison is decided on, and corrected for there being several. Seven would need a sixth run."""

BY_KEY = {
    measure.key: measure
    for measure in (*MEASURES, *BY_STAMP, *EXPERIENCE, *SESSION_RECOVERY, *BY_IP, *SIDECARS, *AT_REST)
}
"""Every measure, in the order of the tables."""
