"""Can a run be trusted? One that cannot says so, with the figure that gave it away.

Problems make a run INVALID; warnings are for the reader. Each rule is one function from a run and its
numbers to the sentences it has to say.
"""

from collections.abc import Iterator
from statistics import median

from msgspec import Struct

from reports.analysis.actions import (
    early_reloads_hint,
    first_fault_end_s,
    latest_strike,
    trigger_name,
    workers_killed_s,
)
from reports.analysis.disturbance import taken
from reports.analysis.metrics import Summary, lost_while_calm
from reports.analysis.own_gateway import own_gateway_warnings
from reports.analysis.pods import received_beyond_sent
from reports.analysis.reference import feed_warnings
from reports.analysis.refusals import refusal_warnings
from reports.analysis.shared_ips import client_timeouts_s, watchdogs_by_age_s
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row
from reports.text.units import distinct, expected, milliseconds, percent

GENERATOR_LAG_MS = 5.0
GENERATOR_LAG_SHARE_OF_EFFECT = 0.10
LATE_SECONDS_SHARE = 0.005
"""So few late seconds cannot move a 99th percentile; in less than 200 s there may be none."""
LATENESS_SHARE_OF_TIMEOUT = 0.25
"""With a later generator, clients time out on answers that a real client would still have got in time."""
GENERATOR_CPU = 0.95
GENERATOR_CPU_SECONDS = 3
TICK_LATE_MS = 50.0
TICK_LATE_POD_LOOP = 0.8
TICK_LATE_SHARE = 0.10
CLOCK_ERROR_MS = 5.0
CLOCK_ERROR_SHARE_OF_EFFECT = 0.10
CLOCK_AHEAD_MS = 1.0
EARLY_TICKS_SHARE = 0.001
EARLY_TICKS = 5
"""A few ticks may seem early while the wall clock, by which the kernel stamps what it receives, is set."""
BASELINE_POD_LOOP = 0.7
TRIGGER_SECONDS = 2
DROPS_AT_ONCE = ("drop_all", "drop_share", "kill_pod", "nginx_restart")
"""Faults that disconnect clients at once; others only make ticks late, which clients may tolerate."""
DROPS_IN_TIME = ("rolling_restart",)
"""Faults that disconnect clients before they end: a gateway of the user's own may drain first."""
RETRY_LATE_MS = 20.0
STRIKE_LATE_MS = 250.0
OBSERVED = ("before", "during", "after", "rescue", "tail")
"""The phases by which a verdict is reached."""


class Evidence(Struct, frozen=True):
    """What a rule judges by."""

    run: Run
    summary: Summary


class Validity(Struct, frozen=True):
    """Whether a run can be trusted, why not, and what else its reader should know."""

    valid: bool
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    invalidated_by_host: bool = False
    """The run is complete, but other load on the host distorted it: a retry may be valid."""


def check(run: Run, summary: Summary) -> Validity:
    """Applies every rule; a run that stopped early is judged by what it has."""
    evidence = Evidence(run, summary)
    problems = tuple(problem for rule in PROBLEMS for problem in rule(evidence))
    warnings = tuple(warning for rule in WARNINGS for warning in rule(evidence))
    return Validity(not problems, problems, warnings, invalidated_by_host=_invalidated_by_host(evidence))


def _invalidated_by_host(evidence: Evidence) -> bool:
    if evidence.run.info.status != "complete":
        return False
    # A generator that is late although it was not busy was delayed by other load on the host.
    late_for_no_reason = any(_generator_lag(evidence)) and not any(_generator_saturated(evidence))
    return late_for_no_reason or any(_noisy_host(evidence)) or any(_strike_late(evidence))


def _incomplete(evidence: Evidence) -> Iterator[str]:
    """The run ended too early, or nothing was recorded before the trigger."""
    if evidence.run.info.status != "complete":
        because = f": {evidence.run.info.problem}" if evidence.run.info.problem else ""
        state = "still running" if evidence.run.info.status == "running" else evidence.run.info.status
        yield f"the run is {state}, not complete{because}"
    elif evidence.summary.before is None:
        yield "no baseline: nothing was recorded before the trigger"


