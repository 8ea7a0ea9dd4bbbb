"""The chapters on what happened: the hypothesis, who was affected, when, the mitigations, the cost."""

from collections.abc import Callable

from reports.alerts.detections import Detection
from reports.alerts.rules import ALERT_RULES, EVALUATION_INTERVAL_S, SCRAPE_INTERVAL_S
from reports.analysis.metrics import PhaseSummary
from reports.analysis.reference import reference_text
from reports.analysis.slo import StatedBound
from reports.page.impact import impact_sentences
from reports.page.notes import ACTIONS, GROUPS, SHARED_IPS, STRETCH
from reports.page.pods import pod_sentences, pod_table
from reports.page.refusals import refusal_table
from reports.page.shared_ips import fleet_group_table, shared_ip_table
from reports.rehearsal.blocks import Block, Points, Table, Words
from reports.rehearsal.facts import Facts
from reports.rehearsal.fixes import fix_sentences
from reports.rehearsal.outcome import HYPOTHESIS_RESULTS, time_to_recover
from reports.rehearsal.timeline import timeline_table
from reports.rundir.reader import proxy_name
from reports.text import units
from reports.text.tables import TextTable

_NO_TRIGGER = "There was no trigger, or nothing was recorded after it."


def hypothesis(found: Facts) -> tuple[Block, ...]:
    """What the rehearsal set out to show, as a bound, and what came out."""
    result = found.hypothesis
    if result is None:
        return (Words("The scenario states no hypothesis."),)
    words = result.bound.statement if isinstance(result.bound, StatedBound) else ""
    statement = (Words(f"“{words}”"),) if words else ()
    answer = units.capitalised(HYPOTHESIS_RESULTS[result.met])
    return (*statement, Words(f"{answer}: expected {result.rule}; got {result.found_text}."))


def steady_state(found: Facts) -> tuple[Block, ...]:
    """The service before the trigger, during the storm, and at the end."""
    summary = found.judgement.summary
    stretches = [
        (name, phase)
        for name, phase in (
            ("before", summary.before),
            ("during", summary.during),
            ("at the end", summary.final),
        )
        if phase is not None
    ]
    if not stretches:
        return (Words("Nothing was recorded in the steady state."),)
    measures: tuple[tuple[str, Callable[[PhaseSummary], str]], ...] = (
        ("seconds, from the trigger", lambda phase: _stretch(phase.from_s, phase.to_s, found)),
        ("availability", lambda phase: units.percent(phase.availability)),
        ("effective p99 (all clients)", lambda phase: units.latency(phase.effective_p99)),
        ("fan-out p99 (delivered ticks)", lambda phase: units.milliseconds(phase.fanout_p99_ms)),
        ("fan-out p99 by stamp", lambda phase: units.milliseconds(phase.fanout_by_stamp_p99_ms)),
        ("staleness p99", lambda phase: units.milliseconds(phase.staleness_p99_ms)),
        ("connection attempts", lambda phase: units.per_second(phase.attempts_per_s)),
        ("event loop utilisation of the pods", lambda phase: units.percent(phase.pod_loop)),
        ("CPU per pod", lambda phase: units.percent(phase.pod_cpu)),
        (f"{proxy_name([found.run])} CPU", lambda phase: units.percent(phase.nginx_cpu)),
    )
    recovery = summary.recovery
    last = (
        "At the end: the first window in which the service had recovered."
        if recovery.time_to_recover_s is not None
        else f"At the end: the last {recovery.window_s} s before the rescue or the end. Not recovered: "
        f"{'; '.join(recovery.missing) or 'nothing was recorded to judge it by'}."
    )
    table = TextTable(
        label="The steady state before, the storm, and the end",
        headings=("measure", *(name for name, _ in stretches)),
        rows=tuple(
            (name, *(text(phase) for _, phase in stretches))
            for name, text in measures
            if not name.endswith("by stamp") or found.run.info.reference == "schedule"
        ),
    )
    reserved = found.run.info.scenario.get("gateway", {}).get("cpu") in {"reserve", "occupy"}
    note = " Handshakes occupy the event loop without using CPU: see pod loop, not pod CPU."
    reference = reference_text([found.run])
    counted = f" Latencies count from: {reference}." if reference else ""
    return (Table(table), Words(f"{last}{note if reserved else ''}{counted}", quiet=True))


def blast_radius(found: Facts) -> tuple[Block, ...]:
    """How many clients and pods were affected."""
    blast = found.blast
    if blast is None:
        return (Words(_NO_TRIGGER),)
    clients = max(1, blast.clients)
    alone = {found.run.info.arm: found.run}
    pods = pod_sentences(alone) or (("No pod was saturated.",) if blast.pods else ())
    points = (
        f"{units.count(blast.out_at_worst)} of {units.count(blast.clients)} clients "
        f"({units.percent(blast.out_at_worst / clients)}) were not served in the worst second, "
        f"{units.seconds(blast.worst_s)} after the trigger.",
        f"{units.count(blast.disconnects)} disconnects, {units.times(blast.disconnects / clients)} the "
        "number of clients.",
        *pods,
    )
    table = pod_table(alone)
    return (
        Points(points),
        *([Table(table.without_first_column())] if table else []),
    )


