"""What was done in a run, and what was seen before and after it, as text."""

from collections.abc import Callable, Mapping

from reports.analysis.actions import Action, Effect
from reports.analysis.judgement import judgement_of
from reports.compare.event_text import full_words, short_words
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

AT_ONCE_S = 0.5
FEWEST = 2
"""A lone trigger is told by the phases before, during and after it."""

Seen = tuple[tuple[str, Callable[[Effect], str]], ...]
"""What of an effect is shown, and how it is written."""

_SEEN: Seen = (
    ("effective p99", lambda effect: units.latency(effect.effective_p99)),
    ("availability", lambda effect: units.percent(effect.availability)),
    ("pod loop", lambda effect: units.percent(effect.pod_loop)),
    ("tries", lambda effect: units.per_second(effect.attempts_per_s)),
)

ROW_HEADINGS = ("at", "what was done", *(name for name, _ in _SEEN))


def action_table(runs: Mapping[str, Run]) -> TextTable | None:
    """Every strike in each of `runs`, which are by the name to show.

    None where nothing but a trigger struck.
    """
    found = {name: judgement_of(run).summary.actions for name, run in runs.items()}
    if max(map(len, found.values())) < FEWEST:
        return None
    return TextTable(
        label="What was done, and what was seen before and after it",
        headings=("arm", "at", "what", "lasted", *(name for name, _ in _SEEN)),
        rows=tuple(
            (
                name,
                _at(action),
                full_words(action.name, action.details),
                _lasted(action),
                *changes(action, _SEEN),
            )
            for name, actions in found.items()
            for action in actions
        ),
        words=frozenset({"what"}),
        grouped=True,
    )


def action_rows(run: Run) -> list[tuple[str, ...]]:
    """The strikes of one run in few words, under `ROW_HEADINGS`; none where nothing but a trigger struck."""
    actions = judgement_of(run).summary.actions
    if len(actions) < FEWEST:
        return []
    return [
        (_at(action), short_words(action.name, action.details), *changes(action, _SEEN)) for action in actions
    ]


def changes(action: Action, seen: Seen) -> tuple[str, ...]:
    """What was seen before and after a strike, `7.9 % → 42 %`, a text for each of `seen`."""
    return tuple(_change(_seen(action.before, text), _seen(action.after, text)) for _, text in seen)


def _change(before: str, after: str) -> str:
    return units.NOTHING if before == after == units.NOTHING else f"{before} → {after}"


def _seen(effect: Effect | None, text: Callable[[Effect], str]) -> str:
    return units.NOTHING if effect is None else text(effect)


def _at(action: Action) -> str:
    # A strike comes 50 ms into its second, on purpose.
    return units.seconds(round(action.t_s))


def _lasted(action: Action) -> str:
    if action.lasted_s is None:
        return "to the end"
    return units.NOTHING if action.lasted_s < AT_ONCE_S else units.seconds(round(action.lasted_s, 1))