def _generator_lag(evidence: Evidence) -> Iterator[str]:
    """The load generator was late: latencies would be its own. Use fewer clients, or more cores."""
    steady = series.present(_phase_rows(evidence.run, "before"), "generator_lag_p99_ms")
    if steady and median(steady) > GENERATOR_LAG_MS:
        _, lag = distinct(milliseconds, GENERATOR_LAG_MS, median(steady))
        yield (
            "load generator late before the trigger: median of the p99 loop lag per second: "
            f"expected ≤ {GENERATOR_LAG_MS:g} ms, got {lag}"
        )
    trigger_s = evidence.run.info.trigger_s
    if trigger_s is None:
        return
    # A process that stood still says so in the second in which that began.
    late = [
        lag_ms
        for row in _phase_rows(evidence.run, *OBSERVED)
        if (lag_ms := row.get("generator_lag_p99_ms")) is not None
        and (row["t_s"] or 0) + 1 + lag_ms / 1000 > trigger_s
    ]
    for allowed_ms, basis, left_out in _allowed_lags(evidence, len(late)):
        if late and (lag_ms := sorted(late)[-1 - left_out]) > allowed_ms:
            allowed, lag = distinct(milliseconds, allowed_ms, lag_ms)
            which = f"a second but the {left_out} latest" if left_out else "a second"
            yield (
                f"load generator late during the storm: highest p99 loop lag of {which}: "
                f"expected ≤ {allowed} ({basis}), got {lag}"
            )
            return


def _allowed_lags(evidence: Evidence, seconds: int) -> list[tuple[float, str, int]]:
    """(how late, in ms, at least as in the baseline; why; how many of the storm's seconds may be later)."""
    effect_ms, timeouts = _effect_ms(evidence), client_timeouts_s(evidence.run.info.scenario)
    later = int(LATE_SECONDS_SHARE * seconds) if timeouts else 0
    by_effect_ms = max(GENERATOR_LAG_MS, GENERATOR_LAG_SHARE_OF_EFFECT * effect_ms)
    share_ms = 1000 * LATENESS_SHARE_OF_TIMEOUT
    by_timeout = [(share_ms * after_s, f"{name} = {after_s:g}", 0) for name, after_s in timeouts.items()]
    return sorted([(by_effect_ms, _effect_text(effect_ms), later), *by_timeout])


def _clock_error(evidence: Evidence) -> Iterator[str]:
    """The clocks of two processes differ by too much of the effect that the run measures."""
    clocks = evidence.run.info.clocks
    if not clocks:
        return
    worst = max(clocks, key=lambda clock: clock.error_ns)
    effect_ms, error_ms = _effect_ms(evidence), worst.error_ns / 1e6
    allowed_ms = max(CLOCK_ERROR_MS, CLOCK_ERROR_SHARE_OF_EFFECT * effect_ms)
    basis = _effect_text(effect_ms)
    # The age of a tick is the one thing that clients judge by two clocks.
    for name, stale_after_s in watchdogs_by_age_s(evidence.run.info.scenario).items():
        by_age_ms = 1000 * LATENESS_SHARE_OF_TIMEOUT * stale_after_s
        if by_age_ms < allowed_ms:
            allowed_ms, basis = by_age_ms, f"{name} = {stale_after_s:g}"
    if error_ms > allowed_ms:
        allowed, error = distinct(milliseconds, allowed_ms, error_ms)
        yield f"clock uncertainty of {worst.process}: expected ≤ {allowed} ({basis}), got {error}"


def _clock_ahead(evidence: Evidence) -> Iterator[str]:
    """The publisher's clock is ahead of this host's: set both clocks, or run both on one host."""
    ticks, early = _sum(evidence.run.rows, "ticks"), _sum(evidence.run.rows, "early")
    ahead_ms = max(series.present(evidence.run.rows, "earliest_ms"), default=0.0)
    known_to_ms = max((clock.error_ns / 1e6 for clock in evidence.run.info.clocks), default=0.0)
    if early > max(EARLY_TICKS, EARLY_TICKS_SHARE * ticks) and ahead_ms > CLOCK_AHEAD_MS + known_to_ms:
        yield (
            f"the publisher's clock is ahead by at least {milliseconds(ahead_ms)}: {early:.0f} of "
            f"{ticks:.0f} ticks were received before they were due; latencies and staleness read too low by "
            "at least that"
        )


def _clock_set(evidence: Evidence) -> Iterator[str]:
    """A wall clock was set while the run went on: leave clocks alone meanwhile, or let NTP slew them."""
    for event in evidence.run.events:
        if event["event"] == "clock_set":
            by = f"{event['by_ms'] / 1000:+.2f} s ({event['process']})"
            yield f"a wall clock was set by {by}: receipts are stamped, and proxies write logs, by that clock"


def _effect_ms(evidence: Evidence) -> float:
    """By how much the trigger raised effective p99."""
    before, during = evidence.summary.before, evidence.summary.during
    before_ms = before.effective_p99.ms if before and before.effective_p99 else 0.0
    during_ms = during.effective_p99.ms if during and during.effective_p99 else 0.0
    return max(0.0, during_ms - before_ms)


