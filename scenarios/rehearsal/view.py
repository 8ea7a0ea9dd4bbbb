"""Shows a rehearsal live: a screen that is updated every second, or lines without a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reports.rundir.schema import PreCheck
from scenarios.rehearsal.decisions import Option
from scenarios.rehearsal.screen import plain_event, plain_second, question, screen
from scenarios.rehearsal.state import DashboardState, Happening
from scenarios.runner.progress import Progress, plain_line

_PLAIN_EVERY_S = 5


class RehearsalView:
    """Shows one rehearsal. With a terminal events scroll by above the screen."""

    def __init__(self, console: Console, dashboard: DashboardState) -> None:
        self._console = console
        self._dashboard = dashboard
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> "RehearsalView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def progress(self, progress: Progress) -> None:
        """Shows the start of the stack, until the steady state."""
        if self._dashboard.happened:
            return
        if self._console.is_terminal:
            self._live.update(Text(plain_line(progress)), refresh=True)
        elif progress.phase == "start":
            self._say("  starting the stack; clients join")

    def checked(self, prechecks: Sequence[PreCheck]) -> None:
        """The checks before the first fault are done."""
        self._say("pre-checks", style="bold")
        for check in prechecks:
            mark, style = ("ok", "green") if check.passed else ("!!", "bold red")
            text = Text(f"  {mark} ", style).append(f"{check.name}: {check.found}", "default")
            self._console.print(text.append(f" (expected: {check.wanted})", "dim"), soft_wrap=True)

    def happened(self, happening: Happening) -> None:
        """Prints an event."""
        style = {"fault": "bold red", "mitigation": "bold cyan", "rescue": "bold magenta"}
        self._say(plain_event(happening), style=style.get(happening.kind, ""))
        self._refresh()

    def second(self, t_s: int) -> None:
        """A second has ended."""
        if self._console.is_terminal:
            self._refresh()
        elif t_s % _PLAIN_EVERY_S == 0:
            self._say(plain_second(self._dashboard))

    def asked(self, options: tuple[Option, ...]) -> None:
        """Asks the operator; without options, the question is withdrawn."""
        self._dashboard.options = options
        if self._console.is_terminal:
            self._refresh()
        elif options:
            self._say(question(options).plain)

    def _refresh(self) -> None:
        if self._console.is_terminal:
            self._live.update(screen(self._dashboard, width=self._console.width), refresh=True)

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style), soft_wrap=True)
