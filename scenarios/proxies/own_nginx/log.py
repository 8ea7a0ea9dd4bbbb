"""Reads an access log by the `log_format` that wrote it."""

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from scenarios.proxies.access_log import AccessLine

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_TIMES = ("msec", "time_iso8601", "time_local")
_LIMITS = ("limit_req_status", "limit_conn_status")
_BY_ITSELF = ("status", "upstream_status")
_REFUSED = frozenset({"429", "503"})
_NOTHING = frozenset({"", "-"})
_OF_EACH_POD = frozenset(
    f"upstream_{what}"
    for what in (
        *("addr", "status", "response_time", "response_length"),
        *("connect_time", "header_time", "bytes_received", "bytes_sent"),
    )
)
"""Variables with one word for each pod that was asked: `503, 101`, or `502 : 101` behind a redirect."""
_WORDS = r"([^\s,]*?(?:(?:,| :) [^\s,]+?)*?)"


class LogFormat(Struct, frozen=True):
    """What a line is made of: texts and variables by turns, beginning with a text."""

    texts: tuple[str, ...]
    variables: tuple[str, ...]

    @property
    def complaint(self) -> str:
        """Why its lines do not tell what a limit refused, and when; empty if they do."""
        tells = any(name in self.variables for name in _LIMITS) or set(_BY_ITSELF) <= set(self.variables)
        if tells and any(name in self.variables for name in _TIMES):
            return ""
        return (
            "expected $msec, and $limit_req_status or $limit_conn_status; without these, $status and"
            " $upstream_status"
        )


def format_of(words: Sequence[str]) -> LogFormat:
    """The format that a directive `log_format` defines; words: its arguments after the name."""
    whole = "".join(word for word in words if not word.startswith("escape="))
    for written, meant in ((r"\t", "\t"), (r"\r", "\r"), (r"\n", "\n"), (r"\"", '"'), (r"\'", "'")):
        whole = whole.replace(written, meant)
    pieces = _VARIABLE.split(whole)
    return LogFormat(
        tuple(pieces[::3]), tuple(a or b for a, b in zip(pieces[1::3], pieces[2::3], strict=True))
    )


COMBINED = format_of(
    (
        '$remote_addr - $remote_user [$time_local] "$request" ',
        '$status $body_bytes_sent "$http_referer" "$http_user_agent"',
    )
)
"""The format that nginx has without a `log_format`, by the name `combined`."""


def read_log(path: Path, written_by: LogFormat) -> list[AccessLine]:
    """All whole lines of a log; one that cannot be read has none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    groups = "".join(
        f"{_WORDS if name in _OF_EACH_POD else '(.*?)'}{re.escape(text)}"
        for name, text in zip(written_by.variables, written_by.texts[1:], strict=True)
    )
    pattern = re.compile(re.escape(written_by.texts[0]) + groups)
    lines = []
    for row in text.splitlines():
        if (found := pattern.fullmatch(row)) is None:
            continue  # cut off, or written over
        with contextlib.suppress(ValueError, OverflowError, KeyError, StopIteration):
            line = _line(dict(zip(written_by.variables, found.groups(), strict=True)))
            lines += [line] if math.isfinite(line.ended_wall_s) else []
    return lines


def _line(values: Mapping[str, str]) -> AccessLine:
    status = values.get("status", "0")
    upstream = values.get("upstream_status", "-")
    told = [values[name] for name in _LIMITS if name in values]
    if told:
        limit_status = next((one for one in told if one not in _NOTHING and one != "PASSED"), told[0])
    else:
        limit_status = "REJECTED" if status in _REFUSED and upstream in _NOTHING else "-"
    return AccessLine(
        ended_wall_s=_time_s(values),
        remote_address=values.get("remote_addr", "-"),
        status=int(status),
        limit_status=limit_status,
        upstream_status="-" if upstream in _NOTHING else upstream,
        lasted_s=float(values.get("request_time", 0)),
        # Without the time that a WebSocket was open, nobody knows how many a worker had.
        worker=values.get("pid", "") if "request_time" in values else "",
    )


def _time_s(values: Mapping[str, str]) -> float:
    """When the line was written, as exactly as it says. Raises ValueError."""
    name = next(name for name in _TIMES if name in values)
    text = values[name]
    if name == "msec":
        return float(text)
    if name == "time_iso8601":
        return datetime.fromisoformat(text).timestamp()
    return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