def detection(found: Facts) -> tuple[Block, ...]:
    """When each alert rule for Prometheus would have fired."""
    if not found.detections:
        return (Words(_NO_TRIGGER),)
    rules = [(ALERT_RULES[one.rule], one) for one in found.detections]
    table = TextTable(
        label="Time from the trigger to the alert",
        headings=("alert", "condition", "lasting", "fires after"),
        rows=tuple(
            (rule.name, rule.filled_in(rule.condition), units.seconds(rule.for_s), fires_after(one))
            for rule, one in rules
        ),
        words=frozenset({"condition", "fires after"}),
    )
    silent = all(one.earliest_s is None and one.known and not one.before for one in found.detections)
    looks = (
        f"The rules are those of deploy/monitoring/alerts.yml, applied to the seconds of this run until the "
        f"rescue or the end. Prometheus scrapes every {SCRAPE_INTERVAL_S} s and evaluates every "
        f"{EVALUATION_INTERVAL_S} s: the first figure is for the best moments, the second for the worst."
    )
    return (
        *((Words("No alert rule would have fired."),) if silent else ()),
        Table(table),
        Words(looks, quiet=True),
    )


def fires_after(one: Detection) -> str:
    """`5 to 7 s` after the trigger, or why there is no such time."""
    if not one.known:
        return "not recorded"
    if one.before:
        return "fired before the trigger"
    if one.earliest_s is None:
        return "never"
    if one.latest_s is None:
        return f"{units.seconds(one.earliest_s)}, or never"
    if one.earliest_s == one.latest_s:
        return units.seconds(one.earliest_s)
    return f"{one.earliest_s} to {units.seconds(one.latest_s)}"


def timeline(found: Facts) -> tuple[Block, ...]:
    """Events, actions and alerts."""
    fired = tuple(
        f"{units.seconds(alert.t_s)}: "
        f"{alert.text}{'' if alert.objective else ' (watched in every rehearsal)'}"
        for alert in found.alerts
    )
    detected = (
        (
            Words("An alert could have fired at these seconds, each the first that violated its bound:"),
            Points(fired),
        )
        if fired
        else (Words("No second violated a bound: no alert would have fired."),)
    )
    explained = (
        f"{ACTIONS} Effective p99 counts all clients by the second in which ticks were due, so an alert on "
        "it fires only once they are late."
    )
    return (Table(timeline_table(found)), Words(explained, quiet=True), *detected)


def impact(found: Facts) -> tuple[Block, ...]:
    """Client impact."""
    sentences = impact_sentences({found.run.info.arm: [found.run]})
    if not sentences:
        return (Words("There was no trigger, so no client was affected."),)
    return (Points(sentences), Words(STRETCH, quiet=True))


def mitigations(found: Facts) -> tuple[Block, ...]:
    """The effect of each mitigation."""
    if not found.fixes:
        return (Words("No mitigation was applied."),)
    explained = (
        "Availability and attempts: in the 5 s before the mitigation, and in the last 5 s before the next "
        f"one. Time to recover: {time_to_recover(found)} from the trigger’s end. One run shows what "
        "followed a mitigation, not what it caused."
    )
    return (
        Points(fix_sentences(found.fixes, found.judgement.summary)),
        Words(explained, quiet=True),
    )


def shared_ips(found: Facts) -> tuple[Block, ...]:
    """Clients by group of the fleet and by shared IP, and refusals as each side counted them."""
    run = found.run
    by_group = fleet_group_table({run.info.arm: [run]})
    groups: tuple[Block, ...] = ()
    if by_group is not None:
        shown = Table(by_group.without_first_column())
        groups = (Words(f"{by_group.label}:"), shown, Words(GROUPS, quiet=True))
    table = shared_ip_table({run.info.arm: [run]})
    if table is None:
        nobody = Words("No client was refused by a limit, and no IP had more clients than others.")
        return (*groups, nobody)
    refused = refusal_table({run.info.arm: run})
    return (
        *groups,
        Table(table.without_first_column()),
        Words(SHARED_IPS, quiet=True),
        *((Words(f"{refused.label}:"), Table(refused.without_first_column())) if refused else ()),
    )


def _stretch(from_s: int, to_s: int, found: Facts) -> str:
    zero_s = found.run.info.trigger_s or 0
    return f"{from_s - zero_s} to {to_s - zero_s}".replace("-", "\u2212")
