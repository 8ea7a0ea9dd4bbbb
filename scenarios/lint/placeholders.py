"""Templates: what is filled in later stands as `…`, so that the rest can be read."""

import re
from collections.abc import Iterator
from typing import Literal

UNKNOWN = "…"
"""A word of which a template says nothing."""

Branches = Literal["all", "first"]

_MARK = re.compile(
    r"(?P<brace>\{\{.*?\}\}\}?)"  # Go, Helm, Jinja, Handlebars
    r"|(?P<block>\{%.*?%\}|\{#[^\n]*?#\}|^[ \t]*\{#.*?#\}|</?#\w[^<>]*>)"  # Jinja, FreeMarker
    r"|(?P<tag><%.*?%>)",  # ERB
    re.DOTALL | re.MULTILINE,
)
_PARAMETER = re.compile(r"\$\{?[A-Z][A-Z0-9_]*\b")
_WITHOUT_VALUE = re.compile(
    r"\s*(?:[#/^!]|\$\w+\s*:?=|(?:if|else|elif|elsif|end|range|with|define|block|unless|each|raw)\b(?![.\[]))"
)
_OPENS = re.compile(
    r"\s*(?:#?(?:if|unless|range|for|with|each|define|block|raw)\b|.*\bdo\s*(?:\|[^|]*\|)?\s*$)"
)
_OTHER = re.compile(r"\s*(?:else|elif|elsif|elseif)\b")
_CLOSES = re.compile(r"\s*(?:/?(?:end\w*\b|\}\s*$)|/(?:if|unless|each|with|for|list)\b)")
_ALONE = re.compile(rf"^[ \t]*{UNKNOWN}[ \t{UNKNOWN}]*$", re.MULTILINE)


def has_placeholders(text: str) -> bool:
    """Whether a text looks like a template."""
    return bool(_MARK.search(text))


def unknown(text: str) -> bool:
    """Whether a word is, or holds, what is filled in later: also `${NAME}`, as envsubst has it."""
    return UNKNOWN in text or bool(_PARAMETER.search(text))


def filled(text: str, alone: str, branches: Branches = "all") -> str:
    """A template as text of the proxy's language, with the same lines.

    alone: what a line becomes that is nothing but a placeholder, such as an unknown statement.
    branches: whether the text has all branches of a condition, or only the first.
    """
    pieces: list[str] = []
    end = 0
    left_out = 0
    for mark in _MARK.finditer(text):
        before = text[end : mark.start()]
        end = mark.end()
        code = mark[0][2:-2].strip("-~+= {}" if mark["brace"] else "-~+ ")
        pieces.append(_newlines(before) if left_out else before)
        if branches == "first":
            left_out = _left_out(left_out, code, mark)
        pieces.append(_newlines(mark[0]))
        pieces.append(UNKNOWN if _has_value(mark, code) and not left_out else "")
    pieces.append(text[end:])
    return _ALONE.sub(alone, "".join(pieces))


def _left_out(depth: int, code: str, mark: re.Match[str]) -> int:
    """How many conditions deep the text after a mark is left out; 0: it stays."""
    if _has_value(mark, code):
        return depth
    if depth:
        if _OPENS.match(code):
            return depth + 1
        return depth - 1 if _CLOSES.match(code) else depth
    return 1 if _OTHER.match(code) else 0


def _has_value(mark: re.Match[str], code: str) -> bool:
    """Whether text comes of it, other than that of a condition or a loop."""
    if mark["brace"]:
        return not _WITHOUT_VALUE.match(code)
    return bool(mark["tag"]) and mark[0].startswith(("<%=", "<%-="))


def _newlines(text: str) -> str:
    return "\n" * text.count("\n")


def readings(text: str, alone: str) -> Iterator[str]:
    """The texts that a template may be read as, the best first; the text itself if it is none.

    With one branch of each condition it is a configuration that somebody may run; with all it may contradict
    itself.
    """
    if not has_placeholders(text):
        yield text
        return
    yield filled(text, alone, "first")
    yield filled(text, alone)
    yield filled(text, "", "first")
