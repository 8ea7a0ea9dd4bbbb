"""Keys and values of TOML, one at a time, as they follow `--set`."""

import tomllib
from typing import Any


def split_override(text: str) -> tuple[str, str] | None:
    """The key and the value of `KEY=VALUE`, as text; None where it is no such thing.

    An equals sign within a quoted part of the key belongs to the key.
    """
    quote = ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "=":
            key = text[:place].strip()
            return (key, text[place + 1 :]) if key else None
    key, separator, raw = text.partition("=")
    return (key.strip(), raw) if separator and key.strip() else None


def steps(key: str) -> tuple[str, ...]:
    """`a."b.c".d` as a, b.c and d; what is no key of TOML is cut at its dots."""
    if '"' in key or "'" in key or " " in key:
        try:
            found: Any = tomllib.loads(f"{key} = 0")
        except (ValueError, RecursionError):
            return tuple(key.split("."))
        path = []
        while isinstance(found, dict) and len(found) == 1:
            ((step, found),) = found.items()
            path.append(step)
        if found == 0:
            return tuple(path)
    return tuple(key.split("."))


def read_value(raw: str) -> Any:
    """A value of TOML, or else plain text."""
    try:
        found = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    # A line break begins another key, which nobody would look at.
    return found["value"] if len(found) == 1 else raw