def _effect_text(effect_ms: float) -> str:
    if not effect_ms:
        return "the trigger did not raise effective p99"
    return f"the trigger raised effective p99 by {milliseconds(effect_ms)}"


def _generator_saturated(evidence: Evidence) -> Iterator[str]:
    """The load generator used its whole core: use fewer clients, or more cores for it."""
    cpu = [row.get("generator_cpu") for row in evidence.run.rows if (row["t_s"] or 0) >= 0]
    runs = zip(*(cpu[offset:] for offset in range(GENERATOR_CPU_SECONDS)), strict=False)
    means = [sum(part) / GENERATOR_CPU_SECONDS for part in runs if None not in part]
    if means and max(means) >= GENERATOR_CPU:
        yield (
            f"the load generator's core was saturated: mean of {GENERATOR_CPU_SECONDS} s: "
            f"{expected('<', percent, GENERATOR_CPU, max(means))}"
        )


def _feed_late(evidence: Evidence) -> Iterator[str]:
    """Ticks left late although the pods had time: the host, or the publisher, was busy."""
    calm = [
        row["tick_late_ms"]
        for row in _phase_rows(evidence.run, "before")
        if row.get("tick_late_ms") is not None and (row.get("pod_loop_max") or 0.0) < TICK_LATE_POD_LOOP
    ]
    late = [value for value in calm if value is not None and value > TICK_LATE_MS]
    if calm and len(late) > TICK_LATE_SHARE * len(calm):
        yield (
            f"the feed was late although the pods were not busy: by more than {TICK_LATE_MS:g} ms in "
            f"{len(late)} of {len(calm)} seconds before the trigger, up to {milliseconds(max(late))}"
        )


def _noisy_host(evidence: Evidence) -> Iterator[str]:
    """Other processes, or the hypervisor, took CPU from the run: end the other load, or repeat the run."""
    # An external target may run on this host: its CPU then counts as that of other processes.
    own_stack = not evidence.run.info.scenario.get("target", {}).get("url")
    rows = _phase_rows(evidence.run, *OBSERVED)
    for worst in taken(rows, evidence.run.info.machine, foreign=own_stack):
        if worst.too_much:
            yield worst.sentence


def _exhausted(evidence: Evidence) -> Iterator[str]:
    """This host has too few ports or file descriptors for the clients: `doctor` counts them."""
    for column, what in (
        ("exhausted", "attempts could not start"),
        ("unopened", "connections of joined sessions could not be opened"),
    ):
        if number := _sum(evidence.run.rows, column):
            yield f"this host ran out of ports or file descriptors: {number:.0f} {what}"


def _more_received_than_sent(evidence: Evidence) -> Iterator[str]:
    """Clients received ticks that no pod sent: another publisher sends as well."""
    if beyond := received_beyond_sent(evidence.run):
        yield f"more ticks received than sent: {beyond[0]:.0f} received, {beyond[1]:.0f} sent"


def _baseline_unsteady(evidence: Evidence) -> Iterator[str]:
    """The service was not steady before the trigger: use fewer clients, a slower feed, or more pods."""
    run, summary = evidence.run, evidence.summary
    rows = _phase_rows(run, "before")
    shares = series.shares(series.column(rows, "useful"), series.column(rows, "clients"))
    low = shares[shares < series.SERVED_WELL]
    if len(low):
        yield (
            "the baseline is not steady: clients served in its worst second: "
            f"{expected('≥', percent, series.SERVED_WELL, low.min())}"
        )
    # Processes agree on where a second ends to some tens of milliseconds: what the trigger did first may have
    # been counted in the second before it.
    calm = rows if run.info.trigger_s is None else rows[:-1]
    hint = early_reloads_hint(run)
    for what, figures in lost_while_calm(run, calm, summary.clients):
        yield f"the baseline is not steady: {what} before the trigger: {figures}{hint}"
    loop = summary.before.pod_loop if summary.before else None
    if loop is not None and loop > BASELINE_POD_LOOP:
        yield (
            "the baseline is overloaded: utilisation of the pods' event loops: "
            f"{expected('≤', percent, BASELINE_POD_LOOP, loop)}"
        )


def _trigger_without_effect(evidence: Evidence) -> Iterator[str]:
    """The trigger disconnected no client and delayed no tick: there was no storm."""
    trigger = evidence.run.info.trigger_s
    if trigger is None or evidence.run.info.control:
        return
    name, least_s = trigger_name(evidence.run), trigger + TRIGGER_SECONDS
    if name in DROPS_AT_ONCE or name in DROPS_IN_TIME:
        until_s = least_s if name in DROPS_AT_ONCE else max(least_s, first_fault_end_s(evidence.run))
        rows = evidence.run.between(trigger, until_s)
        if len(rows) >= TRIGGER_SECONDS and not _sum(rows, "disconnects"):
            yield f"the trigger had no effect: no client was disconnected within {len(rows)} s"
        return
    storm = evidence.summary.storm
    if storm is not None and not storm.disconnects and not storm.stale_client_s:
        yield "the trigger had no effect: no client was disconnected, and none had data older than 1 s"


