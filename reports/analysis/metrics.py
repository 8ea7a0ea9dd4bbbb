"""What a run measured, in numbers.

The phases before, during and after are summarised each for itself. The storm is everything from the trigger
to the end of `after`: to where the rescue is due, whether it came or not, so that all arms of a comparison
are measured over equally long stretches. A recovery is looked for in the `tail` after it as well. What a
rescue achieved is never credited to the fleet.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from reports.analysis.actions import Action, actions, last_mitigation
from reports.analysis.delivery import (
    DECIDED_AFTER_S,
    ClientsBack,
    SessionRecovery,
    Ticks,
    clients_back_of,
    session_recovery,
    ticks_due,
)
from reports.analysis.pods import PodSummary, pod_summaries, spread
from reports.analysis.recovery import Recovery, baseline_of, recovery
from reports.analysis.refusals import Refusals, refusals
from reports.analysis.shared_ips import (
    FleetGroup,
    SharedIpGroup,
    attempts_of_unserved,
    fleet_groups,
    shared_ip_groups,
)
from reports.analysis.sidecars import SidecarSummary, sidecar_summary
from reports.rundir import latency, series
from reports.rundir.columns import GAVE_UP, OUTCOMES, TLS
from reports.rundir.latency import Latency
from reports.rundir.proxy_log import TlsCosts
from reports.rundir.reader import Run
from reports.rundir.schema import Phase
from reports.rundir.series import Row
from reports.text.units import count

SLOTS_PER_S = 10
DEFAULT_WINDOW_S = 30
_LOST_SHARE = 0.0001
"""The share of clients that may disconnect or reconnect while nothing happens; at least one client."""


class PhaseSummary(Struct, frozen=True, kw_only=True):
    """One phase, [from_s, to_s). None where nothing was recorded.

    CPU is in CPU-seconds per second, so 1 is one core; loop utilisation is a share of time, 0 to 1.
    """

    from_s: int
    to_s: int
    effective_p99: Latency | None = None
    """Over all clients, connected or not, by the time at which ticks were due."""
    fanout_p50_ms: float | None = None
    fanout_p99_ms: float | None = None
    """Of the ticks that did arrive."""
    fanout_by_stamp_p50_ms: float | None = None
    fanout_by_stamp_p99_ms: float | None = None
    fanout_by_stamp_max_ms: float | None = None
    """The same from their stamps; only where the others count from a fitted schedule."""
    availability: float | None = None
    """Client-seconds joined with a tick under 1 s old, as a share of all client-seconds."""
    staleness_p50_ms: float | None = None
    staleness_p99_ms: float | None = None
    """Of the newest tick of every client, joined or not, at every tenth of a second."""
    attempts_per_s: float | None = None
    attempts_peak_per_s: float | None = None
    limited: int = 0
    """Attempts answered with 429 or 503."""
    pod_cpu: float | None = None
    """Per pod."""
    pod_cpu_total: float | None = None
    pod_loop: float | None = None
    pod_loop_max: float | None = None
    """Of the busiest pod in its busiest second."""
    pod_lag_max_ms: float | None = None
    nginx_cpu: float | None = None
    generator_cpu: float | None = None


class Storm(Struct, frozen=True, kw_only=True):
    """From the trigger to the end of `after`, [from_s, to_s)."""

    from_s: int
    to_s: int
    availability: float | None
    staleness_p50_ms: float | None = None
    staleness_p99_ms: float | None = None
    staleness_max_ms: float | None = None
    stale_client_s: float | None = None
    """Client-seconds, joined or not, with a newest tick of 1 s or older."""
    attempts: int
    attempts_peak_per_s: float
    disconnects: int
    stale: int
    """Of these, by the client's own watchdog."""
    gave_up: int = 0
    """Clients that stopped for good."""
    gave_up_by_reason: dict[str, int] = {}
    """The same clients by the reasons of `GAVE_UP`; empty for runs that did not record them."""
    amplification: float | None
    """Attempts per disconnect; 1 where every client came back at the first attempt."""
    burst_peak: float | None
    """The busiest tenth of a second, as a multiple of the mean."""
    burst_dispersion: float | None
    """Variance ÷ mean of the attempts in a tenth of a second; 1 for independent (Poisson) arrivals."""
    limited: int
    """Refusals by a limit, as the clients counted them."""
    nginx_limited: int | None
    """Refusals by a limit in nginx's own log; over the whole run, where the seconds are not known. None where
    nginx is not ours, or where its log does not tell."""
    refusals: Refusals | None = None
    """The same as each side counted them."""
    outcomes: dict[str, int]
    missed: int
    """Ticks that clients never received because they were away."""
    wasted_work: float | None
    """Handshakes for clients that had gone, or that were gone again within 5 s, as a share of all."""
    recovery: SessionRecovery | None = None
    """None where no client asked for connection state recovery."""
    tls_full: int | None = None
    """TLS handshakes in full; None without TLS."""
    tls_resumed: int | None = None
    """TLS handshakes that resumed a session, likewise."""
    tls_cpu_share: float | None = None
    """The share of the proxy's CPU that these took: their numbers, times what one of each kind cost before
    the clients came. None without TLS at the run's own proxy."""
    ticks: Ticks | None = None
    """What became of the ticks due to all clients, without the last second of the measurement. None where
    ticks have no numbers."""


