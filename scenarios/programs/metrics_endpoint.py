"""Reads gauges by name from a Prometheus endpoint."""

import re
from collections.abc import Collection

import aiohttp

_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{[^}]*\})? +([^ \n]+)", re.MULTILINE)
_MOST_BYTES = 4_000_000


def read_gauges(text: str, names: Collection[str]) -> dict[str, float]:
    """The values of these metrics in Prometheus' text format; of several samples of one, the greatest."""
    found: dict[str, float] = {}
    for name, text_value in _SAMPLE.findall(text):
        if name in names:
            try:
                value = float(text_value)
            except ValueError:
                continue
            if value == value and abs(value) != float("inf"):  # noqa: PLR0124 - not a number is not itself
                found[name] = max(value, found.get(name, value))
    return found


async def ask_gauges(
    http: aiohttp.ClientSession, url: str, names: Collection[str], timeout_s: float
) -> dict[str, float]:
    """The same from an endpoint; nothing where it does not answer in time."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with http.get(url, timeout=timeout) as response:
            body = await response.content.read(_MOST_BYTES)
            return (
                read_gauges(body.decode("utf-8", errors="replace"), names) if response.status == 200 else {}
            )
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
        return {}
