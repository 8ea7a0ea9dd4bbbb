"""The actions of a run and their effects, as text."""

from collections.abc import Callable, Mapping

from reports.analysis.actions import Action, Effect
from reports.analysis.judgement import judgement_of
from reports.compare.event_text import full_words, short_words
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

AT_ONCE_S = 0.5
FEWEST = 2
"""A lone trigger is shown by the phases before, during and after it."""

Columns = tuple[tuple[str, Callable[[Effect], str]], ...]
"""Heading and text of each column that shows an effect."""

_COLUMNS: Columns = (
    ("effective p99", lambda effect: units.latency(effect.effective_p99)),
    ("availability", lambda effect: units.percent(effect.availability)),
    ("pod loop", lambda effect: units.percent(effect.pod_loop)),
    ("attempts", lambda effect: units.per_second(effect.attempts_per_s)),
)

ROW_HEADINGS = ("at", "action", *(name for name, _ in _COLUMNS))


def action_table(runs: Mapping[str, Run]) -> TextTable | None:
    """Every action in each of `runs`, which are by the name to show; None where nothing but a trigger ran."""
    found = {name: judgement_of(run).summary.actions for name, run in runs.items()}
    if max(map(len, found.values())) < FEWEST:
        return None
    return TextTable(
        label="Actions and effects",
        headings=("arm", "at", "action", "lasted", *(name for name, _ in _COLUMNS)),
        rows=tuple(
            (
                name,
                _start_text(action),
                full_words(action.name, action.details),
                _duration_text(action),
                *changes(action, _COLUMNS),
            )
            for name, actions in found.items()
            for action in actions
        ),
        words=frozenset({"action"}),
        grouped=True,
    )


def action_rows(run: Run) -> list[tuple[str, ...]]:
    """The actions of one run in few words, under `ROW_HEADINGS`; none where nothing but a trigger ran."""
    actions = judgement_of(run).summary.actions
    if len(actions) < FEWEST:
        return []
    return [
        (_start_text(action), short_words(action.name, action.details), *changes(action, _COLUMNS))
        for action in actions
    ]


def changes(action: Action, columns: Columns) -> tuple[str, ...]:
    """What was measured before and after an action, `7.9 % → 42 %`, a text for each column."""
    return tuple(_change(_text(action.before, text), _text(action.after, text)) for _, text in columns)


def _change(before: str, after: str) -> str:
    return units.NOTHING if before == after == units.NOTHING else f"{before} → {after}"


def _text(effect: Effect | None, text: Callable[[Effect], str]) -> str:
    return units.NOTHING if effect is None else text(effect)


def _start_text(action: Action) -> str:
    # An event runs 50 ms into its second, on purpose.
    return units.seconds(round(action.t_s))


def _duration_text(action: Action) -> str:
    if action.lasted_s is None:
        return "to the end"
    return units.NOTHING if action.lasted_s < AT_ONCE_S else units.seconds(round(action.lasted_s, 1))
