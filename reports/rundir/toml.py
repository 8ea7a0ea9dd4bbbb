"""Keys and values of a scenario as text: as TOML, and as the label of a setting."""

import json
from collections.abc import Mapping
from typing import Any


def key_text(key: str) -> str:
    """A key, with quotes if it needs them."""
    return key if key.isascii() and key.replace("_", "").replace("-", "").isalnum() else _text(key)


def value_text(value: Any) -> str:
    """A value on one line. TOML has no null: a key without a value is left out of its table."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _text(value)
        case dict():
            known = {key: item for key, item in value.items() if item is not None}
            inside = ", ".join(f"{key_text(key)} = {value_text(item)}" for key, item in known.items())
            return f"{{ {inside} }}" if inside else "{}"
        case list() | tuple():
            return f"[{', '.join(map(value_text, value))}]"
    return repr(value)


def label(value: Any) -> str:
    """A setting's value as people name it: a table by its name, with its parameters behind it; a list by its
    entries."""
    if isinstance(value, Mapping):
        rest = " ".join(f"{key}={item}" for key, item in value.items() if key != "name")
        return f"{value.get('name', '')} {rest}".strip()
    if isinstance(value, list | tuple) and value:
        return ", ".join(map(label, value))
    return str(value)


def _text(text: str) -> str:
    """A basic string of TOML; JSON's are that, but for one character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