class Summary(Struct, frozen=True, kw_only=True):
    """All numbers of a run. None where a run never got so far."""

    clients: int
    before: PhaseSummary | None = None
    during: PhaseSummary | None = None
    after: PhaseSummary | None = None
    final: PhaseSummary | None = None
    """The window in which it had recovered or, where it did not, as long a stretch before the rescue or the
    end."""
    storm: Storm | None = None
    recovery: Recovery = field(default_factory=lambda: Recovery(window_s=DEFAULT_WINDOW_S))
    back: ClientsBack | None = None
    """When the disconnected clients were back; until the rescue or the end."""
    shared_ips: tuple[SharedIpGroup, ...] = ()
    """From the trigger on, by how many clients share a source IP."""
    groups: tuple[FleetGroup, ...] = ()
    """From the trigger on, by group of the fleet; empty where it has none."""
    pods: tuple[PodSummary, ...] = ()
    pod_spread: float | None = None
    """Clients of the fullest pod ÷ mean, at the end of the run or at the rescue; 1 where they are even."""
    sidecars: SidecarSummary | None = None
    """None where pods have none."""
    actions: tuple[Action, ...] = ()
    """Every event that ran, in the order in which they began."""
    tick_cpu_s: float | None = None
    """f: CPU-seconds of the pods per delivered tick, measured before the trigger."""


def summarise(run: Run) -> Summary:
    """The numbers of a run, however far it got."""
    phases = {name: _phase(run, run.phase(name)) for name in ("before", "during", "after")}
    before = run.phase("before")
    stretch, unaided = storm_stretch(run), unaided_stretch(run)
    last = series.highest(series.column(run.rows, "t_s"))
    watched = unaided or (0, 0 if last is None else int(last) + 1)
    pods = pod_summaries(run, *watched)
    recovered = _recovery(run, unaided)
    decided_s = watched[1] - DECIDED_AFTER_S
    ticks_to_s = min(stretch[1], decided_s) if stretch else decided_s
    counted_to_s = stretch[1] if stretch else None
    from_s, to_s = unaided or (0, 0)
    trigger_end_s = run.info.trigger_end_s
    return Summary(
        clients=int(series.highest(series.column(run.rows, "clients")) or 0),
        before=phases["before"],
        during=phases["during"],
        after=phases["after"],
        final=_phase(run, _final(recovered, unaided)),
        storm=_storm(run, *stretch, ticks_to_s=ticks_to_s) if stretch else None,
        recovery=recovered,
        back=clients_back_of(run.rows, *unaided, run.info.trigger_end_s) if unaided else None,
        shared_ips=shared_ip_groups(
            run, from_s, to_s, trigger_end_s, counted_to_s=counted_to_s, ticks_to_s=ticks_to_s
        ),
        groups=fleet_groups(
            run, from_s, to_s, trigger_end_s, counted_to_s=counted_to_s, ticks_to_s=ticks_to_s
        ),
        pods=pods,
        pod_spread=spread(pods),
        sidecars=sidecar_summary(run, stretch),
        actions=actions(run, watched[1]),
        tick_cpu_s=_tick_cpu_s(run.between(before.from_s, before.to_s)) if before else None,
    )


