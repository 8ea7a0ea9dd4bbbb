"""A table of text, for any medium."""

from msgspec import Struct


class TextTable(Struct, frozen=True, kw_only=True):
    """Rows under headings; the first cell of a row is its own heading.

    Where `grouped`, the first cell is what several rows belong to, and the second one is a row's own heading.
    """

    label: str
    """What it is a table of."""
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[str] = frozenset()
    """Headings of columns of words, which begin at the left; all others are numbers."""
    grouped: bool = False

    def without_first_column(self) -> "TextTable":
        """The table of a single run, which needs no column with its name."""
        return TextTable(
            label=self.label,
            headings=self.headings[1:],
            rows=tuple(row[1:] for row in self.rows),
            words=self.words,
        )
