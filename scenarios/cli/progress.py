"""The live view of a run: updated in place on a terminal, else a line every few seconds."""

from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scenarios.runner.progress import Progress, plain_line

_PLAIN_EVERY = 5
_SPARKLINE_WIDTH = 60
_BLOCKS = "▁▂▃▄▅▆▇█"


class LiveView:
    """Shows the progress of one run after another."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console = console
        self._runs = runs
        self._title = ""
        self._count = 0
        self._ticks = 0
        self._whole_s = 0.0
        self._served: list[float] = []
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, title: str) -> None:
        """The next run begins."""
        self._count += 1
        self._forget()
        self._title = f"[{self._count}/{self._runs}] {title}"
        if not self._console.is_terminal:
            self._console.print(self._title, highlight=False, markup=False)

    def expect_more(self, runs: int) -> None:
        """Adds runs to those that were planned."""
        self._runs += runs

    def repeat(self, reason: str) -> None:
        """The same run is repeated."""
        self._forget()
        self._console.print(f"{self._title} retrying: {reason}", highlight=False, markup=False)

    def show(self, progress: Progress) -> None:
        """Shows the state of the run."""
        self._whole_s = max(self._whole_s, progress.seconds_left)
        if progress.served is not None:
            self._served.append(progress.served)
        if self._console.is_terminal:
            self._live.update(self._panel(progress), refresh=True)
        elif self._ticks % _PLAIN_EVERY == 0:
            self._console.print(plain_line(progress), highlight=False, markup=False, soft_wrap=True)
        self._ticks += 1

    def _panel(self, progress: Progress) -> Table:
        grid = Table.grid(padding=(0, 2))
        done = self._whole_s - progress.seconds_left
        grid.add_row(self._title, ProgressBar(total=self._whole_s, completed=done, width=30))
        outer = Table.grid()
        outer.add_row(grid)
        outer.add_row(Text(plain_line(progress)))
        if self._served:
            outer.add_row(Text(f"  clients served, second by second: {sparkline(self._served)}"))
        return outer

    def _forget(self) -> None:
        self._ticks = 0
        self._whole_s = 0.0
        self._served.clear()


def sparkline(shares: Sequence[float], width: int = _SPARKLINE_WIDTH) -> str:
    """Shares from 0 to 1 as blocks of that height; the worst of several where there are more than fit."""
    step = -(-len(shares) // width)
    worst = [min(shares[start : start + step]) for start in range(0, len(shares), step or 1)]
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(top, max(0, int(share * top)))] for share in worst)


class SearchProgress:
    """A bar for the storms of a search; see `tuning.search.SearchView`."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Bars(*columns, console=console, transient=True)
        self._bar = self._progress.add_task("storms", total=None)

    def __enter__(self) -> "SearchProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, storms: int) -> None:
        """Sets the number of storms."""
        self._progress.update(self._bar, total=storms)

    def at_least(self, storms: int) -> None:
        """Sets how many storms are done, of this search or an earlier part of it."""
        self._progress.update(self._bar, completed=max(storms, self._progress.tasks[0].completed))

    def advance(self) -> None:
        """One more storm is done."""
        self._progress.advance(self._bar)

    def note(self, text: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(text, highlight=False)
