"""The outcome of a rehearsal, for readers of a single paragraph."""

from collections.abc import Iterator

from reports.analysis.actions import fired_events
from reports.analysis.slo import SloResult
from reports.compare.event_text import spoken_words
from reports.rehearsal.blocks import Tile
from reports.rehearsal.facts import Facts
from reports.rundir import series
from reports.text import units

GOOD_VERDICTS = frozenset({"RECOVERED", "STEADY"})
HYPOTHESIS_RESULTS = {True: "confirmed", False: "refuted", None: "not tested"}


def outcome(found: Facts) -> str:
    """The trigger, its reach, what ended it and what it cost: one paragraph."""
    return " ".join(
        [*_trigger(found), *_ended(found), *_mitigations(found), *_cost(found), *_hypothesis(found)]
    )


def alarms(found: Facts) -> tuple[str, ...]:
    """Why the result is not reliable, the most important reason first."""
    reasons = [f"The run was aborted: {found.rehearsal.aborted}"] if found.rehearsal.aborted else []
    failed = [check.name for check in found.rehearsal.prechecks if not check.passed]
    if failed:
        reasons.append(f"The run started although a pre-check had failed: {', '.join(failed)}")
    return (*reasons, *found.judgement.validity.problems)


def tiles(found: Facts) -> tuple[Tile, ...]:
    """The numbers that matter."""
    summary, verdict = found.judgement.summary, found.judgement.verdict
    storm, during = summary.storm, summary.during
    shown = [Tile("verdict", verdict.name, good=verdict.name in GOOD_VERDICTS)]
    if found.hypothesis:
        result = found.hypothesis
        note = f"expected {result.limit}, got {result.found_text}"
        shown.append(Tile("hypothesis", HYPOTHESIS_RESULTS[result.met], note, result.met))
    if found.objectives:
        met = sum(result.met is True for result in found.objectives)
        number = len(found.objectives)
        shown.append(Tile("SLOs met", f"{met} of {number}", good=met == number))
    if storm:
        shown += [
            _recovery_tile(found),
            Tile("availability", units.percent(storm.availability), "from the trigger on"),
        ]
        if during:
            before = summary.before.effective_p99 if summary.before else None
            shown.append(
                Tile(
                    "effective p99",
                    units.latency(during.effective_p99),
                    f"{units.latency(before)} before",
                )
            )
        shown += _reach(found)
    return tuple(shown)


def _reach(found: Facts) -> Iterator[Tile]:
    blast, storm = found.blast, found.judgement.summary.storm
    if storm and storm.stale_client_s is not None:
        each = units.seconds(storm.stale_client_s / max(1, found.judgement.summary.clients))
        yield Tile("stale data", f"{units.count(storm.stale_client_s)} client-s", f"{each} per client")
    if blast:
        yield Tile(
            "clients affected",
            f"{units.count(blast.out_at_worst)} of {units.count(blast.clients)}",
            "at worst",
        )


def trigger_words(found: Facts) -> str:
    """The first fault, as the subject of a sentence; empty without one."""
    faults = (
        spoken_words(event.name, event.details)
        for event in fired_events(found.run.events)
        if event.kind == "fault"
    )
    return next(faults, "")


def time_to_recover(found: Facts) -> str:
    """`67 s`, or `≥ 75 s` where it did not come."""
    recovery = found.judgement.summary.recovery
    if recovery.time_to_recover_s is not None:
        return units.seconds(recovery.time_to_recover_s)
    return "unknown" if recovery.at_least_s is None else f"≥ {units.seconds(recovery.at_least_s)}"


def _recovery_tile(found: Facts) -> Tile:
    recovered = found.judgement.summary.recovery.time_to_recover_s is not None
    note = "from the trigger’s end" if recovered else "not within the run"
    return Tile("time to recover", time_to_recover(found), note, good=None if recovered else False)


def _trigger(found: Facts) -> Iterator[str]:
    pods = found.run.info.stability.get("pods")
    on = f" on {units.count(pods)} pods" if isinstance(pods, int) else ""
    clients = units.count(found.judgement.summary.clients)
    what = trigger_words(found)
    yield f"{units.capitalised(what)} hit {clients} clients{on}." if what else f"{clients} clients{on}."
    blast = found.blast
    if blast and blast.out_at_worst:
        share = blast.out_at_worst / max(1, blast.clients)
        affected = "all" if share >= 1 else f"{units.count(blast.out_at_worst)} of them"
        yield (
            f"{_when(blast.worst_s)} after it began, {affected} ({units.percent(share)}) were without fresh "
            "data."
        )
    elif blast:
        yield "No client was without fresh data."
    if found.alerts:
        first = found.alerts[0]
        yield f"An alert could have fired {_when(first.t_s).lower()} after it began: {first.text}."


def _when(second: int) -> str:
    return units.seconds(second) if second else "Less than a second"


def _ended(found: Facts) -> Iterator[str]:
    if found.judgement.summary.storm is None:
        return
    recovery = found.judgement.summary.recovery
    if recovery.time_to_recover_s is not None:
        zero_s = found.run.info.trigger_s or 0
        from_s = zero_s if recovery.counted_from_s is None else recovery.counted_from_s
        after = units.seconds(from_s - zero_s + recovery.time_to_recover_s)
        since = "" if from_s == zero_s else f" ({time_to_recover(found)} after it had ended)"
        yield f"The service had recovered {after} after it began{since}."
    elif recovery.at_least_s is not None:
        yield f"The service did not recover within {units.seconds(recovery.at_least_s)} of the trigger’s end."
    else:
        yield "The run is too short to say whether it recovered."


def _mitigations(found: Facts) -> Iterator[str]:
    for fix in found.fixes:
        match fix.effect:
            case "recovered" if fix.recovered:
                yield f"The service recovered after {fix.name}."
            case "recovered":
                served = units.percent(series.SERVED)
                yield f"≥ {served} of the clients were served again after {fix.name}."
            case "no change" | "worse":
                yield f"{units.capitalised(fix.name)} did not help."
            case "better":
                yield f"Availability rose after {fix.name}, but the service did not recover."


def _cost(found: Facts) -> Iterator[str]:
    storm = found.judgement.summary.storm
    if storm and storm.stale_client_s:
        each = storm.stale_client_s / max(1, found.judgement.summary.clients)
        yield (
            f"It cost {units.count(storm.stale_client_s)} client-seconds of stale data, "
            f"{units.seconds(each)} per client."
        )


def _hypothesis(found: Facts) -> Iterator[str]:
    if found.hypothesis and not found.judgement.validity.valid:
        yield f"By these figures, which are not reliable, the hypothesis was {_result(found.hypothesis)}."
    elif found.hypothesis:
        yield f"The hypothesis was {_result(found.hypothesis)}."


def _result(hypothesis: SloResult) -> str:
    return HYPOTHESIS_RESULTS[hypothesis.met]
