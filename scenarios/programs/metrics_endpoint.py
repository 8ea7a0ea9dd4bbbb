"""Reads gauges by name from a Prometheus endpoint."""

import math
import re
from collections.abc import Collection

import aiohttp

_SAMPLE = re.compile(
    r'^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(?:[^}"\n]|"(?:[^"\\\n]|\\.)*")*\})?[ \t]+([^ \t\n]+)', re.MULTILINE
)
"""A sample: its name, its labels, in whose quoted values a brace may stand, and its value."""
_MOST_BYTES = 4_000_000


def read_gauges(text: str, names: Collection[str]) -> dict[str, list[float]]:
    """The values of these metrics in Prometheus' text format: one for each sample that is a finite number."""
    found: dict[str, list[float]] = {}
    for name, text_value in _SAMPLE.findall(text):
        if name in names:
            try:
                value = float(text_value)
            except ValueError:
                continue
            if math.isfinite(value):
                found.setdefault(name, []).append(value)
    return found


async def ask_gauges(
    http: aiohttp.ClientSession, url: str, names: Collection[str], timeout_s: float
) -> dict[str, list[float]]:
    """The same from an endpoint; nothing where it does not answer in time, or not in 4 MB."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with http.get(url, timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                return {}
            body = b""
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _MOST_BYTES:
                    return {}
            return read_gauges(body.decode("utf-8", errors="replace"), names)
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
        return {}
