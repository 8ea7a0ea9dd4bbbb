"""The timeline: when it was detected, what struck, what was done, and what was seen after it."""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from reports.analysis.actions import Action
from reports.analysis.metrics import rescued_at_s
from reports.compare.event_text import full_words
from reports.page.actions import AT_ONCE_S, Seen, changes
from reports.rehearsal.facts import Facts
from reports.text import units
from reports.text.tables import TextTable

_SEEN: Seen = (
    ("p99", lambda effect: units.latency(effect.effective_p99)),
    ("availability", lambda effect: units.percent(effect.availability)),
    ("pod loop", lambda effect: units.percent(effect.pod_loop)),
    ("pod CPU", lambda effect: units.percent(effect.pod_cpu)),
    ("tries", lambda effect: units.per_second(effect.attempts_per_s)),
)
_LIFECYCLE = {
    "pod_killed": "a pod was killed by its probe",
    "pod_restarted": "a pod was restarted",
    "pod_ejected": "a pod was taken out of the balancing",
}
"""What the orchestrator did by itself, by its name in events.jsonl."""


class Moment(Struct, frozen=True, kw_only=True):
    """Something that happened, at `t_s` seconds from the trigger."""

    t_s: float
    what: str
    action: Action | None = None
    """What was seen before and after it, where it is a strike."""
    rank: int = 2
    """Within a second, decisions come first, then strikes, then what was seen."""


def moments(found: Facts) -> tuple[Moment, ...]:
    """Everything worth a line, in order of time."""
    return tuple(sorted(_moments(found), key=lambda moment: (round(moment.t_s), moment.rank, moment.t_s)))


def timeline_table(found: Facts) -> TextTable:
    """The moments as a table."""
    return TextTable(
        label="What happened, and what was seen before and after it",
        headings=("at", "what", *(name for name, _ in _SEEN)),
        rows=tuple(
            (units.seconds(round(moment.t_s)).replace("-", "\u2212"), moment.what, *_seen(moment.action))
            for moment in moments(found)
        ),
        words=frozenset({"what"}),
    )


def _moments(found: Facts) -> Iterator[Moment]:
    summary, info = found.judgement.summary, found.run.info
    zero_s = info.trigger_s or 0
    trigger = next((action for action in summary.actions if action.kind == "fault"), None)
    for action in summary.actions:
        what = full_words(action.name, action.details)
        head = "trigger: " if action is trigger else ""
        # Where the details say how long it was to last, that is enough.
        lasting = (action.lasted_s or 0.0) >= AT_ONCE_S and not {"for_s", "reach_s"} & {*action.details}
        lasted = f", over after {units.seconds(round(action.lasted_s or 0.0, 1))}" if lasting else ""
        yield Moment(t_s=action.t_s, what=f"{head}{what}{lasted}", action=action, rank=1)
    for line in found.run.events:
        what = _LIFECYCLE.get(str(line.get("event")), "")
        if what and isinstance(line.get("t_s"), int | float):
            yield Moment(t_s=line["t_s"] - zero_s, what=f"{what}: pod {line.get('pod', '?')}")
    if found.alerts:
        yield Moment(t_s=found.alerts[0].t_s, what=f"detection: {found.alerts[0].text}")
    for choice in found.rehearsal.decisions:
        yield Moment(t_s=round(choice.t_s - zero_s, 1), what=f"the operator chose: {choice.chosen}", rank=0)
    for t_s, number in sorted(_new_and_saturated(found).items()):
        yield Moment(t_s=t_s, what=f"saturated: {number} of the pods that joined")
    recovery = summary.recovery
    if recovery.time_to_recover_s is not None and recovery.counted_from_s is not None:
        at_s = recovery.counted_from_s - zero_s + recovery.time_to_recover_s
        yield Moment(t_s=at_s, what=f"everything is as before again, for {recovery.window_s} s on end")
    rescue_s = rescued_at_s(found.run)
    if rescue_s is not None:
        yield Moment(t_s=rescue_s - zero_s, what="rescue: a gentle policy is pushed to all clients")
    if found.rehearsal.aborted and found.run.rows:
        last_s = found.run.rows[-1]["t_s"] or 0.0
        yield Moment(t_s=last_s + 1 - zero_s, what=f"aborted: {found.rehearsal.aborted}")


def _new_and_saturated(found: Facts) -> Counter[int]:
    """How many pods that joined later had no time left from each second on."""
    return Counter(
        pod.joined_after_s + pod.saturated_after_s
        for pod in found.judgement.summary.pods
        if pod.joined_after_s is not None and pod.saturated_after_s is not None
    )


def _seen(action: Action | None) -> tuple[str, ...]:
    return ("",) * len(_SEEN) if action is None else changes(action, _SEEN)
