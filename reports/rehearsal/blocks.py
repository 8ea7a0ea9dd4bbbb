"""What chapters of a report are made of, for any medium."""

from msgspec import Struct

from reports.text.tables import TextTable


class Words(Struct, frozen=True):
    """A paragraph."""

    text: str
    quiet: bool = False
    """An explanation, in small print."""


class Points(Struct, frozen=True):
    """A list of sentences."""

    items: tuple[str, ...]


class Code(Struct, frozen=True):
    """Lines to be shown as they are."""

    label: str
    lines: tuple[str, ...]


class Picture(Struct, frozen=True):
    """A figure, by its name; the writer of the report has its drawing."""

    name: str
    alt: str
    caption: str


class Table(Struct, frozen=True):
    """A table."""

    content: TextTable
    blank: frozenset[str] = frozenset()
    """Headings of columns that are left for people to fill in."""


Block = Words | Points | Code | Picture | Table


class Chapter(Struct, frozen=True):
    """A heading, and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


class Tile(Struct, frozen=True):
    """A number that matters, in large type."""

    name: str
    value: str
    note: str = ""
    good: bool | None = None
    """None where it is neither good nor bad by itself."""


class RehearsalPage(Struct, frozen=True, kw_only=True):
    """The content of a rehearsal's report."""

    title: str
    subtitle: str
    """When it was, and how it was played."""
    about: str
    """The scenario's own summary."""
    outcome: str
    """One paragraph in plain words."""
    alarms: tuple[str, ...]
    """Why the result is not to be relied on; empty where nothing is wrong."""
    tiles: tuple[Tile, ...]
    chapters: tuple[Chapter, ...]
