"""Per-pod results, as text."""

from collections.abc import Mapping, Sequence

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import Summary
from reports.analysis.pods import PodSummary
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

UNEVEN = 1.5
"""Clients of the fullest pod ÷ mean, from which on that is worth a word."""


def pod_table(runs: Mapping[str, Run]) -> TextTable | None:
    """Every pod of each of `runs`, which are by the name to show; None where no pod stands out anywhere."""
    found = {name: judgement_of(run).summary for name, run in runs.items()}
    if not any(_sentence(summary) for summary in found.values()):
        return None
    return TextTable(
        label="Per-pod results",
        headings=("arm", "pod", "joined after", "loop", "CPU", "saturated after", "clients at the end"),
        rows=tuple(_row(name, pod) for name, summary in found.items() for pod in summary.pods),
        grouped=True,
    )


def pod_sentences(runs: Mapping[str, Run]) -> tuple[str, ...]:
    """One sentence for each of `runs` in which a pod was saturated, joined late or was gone, or one got far
    more clients than others."""
    sentences = {name: _sentence(judgement_of(run).summary) for name, run in runs.items()}
    alone = len(sentences) == 1
    return tuple(
        f"{text[0].upper()}{text[1:]}." if alone else f"“{name}”: {text}."
        for name, text in sentences.items()
        if text
    )


def _row(name: str, pod: PodSummary) -> tuple[str, ...]:
    return (
        name,
        str(pod.pod),
        units.seconds(pod.joined_after_s),
        units.percent(pod.loop),
        units.percent(pod.cpu),
        units.seconds(pod.saturated_after_s),
        "gone" if pod.clients_at_end is None else units.count(pod.clients_at_end),
    )


def _sentence(summary: Summary) -> str:
    """Empty where all pods ran all the time, none was saturated and clients were evenly spread."""
    pods = summary.pods
    early = [pod for pod in pods if pod.joined_after_s is None]
    late = [pod for pod in pods if pod.joined_after_s is not None]
    gone = sum(pod.clients_at_end is None for pod in pods)
    zero = "trigger" if summary.storm else "start"
    parts = [_saturated(early, f"after the {zero}")] if _times(early) else []
    if late:
        then = _saturated(late, "after joining") if _times(late) else "none of these ever saturated"
        parts.append(f"{_pods(len(late))} joined later, {then}")
    if gone:
        parts.append(f"{_pods(gone)} gone at the end")
    if summary.pod_spread is not None and summary.pod_spread >= UNEVEN:
        parts.append(
            f"the fullest pod had {units.times(summary.pod_spread)} the mean number of clients at the end"
        )
    return "; ".join(parts)


def _saturated(pods: Sequence[PodSummary], since: str) -> str:
    times = _times(pods)
    whose = f"all {len(times)}" if len(times) == len(pods) > 1 else f"{len(times)} of {len(pods)}"
    first, last = units.seconds(times[0]), units.seconds(times[-1])
    if times[-1] == 0:
        return f"{whose} saturated at once"
    return f"{whose} saturated {units.span(first, last) or first} {since}"


def _times(pods: Sequence[PodSummary]) -> list[int]:
    return sorted(pod.saturated_after_s for pod in pods if pod.saturated_after_s is not None)


def _pods(number: int) -> str:
    return f"{number} pod{'' if number == 1 else 's'}"
