"""Events and alerts in order of time, with what was measured before and after each event."""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from reports.analysis.actions import Action
from reports.analysis.metrics import rescued_at_s
from reports.compare.event_text import full_words
from reports.page.actions import AT_ONCE_S, Columns, changes
from reports.rehearsal.facts import Facts
from reports.text import units
from reports.text.tables import TextTable

_COLUMNS: Columns = (
    ("effective p99", lambda effect: units.latency(effect.effective_p99)),
    ("availability", lambda effect: units.percent(effect.availability)),
    ("pod loop", lambda effect: units.percent(effect.pod_loop)),
    ("pod CPU", lambda effect: units.percent(effect.pod_cpu)),
    ("attempts", lambda effect: units.per_second(effect.attempts_per_s)),
)
_LIFECYCLE = {
    "pod_killed": "killed by its liveness probe",
    "pod_restarted": "restarted",
    "pod_ejected": "removed from load balancing",
}
"""What the orchestrator did by itself, by its name in events.jsonl."""


class Moment(Struct, frozen=True, kw_only=True):
    """An event or alert, at `t_s` seconds from the trigger."""

    t_s: float
    what: str
    action: Action | None = None
    """The action, with what was measured before and after it, where it is one."""
    rank: int = 2
    """Within a second, decisions come first, then actions, then what was observed."""


def moments(found: Facts) -> tuple[Moment, ...]:
    """Everything worth a line, in order of time."""
    return tuple(sorted(_moments(found), key=lambda moment: (round(moment.t_s), moment.rank, moment.t_s)))


def timeline_table(found: Facts) -> TextTable:
    """The moments as a table."""
    return TextTable(
        label="Events and alerts",
        headings=("at", "event", *(name for name, _ in _COLUMNS)),
        rows=tuple(
            (units.seconds(round(moment.t_s)).replace("-", "\u2212"), moment.what, *_changes(moment.action))
            for moment in moments(found)
        ),
        words=frozenset({"event"}),
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
        lasted = f", ended after {units.seconds(round(action.lasted_s or 0.0, 1))}" if lasting else ""
        yield Moment(t_s=action.t_s, what=f"{head}{what}{lasted}", action=action, rank=1)
    for line in found.run.events:
        what = _LIFECYCLE.get(str(line.get("event")), "")
        if what and isinstance(line.get("t_s"), int | float):
            yield Moment(t_s=line["t_s"] - zero_s, what=f"pod {line.get('pod', '?')} {what}")
    if found.alerts:
        yield Moment(t_s=found.alerts[0].t_s, what=f"alert: {found.alerts[0].text}")
    for choice in found.rehearsal.decisions:
        yield Moment(t_s=round(choice.t_s - zero_s, 1), what=f"operator: {choice.chosen}", rank=0)
    for t_s, number in sorted(_new_and_saturated(found).items()):
        yield Moment(t_s=t_s, what=f"saturated: {number} of the pods that joined")
    recovery = summary.recovery
    if recovery.time_to_recover_s is not None and recovery.counted_from_s is not None:
        at_s = recovery.counted_from_s - zero_s + recovery.time_to_recover_s
        yield Moment(t_s=at_s, what=f"recovered, and stayed so for {recovery.window_s} consecutive seconds")
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


def _changes(action: Action | None) -> tuple[str, ...]:
    return ("",) * len(_COLUMNS) if action is None else changes(action, _COLUMNS)