def storm_stretch(run: Run) -> tuple[int, int] | None:
    """[trigger, end of `after`) in seconds of steady state; None where nothing of it was recorded."""
    return _from_trigger(run, "after")


def unaided_stretch(run: Run) -> tuple[int, int] | None:
    """[trigger, rescue or end): the storm, and the tail behind it where no rescue came."""
    return _from_trigger(run, "after", "tail")


def rescued_at_s(run: Run) -> int | None:
    """When the rescue policy was pushed; None where it was not."""
    phase = run.phase("rescue")
    return phase.from_s if run.info.rescued_at_s is None and phase else run.info.rescued_at_s


def aftermath(run: Run) -> tuple[int, int] | None:
    """[trigger's end, rescue or end): the unaided stretch after the trigger is over."""
    stretch = unaided_stretch(run)
    if stretch is None:
        return None
    from_s, to_s = stretch
    return max(from_s, from_s if run.info.trigger_end_s is None else run.info.trigger_end_s), to_s


def _from_trigger(run: Run, *until: str) -> tuple[int, int] | None:
    trigger, rescue = run.info.trigger_s, rescued_at_s(run)
    last = series.highest(series.column(run.rows, "t_s"))
    if trigger is None or last is None or last < trigger:
        return None
    ends = [phase.to_s for phase in run.info.phases if phase.name in until]
    end = min(int(last) + 1, max(ends, default=int(last) + 1), int(last) + 1 if rescue is None else rescue)
    return (trigger, end) if run.between(trigger, end) else None


def _phase(run: Run, phase: Phase | None) -> PhaseSummary | None:
    rows = run.between(phase.from_s, phase.to_s) if phase else []
    if phase is None or not rows:
        return None
    from_s, to_s = phase.from_s, phase.to_s

    def mean(name: str) -> float | None:
        return series.mean(series.column(rows, name))

    def highest(name: str) -> float | None:
        return series.highest(series.column(rows, name))

    fanout = latency.between(run.histograms.get("fanout", {}), from_s, to_s)
    by_stamp = latency.between(run.histograms.get("fanout_by_stamp", {}), from_s, to_s)
    staleness = latency.between(run.histograms.get("staleness", {}), from_s, to_s)
    return PhaseSummary(
        from_s=from_s,
        to_s=to_s,
        effective_p99=latency.effective(run, from_s, to_s, 99),
        fanout_p50_ms=_ms(50, fanout),
        fanout_p99_ms=_ms(99, fanout),
        fanout_by_stamp_p50_ms=_ms(50, by_stamp),
        fanout_by_stamp_p99_ms=_ms(99, by_stamp),
        fanout_by_stamp_max_ms=_ms(100, by_stamp),
        availability=series.availability(rows),
        staleness_p50_ms=_ms(50, staleness),
        staleness_p99_ms=_ms(99, staleness),
        attempts_per_s=mean("attempts"),
        attempts_peak_per_s=highest("attempts"),
        limited=_count(rows, "limited"),
        pod_cpu=mean("pod_cpu"),
        pod_cpu_total=mean("pod_cpu_total"),
        pod_loop=mean("pod_loop"),
        pod_loop_max=highest("pod_loop_max"),
        pod_lag_max_ms=highest("pod_lag_ms"),
        nginx_cpu=mean("nginx_cpu"),
        generator_cpu=mean("generator_cpu"),
    )


