"""The feed of a gateway, guessed from its source: which event is a tick, how often it comes, its fields."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from scenarios.project.folder import Source
from scenarios.project.hints import without_comments

_QUOTE = "[\"'`]"
_EMIT = re.compile(rf"([\w.\])('\"/]*)\.emit\(\s*{_QUOTE}([\w:./-]+){_QUOTE}\s*,?")
_BROADCASTERS = ("io", "sio", "server", "nsp", "namespace", "socketio", "ns", "broadcast", "volatile", "pods")
_TIMER = re.compile(
    r"setInterval\(|setTimeout\(|while\s*\(?\s*(?:true|True|1)\b|\bsleep\(|add_periodic|@Interval\("
)
_NAMES = re.compile(
    r"tick|price|quote|update|feed|data|score|position|stock|market|metric|time|beat", re.IGNORECASE
)
_KEY = re.compile(r"(?:^|[,{(])\s*[\"']?(\w+)[\"']?\s*(:[^,{}]*)?(?=[,}]|$)")
_SEQ = ("seq", "sequence", "seqno", "seq_no", "seqnum", "counter", "n", "no", "number", "tick")
_DUE = ("ts", "timestamp", "due", "due_at", "dueat", "time", "sent_at", "sentat", "at", "t", "published_at")
_FUNCTION = re.compile(r"(?m)^(?:async )?def |^class ")
_SLEEP_S = re.compile(r"\bsleep\(\s*([\d.]+|[A-Za-z_]\w*)\s*\)")
_RATE = re.compile(
    r"\b\w*(?:RATE_HZ|TICK_RATE|TICKS_PER_S\w*)\b[\"']?\s*[=,:]\s*[\"']?(\d[\d.]*)", re.IGNORECASE
)
_AROUND = 500
"""Characters before and after a call in which its timer is looked for."""


class Feed(Struct, frozen=True, kw_only=True):
    """A feed; what is empty is not known."""

    event: str = ""
    others: tuple[str, ...] = ()
    """Other events that the sources send."""
    rate_hz: float | None = None
    seq_field: str = ""
    due_field: str = ""
    due_unit: str = ""


class _Call(Struct, frozen=True):
    event: str
    score: int
    source: str
    at: int
    end: int


def feed(sources: Sequence[Source]) -> Feed:
    """The most likely feed: an event that goes to many clients, by a timer."""
    calls = [call for source in sources for call in _calls(without_comments(source.text))]
    events = tuple(dict.fromkeys(call.event for call in calls))
    best = max(calls, key=lambda call: call.score, default=None)
    if best is None or best.score < 2:
        return Feed(others=events)
    seq, due, unit = _fields(best.source[best.end : best.end + 400])
    return Feed(
        event=best.event,
        others=tuple(event for event in events if event != best.event),
        rate_hz=_rate_hz(best),
        seq_field=seq,
        due_field=due,
        due_unit=unit,
    )


def _calls(text: str) -> Iterator[_Call]:
    for match in _EMIT.finditer(text):
        before = text[max(0, match.start() - _AROUND) : match.start()]
        names = set(re.findall(r"\w+", match[1]))
        score = 2 * bool(names & set(_BROADCASTERS)) + 2 * bool(_TIMER.search(before))
        score += bool(_NAMES.search(match[2]))
        yield _Call(match[2], score, text, match.start(), match.end())


def _fields(arguments: str) -> tuple[str, str, str]:
    """Number and publish time in the object that follows, and the unit of the latter."""
    start = arguments.find("{")
    if start < 0 or start > 3:
        return "", "", ""
    inside = arguments[start + 1 : arguments.find("}", start)]
    found = dict(_KEY.findall(inside))
    lowered = {name.lower(): name for name in found}
    seq = next((lowered[name] for name in _SEQ if name in lowered), "")
    due = next((lowered[name] for name in _DUE if name in lowered), "")
    return seq, due, _unit(found.get(due, "")) if due else ""


def _unit(value: str) -> str:
    """The unit of a publish time of the wall clock; empty where the value does not show it."""
    if "Date.now" in value or "getTime" in value:
        return "ms"
    if "time.time_ns" in value:
        return "ns"
    if "time.time" in value:
        return "ms" if "1000" in value else "s"
    return ""


def _rate_hz(call: _Call) -> float | None:
    """Ticks per second: from the timer around the call, or else from a constant that says so."""
    for value, per_second in _periods(call):
        period = _number(value, call.source)
        if period and 0.001 <= per_second / period <= 1000:
            return round(per_second / period, 3)
    match = _RATE.search(call.source)
    rate = _number(match[1], call.source) if match else None
    return rate if rate and rate <= 1000 else None


def _periods(call: _Call) -> Iterator[tuple[str, float]]:
    """Candidates for the time between two ticks, and how much of it a second has."""
    start = call.source.rfind("setInterval(", 0, call.at)
    if start >= 0:
        end = _closing(call.source, start + len("setInterval("))
        if end > call.at:
            found = re.search(r",\s*([\d_]+|[A-Za-z_]\w*)\s*,?\s*$", call.source[start:end])
            if found:
                yield found[1], 1000.0
    bounds = [match.start() for match in _FUNCTION.finditer(call.source)]
    begin = max((at for at in bounds if at < call.at), default=0)
    end = min((at for at in bounds if at > call.at), default=len(call.source))
    for value in _SLEEP_S.findall(call.source[begin:end]):
        yield value, 1.0


def _closing(text: str, at: int) -> int:
    """Where the parenthesis closes that is open at this place."""
    depth = 1
    for place in range(at, min(len(text), at + 20_000)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)


def _number(value: str, text: str) -> float | None:
    """A number, or that of the constant with this name."""
    if re.fullmatch(r"[A-Za-z_]\w*", value):
        match = re.search(rf"\b{value}\s*(?::\s*\w+\s*)?=\s*([\d_.]+)\s*[;\n]", text)
        if match is None:
            return None
        value = match[1]
    try:
        return float(value.replace("_", ""))
    except ValueError:
        return None
