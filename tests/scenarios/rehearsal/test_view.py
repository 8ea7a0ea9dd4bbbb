"""A rehearsal on a console, with and without a terminal."""

import io

import pytest
from rich.console import Console

from reports.rundir.schema import PreCheck
from scenarios.rehearsal.decisions import options
from scenarios.rehearsal.state import DashboardState
from scenarios.rehearsal.view import RehearsalView
from scenarios.runner.progress import Progress
from tests.scenarios.rehearsal.test_screen import STORM, dashboard

RAMP = Progress(phase="start", seconds_left=90, clients=200, connected=20)


def shown(found: DashboardState, *, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, height=50, color_system=None)
    with RehearsalView(console, found) as view:
        happened = found.happened.copy()
        found.happened.clear()
        view.progress(RAMP)
        found.happened += happened
        view.progress(RAMP)
        view.checked([PreCheck(name="host quiet", wanted="0.2", found="1.3", passed=False)])
        view.happened(happened[0])
        for row in found.rows:
            view.second(int(row["t_s"]))
        view.asked(options(found.scenario, 4))
        view.asked(())
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_checks_and_events_are_called_out(terminal: bool) -> None:
    text = shown(dashboard(*STORM), terminal=terminal)
    assert "!! host quiet: 1.3 (expected: 0.2)" in text
    assert "fault: drop_all dropped=200\n" in text
    assert "[s] scale to 9 pods" in text


def test_without_a_terminal_there_is_a_line_every_few_seconds() -> None:
    text = shown(dashboard(*STORM), terminal=False)
    assert text.count("  served ") == 3
    assert text.count("starting the stack") == 1
    assert "\x1b" not in text


def test_at_a_terminal_the_screen_is_rewritten_and_gone_at_the_end() -> None:
    text = shown(dashboard(*STORM), terminal=True)
    assert "start" in text
    assert text.count("age of newest tick") >= len(STORM)
    assert text.rstrip("\n").endswith("\x1b[2K"), "nothing of it stays"
