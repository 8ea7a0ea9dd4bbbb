"""A rehearsal on a screen: its board as lines of text.

A row of numbers as a row of small bars.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct
from rich.text import Text

from scenarios.rehearsal.decisions import Option
from scenarios.rehearsal.state import Board, Happening, Promise
from scenarios.runner.operator import Row

_HISTORY_S = 60
_LAST = 5
_NEXT = 4
_WORD_STYLES = {
    "steady": "bold green",
    "unharmed": "bold green",
    "recovered": "bold green",
    "recovering": "bold yellow",
    "fault going on": "bold red",
    "storm going on": "bold red",
    "not recovering": "bold white on red",
    "rescue": "bold magenta",
}
_KIND_STYLES = {"fault": "red", "mitigation": "cyan", "rescue": "magenta", "decision": "bold cyan"}
_MARKS = {"holds": ("✓", "green"), "broken": ("✗", "bold red"), "not known": ("…", "dim")}


class Gauge(Struct, frozen=True):
    """A number on the screen."""

    name: str
    column: str
    written: Callable[[float], str]
    top: float | None = None
    """What the highest bar stands for; None: the highest value shown."""


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value < 1_000 else f"{value / 1_000:.1f} s"


def _per_second(value: float) -> str:
    return f"{value:.0f}/s"


GAUGES = (
    Gauge("connected", "connected", lambda value: f"{value:.0f}"),
    Gauge("attempts", "attempts", _per_second),
    Gauge("refusals", "limited", _per_second),
    Gauge("fan-out p99", "fanout_p99_ms", _ms),
    Gauge("age of newest tick, p99", "staleness_p99_ms", _ms),
    Gauge("pod CPU", "pod_cpu", _percent, 1.0),
    Gauge("pod loop", "pod_loop", _percent, 1.0),
)


def screen(board: Board, *, width: int) -> Text:
    """Numbers with their history, the timeline, what was promised, and the question, if there is one."""
    lines = [_head(board), Text(), *_gauges(board, width), Text(), *_timeline(board)]
    promises = board.promises()
    if promises:
        lines += [Text(), *map(_promise, promises)]
    if board.options:
        lines += [Text(), question(board.options, apart="\n  ")]
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def question(options: tuple[Option, ...], *, apart: str = "  ") -> Text:
    """What there is to choose, each with its key. apart: what stands before each."""
    text = Text("your choice:", style="bold")
    for option in options:
        text.append(apart).append(f"[{option.key}]", "bold reverse").append(f" {option.words}", "bold")
    return text


def plain_second(board: Board) -> str:
    """The last second in one line."""
    if not board.rows:
        return ""
    row, share = board.rows[-1], board.shares_served()[-1]
    gauges = "  ".join(f"{gauge.name} {_now(gauge, row)}" for gauge in GAUGES)
    served = "–" if share is None else _percent(share)
    return f"  {row['t_s']:>4} s  served {served}  {gauges}  | {board.forming().sentence}"


def plain_event(happening: Happening) -> str:
    """Something that happened, in one line."""
    over = " is over" if happening.phase == "end" else ""
    kind = f"{happening.kind}: " if happening.kind else ""
    return f"  {happening.t_s:>6.1f} s  {kind}{happening.what}{over}"


def _head(board: Board) -> Text:
    seen = board.forming()
    text = Text(f"{board.now_s} s ", style="bold").append(
        f"of {board.scenario.phases.duration_s} s at most   "
    )
    return text.append(seen.sentence, _WORD_STYLES[seen.word])


def _gauges(board: Board, width: int) -> list[Text]:
    history = max(10, min(_HISTORY_S, width - 42))
    served = board.shares_served()
    now = next((share for share in reversed(served) if share is not None), None)
    lines = [
        _gauge("served", "–" if now is None else _percent(now), sparkline(served, width=history, top=1.0))
    ]
    for gauge in GAUGES:
        bars = sparkline(board.series(gauge.column), width=history, top=gauge.top)
        lines.append(_gauge(gauge.name, _now(gauge, board.rows[-1] if board.rows else {}), bars))
    return lines


def _gauge(name: str, now: str, bars: str) -> Text:
    return Text(f"{name:<24}").append(f"{now:>10}  ", "bold").append(bars, "cyan")


def _now(gauge: Gauge, row: Row) -> str:
    value = row.get(gauge.column)
    return "–" if value is None else gauge.written(value)


def _timeline(board: Board) -> list[Text]:
    lines = [Text(plain_event(each), _KIND_STYLES.get(each.kind, "dim")) for each in board.happened[-_LAST:]]
    for each in board.coming()[:_NEXT]:
        ahead = max(0, each.t_s - board.now_s)
        lines.append(Text(f"  {each.t_s:>6.1f} s  {each.what}, in {ahead:.0f} s", "dim"))
    return lines


def _promise(promise: Promise) -> Text:
    mark, style = _MARKS[promise.state]
    found = f": {promise.found}" if promise.found else ""
    return Text(f"{mark} ", style).append(f"{promise.text}{found}")


_BARS = "▁▂▃▄▅▆▇█"
NOTHING = "·"


def sparkline(values: Sequence[float | None], *, width: int, top: float | None = None) -> str:
    """The last `width` values, from 0 to `top`, or to the highest of them; a dot where there is none."""
    shown = values[-width:]
    highest = max((value for value in shown if value is not None), default=0.0) if top is None else top
    return "".join(NOTHING if value is None else _bar(value, highest) for value in shown)


def _bar(value: float, highest: float) -> str:
    if highest <= 0:
        return _BARS[0]
    place = round(max(0.0, min(1.0, value / highest)) * (len(_BARS) - 1))
    return _BARS[place]
