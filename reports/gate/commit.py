"""Which commit a side of a gate was."""

from collections.abc import Sequence

from msgspec import Struct

_MOST_FILES = 5


class Commit(Struct, frozen=True):
    """Whose result it is."""

    id: str
    date: str
    """ISO 8601, with the offset."""
    dirty: bool = False
    """The working tree of this commit had uncommitted changes."""

    @property
    def short(self) -> str:
        """The first digits of its id."""
        return self.id[:7]

    @property
    def label(self) -> str:
        """Its id, as `git describe --dirty` marks it."""
        return f"{self.id}-dirty" if self.dirty else self.id


def dirty_note(side: str, commit: Commit, files: Sequence[str]) -> str:
    """A sentence about the uncommitted changes of a side; files: those that have some."""
    shown = ["".join(letter if letter.isprintable() else "?" for letter in name) for name in files]
    named = ", ".join([*shown[:_MOST_FILES], "…"] if len(files) > _MOST_FILES else shown)
    counted = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    return f"The {side} is the working tree of {commit.short} with uncommitted changes in {counted}: {named}."
