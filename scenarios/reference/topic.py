"""One topic of `explain`, and how it reads in a terminal."""

import textwrap
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from scenarios.reference.parameters import Parameter

INDENT = "  "


class Topic(Struct, frozen=True, kw_only=True):
    """Something that can be explained."""

    name: str
    kind: str
    """What it is, such as `key of [fleet]`."""
    group: str
    """Heading under which it is listed; empty: it is not."""
    says: str
    facts: Mapping[str, str] = field(default_factory=dict)
    formula: str = ""
    notes: str = ""
    """Paragraphs with an empty line between them."""
    reads: tuple[str, ...] = ()
    """Sentences of a report that say it; `…` stands for figures."""
    parameters: tuple[Parameter, ...] = ()
    example: str = ""
    """TOML."""
    source: str = ""
    more: str = ""
    """A page, as docs/ links it."""


def explanation(topic: Topic, width: int) -> str:
    """The topic as text of at most this width, but for formulas and examples."""
    blocks = [f"{topic.name}: {topic.kind}", *_blocks(topic, width)]
    return "\n\n".join(block for block in blocks if block)


def listing(topics: list[Topic], width: int) -> str:
    """The names of all topics, group by group."""
    groups: dict[str, list[str]] = {}
    for topic in topics:
        if topic.group:
            groups.setdefault(topic.group, []).append(topic.name)
    return "\n\n".join(
        f"{group}:\n{_wrapped(', '.join(dict.fromkeys(names)), width)}" for group, names in groups.items()
    )


def _blocks(topic: Topic, width: int) -> Iterator[str]:
    yield _wrapped(topic.says, width)
    yield textwrap.indent(topic.formula, INDENT * 2)
    yield "\n\n".join(_wrapped(note, width) for note in topic.notes.split("\n\n"))
    yield _pairs(topic.facts, width)
    if topic.parameters:
        settings = {each.name: f"{each.meaning} {each.facts}".strip() for each in topic.parameters}
        heading = "keys" if topic.group == "tables" else "parameters"
        yield f"{INDENT}{heading}:\n{textwrap.indent(_pairs(settings, width - 2), INDENT)}"
    if topic.reads:
        yield "\n".join([f"{INDENT}in a report:", *(_bullet(text, width) for text in topic.reads)])
    if topic.example:
        yield f"{INDENT}example:\n\n{textwrap.indent(topic.example, INDENT * 2)}"
    if topic.source:
        yield _wrapped(f"Source: {topic.source}", width)
    if topic.more:
        yield f"{INDENT}more: {_address(topic.more)}"


def _address(page: str) -> str:
    return page.removeprefix("../") if page.startswith("../") else f"docs/{page}"


def _pairs(facts: Mapping[str, str], width: int) -> str:
    """Names and texts in two columns."""
    if not facts:
        return ""
    column = max(map(len, facts)) + 2
    lines = []
    for name, text in facts.items():
        first, *rest = textwrap.wrap(text, max(20, width - column - len(INDENT)), break_on_hyphens=False) or [
            ""
        ]
        lines.append(f"{INDENT}{name:<{column}}{first}".rstrip())
        lines += [f"{INDENT}{'':<{column}}{line}" for line in rest]
    return "\n".join(lines)


def _bullet(text: str, width: int) -> str:
    return _wrapped(text, width - len(INDENT)).replace("\n", f"\n{INDENT}").replace(INDENT, f"{INDENT}- ", 1)


def _wrapped(text: str, width: int) -> str:
    lines = textwrap.wrap(text, width - len(INDENT), break_on_hyphens=False, break_long_words=False)
    return textwrap.indent("\n".join(lines), INDENT)
