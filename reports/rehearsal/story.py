"""The chapters that tell what happened: who was hit, when, what was done, what it cost."""

from collections.abc import Callable

from reports.analysis.metrics import PhaseSummary
from reports.analysis.shared_ips import neighbour_rows
from reports.page.impact import impact_sentences
from reports.page.pods import pod_sentences, pod_table
from reports.page.refusals import refusal_table
from reports.rehearsal.blocks import Block, Points, Table, Words
from reports.rehearsal.facts import Facts
from reports.rehearsal.fixes import fix_sentences
from reports.rehearsal.outcome import time_to_recover
from reports.rehearsal.timeline import timeline_table
from reports.text import units
from reports.text.proxy_name import front_of
from reports.text.tables import TextTable

CAPTION = (
    "Thick lines are what a panel is named after. Shaded: the phase “during”, and whatever went on for a "
    "while. Vertical lines are events."
)


def hypothesis(found: Facts) -> tuple[Block, ...]:
    """What the rehearsal set out to show, as a bound, and what came out."""
    held = found.hypothesis
    if held is None:
        return (Words("The scenario states none."),)
    statement = (Words(f"“{held.bound.statement}”"),) if held.bound.statement else ()
    answer = {True: "It held", False: "It did not hold", None: "That is not known"}[held.kept]
    return (*statement, Words(f"As a bound: {held.rule}. Found: {held.found_text}. {answer}."))


def steady_state(found: Facts) -> tuple[Block, ...]:
    """The service before it, during it, and at the end."""
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
        ("p99 over all clients (effective)", lambda phase: units.latency(phase.effective_p99)),
        ("p99 of the ticks that arrived (fan-out)", lambda phase: units.milliseconds(phase.fanout_p99_ms)),
        ("staleness p99", lambda phase: units.milliseconds(phase.staleness_p99_ms)),
        ("tries to connect", lambda phase: units.per_second(phase.attempts_per_s)),
        ("pods’ event loops occupied", lambda phase: units.percent(phase.pod_loop)),
        ("CPU per pod", lambda phase: units.percent(phase.pod_cpu)),
        (f"{front_of([found.run])} CPU", lambda phase: units.percent(phase.nginx_cpu)),
    )
    recovery = summary.recovery
    last = (
        "At the end: the first stretch in which everything was as before again."
        if recovery.time_to_recover_s is not None
        else f"At the end: the last {recovery.window_s} s before the rescue or the end. Not recovered: "
        f"{'; '.join(recovery.missing) or 'nothing was there to tell it by'}."
    )
    table = TextTable(
        label="The steady state before, the storm, and the end",
        headings=("measure", *(name for name, _ in stretches)),
        rows=tuple((name, *(text(phase) for _, phase in stretches)) for name, text in measures),
    )
    reserved = found.run.info.scenario.get("gateway", {}).get("cpu") == "occupy"
    note = " Handshakes occupy the event loop without using CPU: see pod loop, not pod CPU."
    return (Table(table), Words(f"{last}{note if reserved else ''}", quiet=True))


def blast_radius(found: Facts) -> tuple[Block, ...]:
    """Who was hit."""
    blast = found.blast
    if blast is None:
        return (Words("Nothing struck, or nothing was recorded after it."),)
    clients = max(1, blast.clients)
    alone = {found.run.info.arm: found.run}
    pods = pod_sentences(alone) or (("No pod was ever saturated.",) if blast.pods else ())
    points = (
        f"{units.count(blast.out_at_worst)} of {units.count(blast.clients)} clients "
        f"({units.percent(blast.out_at_worst / clients)}) had no tick under 1 s old in the worst second, "
        f"{units.seconds(blast.worst_s)} after the trigger.",
        f"{units.count(blast.disconnects)} connections were lost, {units.times(blast.disconnects / clients)} "
        "the number of clients.",
        *pods,
    )
    table = pod_table(alone)
    return (
        Points(points),
        *([Table(_without_group(table))] if table else []),
    )


def timeline(found: Facts) -> tuple[Block, ...]:
    """Detection, what was done, what followed."""
    broke = tuple(
        f"{units.seconds(alert.t_s)}: {alert.text}{'' if alert.objective else ' (watched in any case)'}"
        for alert in found.alerts
    )
    detected = (
        (
            Words("An alert could have fired at these seconds, each the first in which its bound broke:"),
            Points(broke),
        )
        if broke
        else (Words("No bound broke in any second: no alert would have fired."),)
    )
    explained = (
        "Seconds count from the trigger. Before → after: the five seconds before it, and the five that begin "
        "five seconds after its end. What was seen after something need not be its doing. “–”: not recorded, "
        "or over before. p99 counts all clients by the second in which ticks were due, so an alert on it "
        "fires only once they are late."
    )
    return (Table(timeline_table(found)), Words(explained, quiet=True), *detected)


def impact(found: Facts) -> tuple[Block, ...]:
    """What it cost the clients."""
    told = impact_sentences({found.run.info.arm: [found.run]})
    if not told:
        return (Words("Nothing struck, so nobody lost anything."),)
    return (Points(told), Words("From the trigger to the end of “after”.", quiet=True))


def wrong_and_real_fix(found: Facts) -> tuple[Block, ...]:
    """What of that which was done can have ended it."""
    if not found.fixes:
        return (Words("Nothing was done against it before it ended."),)
    explained = (
        f"Availability and tries: in the five seconds before, and in the last five before the next thing was "
        f"done. It recovered after {time_to_recover(found)} from the trigger’s end. One run shows what "
        "followed what, not what caused what."
    )
    return (
        Points(fix_sentences(found.fixes, found.judgement.summary)),
        Words(explained, quiet=True),
    )


def nat_victims(found: Facts) -> tuple[Block, ...]:
    """Clients that share their address."""
    rows = neighbour_rows({"": [found.judgement.summary.neighbours]})
    if not rows:
        return (Words("No limit refused anybody, and no clients shared an address with more than others."),)
    table = TextTable(
        label="Clients by how many share their source address",
        headings=(
            "behind one address",
            "clients",
            "availability",
            "tries",
            "refused by a limit",
            "back after",
        ),
        rows=tuple(
            (row.clients_per_ip, row.clients, row.availability, row.attempts, row.limited, row.back_after)
            for row in rows
        ),
    )
    refused = refusal_table({found.run.info.arm: found.run})
    return (
        Table(table),
        *((Words(f"{refused.label}:"), Table(_without_group(refused))) if refused else ()),
        Words(
            "From the trigger on. Back after: from its end until 99 % of them were usefully connected, and "
            "stayed so.",
            quiet=True,
        ),
    )


def _stretch(from_s: int, to_s: int, found: Facts) -> str:
    zero_s = found.run.info.trigger_s or 0
    return f"{from_s - zero_s} to {to_s - zero_s}".replace("-", "\u2212")


def _without_group(table: TextTable) -> TextTable:
    """The table of a single run, which needs no column with its name."""
    return TextTable(
        label=table.label,
        headings=table.headings[1:],
        rows=tuple(row[1:] for row in table.rows),
        words=table.words,
    )