def _strike_late(evidence: Evidence) -> Iterator[str]:
    """This program itself stood still when an event or the rescue was due: end other load on its host."""
    name, late_s = latest_strike(evidence.run)
    if late_s * 1000 > STRIKE_LATE_MS:
        late = expected("≤", milliseconds, STRIKE_LATE_MS, late_s * 1000)
        yield f"this program stood still: {name} began after its scheduled time: {late}"


def _not_pinned(evidence: Evidence) -> Iterator[str]:
    """Load generator and stack share cores."""
    if evidence.run.info.machine.get("pinned") is False:
        yield "load generator and stack were not pinned to separate cores: they may have slowed each other"


def _predicted(evidence: Evidence) -> Iterator[str]:
    """The simulator made this run."""
    if evidence.run.info.predicted:
        yield "predicted by a model, not measured"


def _feed(evidence: Evidence) -> Iterator[str]:
    """The feed could not be timed or numbered as it should."""
    final = evidence.summary.final
    yield from feed_warnings(evidence.run, (final.from_s, final.to_s) if final else None)


def _other_processes_unknown(evidence: Evidence) -> Iterator[str]:
    """CPU of other processes was not measured."""
    if evidence.run.info.status != "complete":
        return
    rows = _phase_rows(evidence.run, "before", "during", "after", "tail")
    own_stack = not evidence.run.info.scenario.get("target", {}).get("url")
    if rows and own_stack and not evidence.run.info.predicted and not series.present(rows, "foreign_cpu"):
        yield "CPU of other processes is not known: the parts ran on several hosts"


def _attempts_delayed_by_cap(evidence: Evidence) -> Iterator[str]:
    """The cap `fleet.max_attempts_per_s` delayed attempts: the policy alone would make more."""
    if delayed := _sum(_phase_rows(evidence.run, "during", "after", "tail"), "held_back"):
        yield (
            f"the cap fleet.max_attempts_per_s delayed {delayed:.0f} attempts: "
            "attempts were fewer than the policy would make"
        )


def _clients_missing(evidence: Evidence) -> Iterator[str]:
    """A process of the load generator died, or was cut off, and its clients with it."""
    if missing := max(series.present(evidence.run.rows, "missing"), default=0.0):
        yield f"a load generator process was lost with {missing:.0f} clients: they count as not served"


def _worker_killed(evidence: Evidence) -> Iterator[str]:
    """A worker of nginx was killed, by no event of the scenario, and its clients' connections with it."""
    for second in sorted({*workers_killed_s(evidence.run)}):
        yield f"a worker of nginx was killed in second {second}, see its error.log: clients were disconnected"


def _attempts_late(evidence: Evidence) -> Iterator[str]:
    """Attempts started later than the policy said."""
    late = [
        (row["retry_late_p99_ms"] or 0.0, row.get("generator_cpu") or 0.0)
        for row in _phase_rows(evidence.run, "during", "after", "tail")
        if row.get("retry_late_p99_ms") is not None
    ]
    worst_ms, cpu = max(late, default=(0.0, 0.0))
    if worst_ms > RETRY_LATE_MS:
        yield (
            f"in the worst second, 1 % of the attempts started ≥ {milliseconds(worst_ms)} after the time set "
            f"by the policy; the load generator used {percent(cpu)} of a core in that second"
        )


PROBLEMS = (
    _incomplete,
    _generator_lag,
    _generator_saturated,
    _clock_error,
    _clock_ahead,
    _clock_set,
    _feed_late,
    _noisy_host,
    _exhausted,
    _more_received_than_sent,
    _baseline_unsteady,
    _trigger_without_effect,
    _strike_late,
    _attempts_delayed_by_cap,
    _clients_missing,
    _worker_killed,
)
WARNINGS = (
    _predicted,
    _feed,
    lambda evidence: refusal_warnings(evidence.run),
    _attempts_late,
    _not_pinned,
    _other_processes_unknown,
    lambda evidence: own_gateway_warnings(evidence.run),
)


def _phase_rows(run: Run, *names: str) -> list[Row]:
    phases = [phase for phase in run.info.phases if phase.name in names]
    return [row for phase in phases for row in run.between(phase.from_s, phase.to_s)]


def _sum(rows: list[Row] | tuple[Row, ...], name: str) -> float:
    return sum(series.present(rows, name))
