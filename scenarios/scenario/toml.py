"""Keys and values of TOML, one at a time: read from what follows `--set`, and written as a person would."""

import json
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


def key_text(key: str) -> str:
    """A key, with quotes if it needs them."""
    return key if key.isascii() and key.replace("_", "").replace("-", "").isalnum() else _text(key)


def value_text(value: Any) -> str:
    """A value on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _text(value)
        case dict():
            inside = ", ".join(f"{key_text(key)} = {value_text(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case list() | tuple():
            return f"[{', '.join(map(value_text, value))}]"
    return repr(value)


def _text(text: str) -> str:
    """A basic string of TOML; JSON's are that, but for one character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
