"""The screen of a rehearsal: the dashboard state as lines of text, with sparklines."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from rich.text import Text

from reports.text import units
from scenarios.rehearsal.decisions import Option
from scenarios.rehearsal.state import DashboardState, Happening, SloState
from scenarios.runner.operator import Row

_HISTORY_S = 60
_LAST = 5
_NEXT = 4
_WORD_STYLES = {
    "steady": "bold green",
    "unaffected": "bold green",
    "recovered": "bold green",
    "recovering": "bold yellow",
    "fault active": "bold red",
    "degraded": "bold red",
    "not recovering": "bold white on red",
    "rescue": "bold magenta",
}
_KIND_STYLES = {"fault": "red", "mitigation": "cyan", "rescue": "magenta", "decision": "bold cyan"}
_MARKS = {"met": ("✓", "green"), "violated": ("✗", "bold red"), "undecided": ("…", "dim")}


class Gauge(Struct, frozen=True):
    """A number on the screen."""

    name: str
    column: str
    written: Callable[[float | None], str]
    top: float | None = None
    """Value of the highest bar; None: the highest value shown."""


GAUGES = (
    Gauge("connected", "connected", units.count),
    Gauge("attempts", "attempts", units.per_second),
    Gauge("refusals", "limited", units.per_second),
    Gauge("fan-out p99", "fanout_p99_ms", units.milliseconds),
    Gauge("age of newest tick, p99", "staleness_p99_ms", units.milliseconds),
    Gauge("pod CPU", "pod_cpu", units.percent, 1.0),
    Gauge("pod loop", "pod_loop", units.percent, 1.0),
)


def screen(dashboard: DashboardState, *, width: int) -> Text:
    """Numbers with their history, the timeline, the SLOs, and the question to the operator, if any."""
    lines = [_head(dashboard), Text(), *_gauges(dashboard, width), Text(), *_timeline(dashboard)]
    slos = dashboard.slos()
    if slos:
        lines += [Text(), *map(_slo, slos)]
    if dashboard.options:
        lines += [Text(), question(dashboard.options, apart="\n  ")]
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def question(options: tuple[Option, ...], *, apart: str = "  ") -> Text:
    """The options, each with its key. apart: separator before each."""
    text = Text("your choice:", style="bold")
    for option in options:
        text.append(apart).append(f"[{option.key}]", "bold reverse").append(f" {option.words}", "bold")
    return text


def plain_second(dashboard: DashboardState) -> str:
    """The last second in one line."""
    if not dashboard.rows:
        return ""
    row, share = dashboard.rows[-1], dashboard.shares_served()[-1]
    gauges = "  ".join(f"{gauge.name} {_now(gauge, row)}" for gauge in GAUGES)
    served = units.percent(share)
    return f"  {row['t_s']:>4} s  served {served}  {gauges}  | {dashboard.forming().sentence}"


def plain_event(happening: Happening) -> str:
    """A timeline entry in one line."""
    over = " ended" if happening.phase == "end" else ""
    kind = f"{happening.kind}: " if happening.kind else ""
    return f"  {happening.t_s:>6.1f} s  {kind}{happening.what}{over}"


def _head(dashboard: DashboardState) -> Text:
    seen = dashboard.forming()
    text = Text(f"{dashboard.now_s} s ", style="bold").append(
        f"of max. {dashboard.scenario.phases.duration_s} s   "
    )
    return text.append(seen.sentence, _WORD_STYLES[seen.word])


def _gauges(dashboard: DashboardState, width: int) -> list[Text]:
    history = max(10, min(_HISTORY_S, width - 42))
    served = dashboard.shares_served()
    now = next((share for share in reversed(served) if share is not None), None)
    lines = [_gauge("served", units.percent(now), sparkline(served, width=history, top=1.0))]
    for gauge in GAUGES:
        bars = sparkline(dashboard.series(gauge.column), width=history, top=gauge.top)
        lines.append(_gauge(gauge.name, _now(gauge, dashboard.rows[-1] if dashboard.rows else {}), bars))
    return lines


def _gauge(name: str, now: str, bars: str) -> Text:
    return Text(f"{name:<24}").append(f"{now:>10}  ", "bold").append(bars, "cyan")


def _now(gauge: Gauge, row: Row) -> str:
    return gauge.written(row.get(gauge.column))


def _timeline(dashboard: DashboardState) -> list[Text]:
    lines = [
        Text(plain_event(each), _KIND_STYLES.get(each.kind, "dim")) for each in dashboard.happened[-_LAST:]
    ]
    for each in dashboard.coming()[:_NEXT]:
        ahead = max(0, each.t_s - dashboard.now_s)
        lines.append(Text(f"  {each.t_s:>6.1f} s  {each.what}, in {ahead:.0f} s", "dim"))
    return lines


def _slo(slo: SloState) -> Text:
    mark, style = _MARKS[slo.state]
    found = f": {slo.found}" if slo.found else ""
    return Text(f"{mark} ", style).append(f"{slo.text}{found}")


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
