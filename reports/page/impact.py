"""Client impact, in a sentence for each arm."""

from collections.abc import Mapping, Sequence
from statistics import median

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import Storm
from reports.rundir.reader import Run
from reports.text import units
from reports.text.gave_up import gave_up_after


def impact_sentences(arms: Mapping[str, Sequence[Run]]) -> tuple[str, ...]:
    """From the trigger to the end of `after`; medians over the valid runs of an arm, or all where none is.

    Nothing for an arm without a storm; the arm's name is left out where there is only one.
    """
    sentences = {name: _sentence(runs) for name, runs in arms.items()}
    return tuple(
        f"{text[0].upper()}{text[1:]}." if len(arms) == 1 else f"“{name}”: {text}."
        for name, text in sentences.items()
        if text
    )


def _sentence(runs: Sequence[Run]) -> str:
    judged = [judgement_of(run) for run in runs]
    trusted = [judgement for judgement in judged if judgement.validity.valid] or judged
    pairs = [(judgement.summary.storm, judgement.summary.clients) for judgement in trusted]
    storms = [(storm, clients) for storm, clients in pairs if storm is not None]
    if not storms:
        return ""
    parts = [*_stale(storms)]
    # A client that is still disconnected has not found out yet what it missed: lost ticks count those, too.
    lost = [storm.ticks.lost for storm, _ in storms if storm.ticks is not None]
    if lost:
        parts.append(f"{units.count(median(lost))} ticks lost")
    else:
        missed = median(storm.missed for storm, _ in storms)
        parts.append(f"{units.count(missed)} ticks missed by clients that reconnected")
    gave_up = median(storm.gave_up for storm, _ in storms)
    if gave_up:
        reasons = {reason for storm, _ in storms for reason in storm.gave_up_by_reason}
        after = gave_up_after(
            {each: median(storm.gave_up_by_reason.get(each, 0) for storm, _ in storms) for each in reasons}
        )
        parts.append(f"{units.count(gave_up)} clients gave up for good{after and f' ({after})'}")
    return "; ".join(parts)


def _stale(storms: Sequence[tuple[Storm, int]]) -> list[str]:
    known = [(storm.stale_client_s, clients) for storm, clients in storms if storm.stale_client_s is not None]
    if not known:
        return []
    total_s = median(stale_s for stale_s, _ in known)
    each_s = median(stale_s / max(1, clients) for stale_s, clients in known)
    return [f"{total_s:,.0f} client-seconds with data older than 1 s, {units.seconds(each_s)} per client"]
