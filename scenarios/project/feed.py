"""The feed of a gateway, guessed from its source: which event is a tick, how often it comes, its fields."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from scenarios.project.folder import Source
from scenarios.project.hints import without_comments

_QUOTE = "[\"'`]"
_EMIT = re.compile(rf"([\w.\])('\"`/:${{}}-]{{0,80}})\.emit\(\s*{_QUOTE}([\w:./-]+){_QUOTE}\s*,?")
_OF = re.compile(rf"\.of\(\s*{_QUOTE}(/[\w/.-]+){_QUOTE}")
_BROADCASTERS = ("io", "sio", "server", "nsp", "namespace", "socketio", "ns", "broadcast", "volatile", "pods")
_TIMER = re.compile(
    r"setInterval\(|setTimeout\(|while\s*\(?\s*(?:true|True|1)\b|\bsleep\(|add_periodic|@Interval\("
)
_NAMES = re.compile(
    r"tick|price|quote|update|feed|data|score|position|stock|market|metric|time|beat", re.IGNORECASE
)
_KEY = re.compile(r"\s*[\"']?([A-Za-z_]\w*)[\"']?\s*(?::([\s\S]*))?\s*$")
_SEQ = ("seq", "sequence", "seqno", "seq_no", "seqnum", "sequence_number", "sequencenumber", "number", "n")
_DUE = ("ts", "timestamp", "due", "due_at", "dueat", "time", "sent_at", "sentat", "at", "t", "published_at")
_FUNCTION = re.compile(r"(?m)^(?:async )?def |^class ")
_SET = re.compile(r"\bsetInterval\(")
_DEFAULT = re.compile(r"(?:\|\||\?\?|[\w\"'],)\s*[\"']?(\d[\d_.]*)|^\s*[\"']?(?=\d)(\d[\d_.]*)[\"']?\s*[,})]")
_SLEEP_S = re.compile(r"\bsleep\(\s*([\w./ ]+?)\s*\)")
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
    namespace: str = ""
    """Where it is sent, if that is not the main namespace."""


class _Call(Struct, frozen=True):
    receiver: str
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
    seq, due, unit = _fields(best)
    return Feed(
        event=best.event,
        others=tuple(event for event in events if event != best.event),
        rate_hz=_rate_hz(best),
        seq_field=seq,
        due_field=due,
        due_unit=unit,
        namespace=_namespace(best),
    )


def _calls(text: str) -> Iterator[_Call]:
    for match in _EMIT.finditer(text):
        before = text[max(0, match.start() - _AROUND) : match.start()]
        names = set(re.findall(r"\w+", match[1]))
        score = 2 * bool(names & set(_BROADCASTERS)) + 2 * bool(_TIMER.search(before))
        score += bool(_NAMES.search(match[2]))
        yield _Call(match[1], match[2], score, text, match.start(), match.end())


def _fields(call: _Call) -> tuple[str, str, str]:
    """Number and publish time in the object that is sent, and the unit of the latter."""
    found = dict(_entries(_payload(call)))
    by_name = {path.rpartition(".")[2].lower(): path for path in reversed(found)}
    seq = next((by_name[name] for name in _SEQ if name in by_name), "")
    due = next((by_name[name] for name in _DUE if name in by_name), "")
    return seq, due, _unit(found.get(due, ""))


def _namespace(call: _Call) -> str:
    """Of the receiver, of the variable that it is, or of the argument that python-socketio has for it."""
    if match := _OF.search(call.receiver):
        return match[1]
    name = re.match(r"\w+", call.receiver)
    assigned = re.search(rf"\b{name[0]}\b\s*(?::[^=\n]+)?=\s*\w+{_OF.pattern}", call.source) if name else None
    if assigned:
        return assigned[1]
    arguments = call.source[call.end : _closing(call.source, call.end)]
    found = re.search(rf"\bnamespace\s*=\s*{_QUOTE}(/[\w/.-]+){_QUOTE}", arguments)
    return found[1] if found else ""


def _payload(call: _Call) -> str:
    """What is between the braces of the object, which may have a name; empty where it is something else."""
    start = call.end
    rest = call.source[start:].lstrip()
    if name := re.match(r"[A-Za-z_]\w*(?=\s*[,)])", rest):
        assigned = [*re.finditer(rf"\b{name[0]}\s*(?::[^=\n]+)?=\s*(?=\{{)", call.source[: call.at])]
        if not assigned:
            return ""
        start = assigned[-1].end()
        rest = call.source[start:]
    if not rest.startswith("{"):
        return ""
    start = call.source.index("{", start) + 1
    return call.source[start : _closing(call.source, start)]


def _entries(inside: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Paths and values of an object, those of objects in it as well."""
    for entry in _split(inside):
        match = _KEY.match(entry)
        if match is None:
            continue
        path, value = prefix + match[1], (match[2] or "").strip()
        if value.startswith("{"):
            yield from _entries(value[1 : _closing(value, 1)], f"{path}.")
        else:
            yield path, value


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are in no bracket."""
    depth = start = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


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
    timers = [(match.start(), *_interval(call.source, match.end())) for match in _SET.finditer(call.source)]
    around = [period for start, end, period in timers if start < call.at < end]
    others = {period for _, _, period in timers}
    for period in around[::-1] or (others if len(others) == 1 else ()):
        yield period, 1000.0
    bounds = [match.start() for match in _FUNCTION.finditer(call.source)]
    begin = max((at for at in bounds if at < call.at), default=0)
    end = min((at for at in bounds if at > call.at), default=len(call.source))
    for value in _SLEEP_S.findall(call.source[begin:end]):
        yield value, 1.0


def _interval(text: str, at: int) -> tuple[int, str]:
    """Where the call of setInterval ends whose arguments begin here, and its period."""
    end = _closing(text, at)
    return end, [*_split(text[at:end].rstrip().rstrip(","))][-1].strip()


def _closing(text: str, at: int) -> int:
    """Where the bracket closes that is open at this place."""
    depth = 1
    for place in range(at, min(len(text), at + 20_000)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place
    return len(text)


def _number(value: str, text: str, depth: int = 0) -> float | None:
    """A number, a quotient, or what the constant with this name is set to, a default among it."""
    value = value.strip().strip("\"'")
    dividend, slash, divisor = value.partition("/")
    if slash:
        parts = [_number(part, text, depth) for part in (dividend, divisor)]
        return parts[0] / parts[1] if parts[0] and parts[1] else None
    if re.fullmatch(r"\d[\d_]*(?:\.\d+)?|\.\d+", value):
        return float(value.replace("_", ""))
    if not re.fullmatch(r"[A-Za-z_]\w*", value) or depth > 3:
        return None
    assigned = re.search(rf"\b{value}\s*(?::\s*\w+\s*)?=(?!=)\s*([^\n;]+)", text)
    if assigned is None:
        return None
    default = _DEFAULT.search(assigned[1])
    return _number((default[1] or default[2]) if default else assigned[1], text, depth + 1)
