"""Times and sizes as each proxy writes them, in seconds and as numbers. What cannot be read is None."""

import re

_NGINX_TIME = re.compile(r"(\d+)(ms|[smhdwMy]?)\s*")
_NGINX_S = {
    "ms": 0.001,
    "": 1,
    "s": 1,
    "m": 60,
    "h": 3_600,
    "d": 86_400,
    "w": 604_800,
    "M": 2_592_000,
    "y": 31_536_000,
}
_HAPROXY_TIME = re.compile(r"(\d+)(us|ms|[smhd])?")
_HAPROXY_S = {"us": 1e-6, None: 0.001, "ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SIZE = re.compile(r"(\d+)([kmg]?)", re.IGNORECASE)
_TIMES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_ENVOY_TIME = re.compile(r"(\d+(?:\.\d+)?)s")
_MOST_DIGITS = 18


def nginx_seconds(text: str) -> float | None:
    """`60`, `60s`, `1h30m`, `500ms`."""
    parts = [*_NGINX_TIME.finditer(text)]
    if not parts or "".join(part[0] for part in parts) != text or len(text) > _MOST_DIGITS:
        return None
    return float(sum(int(part[1]) * _NGINX_S[part[2]] for part in parts))


def haproxy_seconds(text: str) -> float | None:
    """`50000` (milliseconds), `50s`, `1h`."""
    found = _HAPROXY_TIME.fullmatch(text)
    return int(found[1]) * _HAPROXY_S[found[2]] if found and len(text) <= _MOST_DIGITS else None


def envoy_seconds(text: object) -> float | None:
    """`15s`, `0.25s`."""
    found = _ENVOY_TIME.fullmatch(str(text))
    return float(found[1]) if found else None


def size(text: str) -> int | None:
    """`100k`, `1m`, `4096`."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) * _TIMES[found[2].lower()] if found and len(text) <= _MOST_DIGITS else None


def whole(text: object) -> int | None:
    """A number without a sign."""
    plain = str(text)
    return int(plain) if re.fullmatch(r"[0-9]{1,18}", plain) else None


def written(seconds: float) -> str:
    """`60 s`, `1 h`, `0.5 s`."""
    for unit, length_s in (("h", 3_600), ("min", 60)):
        if seconds >= length_s and seconds % length_s == 0 and seconds > 60:
            return f"{seconds / length_s:g} {unit}"
    return f"{seconds:g} s"
