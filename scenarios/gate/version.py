"""A commit as one side of a gate: which one it is, and its files in a folder of their own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from scenarios.gate.checkout import check_out
from scenarios.gate.kept import temporary
from scenarios.gate.repository import CheckoutError, Repository, Revision


class Version(Struct, frozen=True, kw_only=True):
    """A commit of a repository."""

    text: str
    """As the user named it, such as `git:main`."""
    repository: Repository
    commit: Revision

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.text} ({self.commit.short})"


@contextlib.contextmanager
def checked_out(version: Version) -> Iterator[Path]:
    """The files of a version, in a folder that is gone afterwards. Raises CheckoutError."""
    with temporary() as place:
        fill(version, place.folder)
        yield place.folder


def fill(version: Version, folder: Path) -> None:
    """Writes the files of a version into a folder that is empty. Raises CheckoutError."""
    try:
        check_out(version.repository, version.commit.id, folder)
    except CheckoutError as error:
        raise CheckoutError(f"{version.name}: {error}") from None
