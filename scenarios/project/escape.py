"""Text of a user's files as values and comments of the files that are written."""

import json
import re
import shlex
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_string(text: str) -> str:
    """A basic string of TOML."""
    # JSON escapes what TOML has to escape, but for DEL.
    written = json.dumps(_whole(text), ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", written)


def toml_key(text: str) -> str:
    """A key of TOML."""
    return text if _BARE_KEY.fullmatch(text) else toml_string(text)


def toml_list(words: Iterable[str]) -> str:
    """A list of strings in one line."""
    return f"[{', '.join(map(toml_string, words))}]"


def toml_command(words: tuple[str, ...]) -> str:
    """A command as one line where that means the same, or else as a list of words."""
    line = " ".join(words)
    try:
        same = tuple(shlex.split(line)) == words
    except ValueError:
        same = False
    return toml_string(line) if same else toml_list(words)


def yaml_string(text: str) -> str:
    """A string of YAML, in which GitHub evaluates no expression."""
    quoted = json.dumps(_whole(text).replace("${{", "${{ '${{' }}"), ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", quoted)


def _whole(text: str) -> str:
    """The text without halves of characters, which a file's name may have and no file's text."""
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text)


def comment(text: str) -> str:
    """Text in one line of a comment."""
    return _CONTROL.sub(" ", text)
