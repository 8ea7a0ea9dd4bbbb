"""A user's configuration made ready for a run: filled in, and with its files in the run's folders.

The user's file and all files that it includes are read once; copies of them are what nginx runs with. They
differ from the originals in what cannot be the same beside a real nginx and without root: see `_change`.
"""

import glob
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from scenarios.proxies.own_nginx.placeholders import OwnNginxError, Values, filled
from scenarios.proxies.own_nginx.statements import Statement, changed, flat, quoted, statements_of

MAIN = "nginx.conf"
COPIES = "copies"
"""Folder beside `MAIN` with the included files, each under its absolute path."""

_REMOVED = frozenset({"daemon", "master_process", "pid", "lock_file", "user", "working_directory"})
"""What this program sets, or what takes root."""
_PATHS = frozenset(
    f"{module}_{what}_path"
    for module, whats in {
        "client_body": ("temp",),
        **dict.fromkeys(("proxy", "fastcgi", "uwsgi", "scgi"), ("temp", "cache")),
    }.items()
    for what in whats
)
_NOT_NEEDED = "mime.types"
"""Where it is missing, nothing in front of a gateway misses it."""


class Folders(Struct, frozen=True):
    """Where the files of a run go."""

    kept: Path
    """In the run directory."""
    private: Path
    """Gone after the run."""


class Rendered(Struct, frozen=True):
    """What nginx runs with."""

    files: Mapping[str, str]
    """By the path relative to the folder of the copies, the user's file as `MAIN`."""
    statements: tuple[Statement, ...]
    """Of all files, flat, as they are before this program changes some."""

    def named(self, *names: str) -> Iterator[Statement]:
        """Statements with one of these names."""
        return (statement for statement in self.statements if statement.name in names)


class OwnConfiguration:
    """The user's file. log_format: the one whose access log is kept. Raises OwnNginxError."""

    def __init__(self, file: Path, *, log_format: str) -> None:
        self.file = file
        self.log_format = log_format
        self._texts: dict[Path, str] = {file: _read(file)}

    @property
    def sha256(self) -> str:
        """Of the user's file, without what it includes."""
        return hashlib.sha256(self._texts[self.file].encode()).hexdigest()

    def rendered(self, values: Values, folders: Folders) -> Rendered:
        """The files for a run, and what they say. Raises OwnNginxError."""
        files: dict[str, str] = {}
        statements: list[Statement] = []
        todo = [self.file]
        for path in todo:
            if path not in self._texts:
                self._texts[path] = _read(path)
            text = filled(self._texts[path], values, str(path))
            found = statements_of(text, str(path))
            statements += flat(found)
            includes = {one: self._included(one) for one in flat(found) if one.name == "include"}
            todo += [each for paths in includes.values() for each in paths if each not in todo]

            def change(one: Statement, includes: dict[Statement, list[Path]] = includes) -> str | None:
                return self._change(one, folders, includes)

            files[MAIN if path == self.file else _copy_of(path)] = changed(text, found, change)
        return Rendered(files, tuple(statements))

    def _included(self, statement: Statement) -> list[Path]:
        """The files that an `include` names; a pattern may have none."""
        pattern = str(self.file.parent / statement.args[0])
        if glob.has_magic(pattern):
            found = map(Path, sorted(glob.glob(pattern)))  # noqa: PTH207 - a pattern may be absolute
            return [path for path in found if path.is_file()]
        if Path(pattern).is_file():
            return [Path(pattern)]
        if Path(pattern).name == _NOT_NEEDED:
            return []
        raise OwnNginxError(f"{statement.place}: {statement.text}: no such file {pattern}")

    def _change(
        self, one: Statement, folders: Folders, includes: Mapping[Statement, list[Path]]
    ) -> str | None:
        """What a statement becomes; None leaves it as it is."""
        if one.name in _REMOVED and not one.within:
            return ""
        if one.name == "include":
            # nginx looks for relative paths beside the main file, whichever file names them.
            return " ".join(f"include {quoted(_copy_of(path))};" for path in includes[one])
        if one.name == "error_log":
            return _with_path(one, folders.kept / "error.log") if one.within else ""
        if one.name == "access_log" and one.args[0] != "off":
            return _with_path(one, self.log(one, folders))
        if one.name in _PATHS:
            return _with_path(one, folders.kept / one.name)
        return None

    def log(self, access_log: Statement, folders: Folders) -> Path:
        """Where an access log goes. One in another format may hold what nobody meant to keep."""
        if access_log.args[1:2] == (self.log_format,):
            return folders.kept / "access.log"
        return folders.private / "other-access.log"


def _with_path(statement: Statement, path: Path) -> str:
    words = (statement.name, str(path), *statement.args[1:])
    return " ".join((words[0], f'"{words[1]}"', *map(quoted, words[2:]))) + ";"


def _copy_of(path: Path) -> str:
    return f"{COPIES}{path.absolute()}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise OwnNginxError(f"{path}: cannot be read: {reason}") from None
