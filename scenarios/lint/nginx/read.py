"""Reads nginx's configuration with the files that it includes.

crossplane splits the text into words. Its parser is not used: it does not check a part of a configuration,
and rejects arguments that newer versions of nginx take.
"""

import glob
import tempfile
from collections.abc import Iterator
from pathlib import Path

import crossplane
from crossplane.analyzer import DIRECTIVES
from crossplane.errors import NgxParserBaseException

from scenarios.lint.finding import LintError, Place
from scenarios.lint.nginx.tree import Directive, Scope
from scenarios.lint.placeholders import UNKNOWN
from scenarios.lint.reading import first_readable, text_of

_MOST_NESTED = 60
_HOMES = ("/etc/nginx/", "/usr/local/nginx/conf/", "/usr/local/openresty/nginx/conf/", "/config/nginx/")
_SOME_STATEMENT = f"include {UNKNOWN};"


def read(text: str, file: Path) -> Scope:
    """The whole configuration as one block. Raises LintError where nginx would not read it.

    The text may be a part of a configuration, and a template of one; an include that cannot be read stays a
    directive.
    """
    return Scope(Directive("", (), Place(str(file), 1), _directives(text, file, file.parent, ())))


def _directives(text: str, file: Path, folder: Path, including: tuple[Path, ...]) -> tuple[Directive, ...]:
    return first_readable(
        text, _SOME_STATEMENT, lambda reading: _Reader(reading, file, folder, including).directives()
    )


class _Reader:
    """Reads one file; folder: where relative paths begin; including: the files that led to it."""

    def __init__(self, text: str, file: Path, folder: Path, including: tuple[Path, ...]) -> None:
        self._file = file
        self._folder = folder
        self._including = (*including, file.resolve())
        self._line = 1
        self._words = self._read_words(text)

    def directives(self) -> tuple[Directive, ...]:
        """All of them, in their order."""
        return self._block(0)

    def _read_words(self, whole: str) -> Iterator[tuple[str, int, bool]]:
        """The words of the file, without comments: text, line, and whether it was quoted."""
        # crossplane reads files only; this one may be a template, or stand in another file.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as copy:
            copy.write(whole)
            copy.flush()
            try:
                for text, line, quoted in crossplane.lex(copy.name):
                    self._line = line
                    if quoted or not text.startswith("#"):
                        yield text, line, quoted
            except NgxParserBaseException as error:
                raise self._wrong(error.strerror, error.lineno) from None

    def _block(self, depth: int) -> tuple[Directive, ...]:
        if depth > _MOST_NESTED:
            raise self._wrong(f"more than {_MOST_NESTED} blocks in each other")
        found: list[Directive] = []
        for text, line, quoted in self._words:
            if text == "}" and not quoted:
                break
            if text in {";", "{"} and not quoted:
                raise self._wrong(f'unexpected "{text}"')
            found += self._directive(text, line, depth)
        return tuple(found)

    def _directive(self, name: str, line: int, depth: int) -> Iterator[Directive]:
        args: list[str] = []
        before = line
        for text, at, quoted in self._words:
            if not quoted and text in {"{", ";", "}"}:
                break
            if not quoted and at > before and text in DIRECTIVES:
                raise self._wrong(f'directive "{name}" is not terminated by ";"', line)
            before = at
            args.append(text)
        else:
            raise self._wrong('unexpected end of file, expecting ";" or "}"')
        if text == "}":
            raise self._wrong(f'directive "{name}" is not terminated by ";"', line)
        block = self._block(depth + 1) if text == "{" else None
        one = Directive(name, tuple(args), Place(str(self._file), line), block)
        yield from self._included(one) if name == "include" and args else [one]

    def _included(self, include: Directive) -> Iterator[Directive]:
        """What it stands for: the directives of the files, or itself where there is no such file."""
        files = self._files(include.value)
        if not files:
            yield include
        for file in files:
            if file.resolve() in self._including:
                raise self._wrong(f"{file} includes itself", include.place.line)
            if file.is_file():
                yield from _directives(text_of(file), file, self._folder, self._including)

    def _files(self, pattern: str) -> list[Path]:
        """The files of an include; what is installed in nginx's folder may lie beside the file instead."""
        patterns = [self._folder / pattern]
        home = next((home for home in _HOMES if pattern.startswith(home)), None)
        if home is not None and not str(self._folder.resolve()).startswith(home.rstrip("/")):
            patterns.insert(0, self._folder / pattern.removeprefix(home))
        found = (sorted(glob.glob(str(one))) for one in patterns)  # noqa: PTH207 - absolute ones as well
        return [Path(name) for name in next(filter(None, found), [])]

    def _wrong(self, what: str, line: int | None = None) -> LintError:
        return LintError(f"{self._file}:{self._line if line is None else line}: {what}")