def _storm(run: Run, from_s: int, to_s: int, *, ticks_to_s: int) -> Storm:
    rows = run.between(from_s, to_s)
    attempts, disconnects = _count(rows, "attempts"), _count(rows, "disconnects")
    slots = len(rows) * SLOTS_PER_S
    per_slot = attempts / slots
    peak_in_slot = series.highest(series.column(rows, "attempts_peak_100ms"))
    squares = series.total(series.column(rows, "attempts_squares_100ms"))
    staleness = latency.between(run.histograms.get("staleness", {}), from_s, to_s)
    stale_client_s = series.column(rows, "stale_client_s")
    ticks = ticks_due(run, from_s, ticks_to_s)
    wasted = _count(rows, "gone_early") + _count(rows, "short_sessions")
    tls = any(series.mean(series.column(run.rows, name)) is not None for name in TLS)
    return Storm(
        from_s=from_s,
        to_s=to_s,
        availability=series.availability(rows),
        staleness_p50_ms=_ms(50, staleness),
        staleness_p99_ms=_ms(99, staleness),
        staleness_max_ms=_ms(100, staleness),
        stale_client_s=None if series.mean(stale_client_s) is None else series.total(stale_client_s),
        attempts=attempts,
        attempts_peak_per_s=series.highest(series.column(rows, "attempts")) or 0.0,
        disconnects=disconnects,
        stale=_count(rows, "stale"),
        gave_up=_count(rows, "gave_up"),
        gave_up_by_reason={
            reason: clients for reason in GAVE_UP if (clients := _count(rows, f"gave_up_{reason}"))
        },
        amplification=series.ratio(attempts, disconnects),
        burst_peak=None if peak_in_slot is None else series.ratio(peak_in_slot, per_slot),
        burst_dispersion=series.ratio(squares / slots - per_slot**2, per_slot),
        limited=_count(rows, "limited"),
        nginx_limited=(
            run.info.nginx_limited
            if series.mean(series.column(rows, "nginx_limited")) is None
            else _count(rows, "nginx_limited")
        ),
        refusals=refusals(rows, run.info.scenario),
        outcomes={outcome: _count(rows, outcome) for outcome in OUTCOMES},
        missed=_count(rows, "missed"),
        wasted_work=series.ratio(wasted, _count(rows, "handshakes")),
        recovery=session_recovery(rows, ticks),
        tls_full=_count(rows, "tls_full") if tls else None,
        tls_resumed=_count(rows, "tls_resumed") if tls else None,
        tls_cpu_share=_tls_cpu_share(run.info.tls_costs, rows),
        ticks=ticks,
    )


def _tls_cpu_share(costs: TlsCosts | None, rows: Sequence[Row]) -> float | None:
    full, resumed = _count(rows, "tls_full"), _count(rows, "tls_resumed")
    if costs is None or (resumed and costs.resumed_cpu_s is None):
        return None
    handshakes_s = full * costs.full_cpu_s + resumed * (costs.resumed_cpu_s or 0.0)
    return series.ratio(handshakes_s, series.total(series.column(rows, "nginx_cpu")))


def _recovery(run: Run, unaided: tuple[int, int] | None) -> Recovery:
    window_s = int(run.info.scenario.get("phases", {}).get("recovery_window_s", DEFAULT_WINDOW_S))
    stretch = aftermath(run)
    if unaided is None or stretch is None:
        return Recovery(window_s=window_s)
    found = recovery(run, baseline_of(run), *stretch, window_s)
    if found.time_to_recover_s is None:
        return found
    last = last_mitigation(run, unaided[0], stretch[0] + found.time_to_recover_s)
    return replace(found, mitigation=last, after_mitigation_s=last.after_s if last else None)


def _final(recovered: Recovery, unaided: tuple[int, int] | None) -> Phase | None:
    if unaided is None:
        return None
    from_s, to_s = unaided
    first_s = max(from_s, to_s - recovered.window_s)
    if recovered.time_to_recover_s is not None and recovered.counted_from_s is not None:
        first_s = recovered.counted_from_s + recovered.time_to_recover_s
    return Phase("final", first_s, min(to_s, first_s + recovered.window_s))


def _tick_cpu_s(rows: Sequence[Row]) -> float | None:
    cpu, sent = series.column(rows, "pod_cpu_total"), series.column(rows, "ticks_sent")
    return series.ratio(series.total(cpu), series.total(sent)) if series.mean(cpu) is not None else None


def _ms(percent: float, values: latency.Counts) -> float | None:
    value = latency.percentile(percent, values)
    return value.ms if value else None


def _count(rows: Sequence[Row], name: str) -> int:
    return round(series.total(series.column(rows, name)))


def lost_while_calm(run: Run, calm: Sequence[Row], clients: int) -> Iterator[tuple[str, str]]:
    """Disconnects and attempts in the first seconds of a run, where they are too many: (what, figures)."""
    allowed = max(1, int(_LOST_SHARE * clients))
    for name, what, others in (
        ("disconnects", "disconnects", 0.0),
        ("attempts", "connection attempts", attempts_of_unserved(run, 0, len(calm))),
    ):
        number = sum(series.present(calm, name)) - others
        if number > allowed:
            yield what, f"expected ≤ {allowed} with {count(clients)} clients, got {number:.0f}"
