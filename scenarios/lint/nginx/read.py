"""Reads nginx's configuration with the files that it includes.

crossplane splits the text into words. Its parser is not used: it does not check a part of a configuration,
and rejects arguments that newer versions of nginx take.
"""

import glob
from collections.abc import Iterator
from pathlib import Path

import crossplane
from crossplane.analyzer import DIRECTIVES
from crossplane.errors import NgxParserBaseException

from scenarios.lint.finding import LintError, Place
from scenarios.lint.nginx.tree import Directive, Scope

_MOST_NESTED = 60
_TEMPLATE = ("{{", "{%", "<%")


def read(file: Path) -> Scope:
    """The whole configuration as one block. Raises LintError where nginx would not read it.

    The file may be a part of a configuration; an include that cannot be read stays a directive.
    """
    return Scope(Directive("", (), Place(str(file), 1), _Reader(file, file.parent, ()).directives()))


class _Reader:
    """Reads one file; folder: where relative paths begin; including: the files that led to it."""

    def __init__(self, file: Path, folder: Path, including: tuple[Path, ...]) -> None:
        self._file = file
        self._folder = folder
        self._including = (*including, file.resolve())
        self._line = 1
        self._words = self._read_words()

    def directives(self) -> tuple[Directive, ...]:
        """All of them, in their order."""
        return self._block(0)

    def _read_words(self) -> Iterator[tuple[str, int, bool]]:
        """The words of the file, without comments: text, line, and whether it was quoted."""
        try:
            for text, line, quoted in crossplane.lex(str(self._file)):
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
        files = [Path(name) for name in sorted(glob.glob(str(self._folder / include.value)))]  # noqa: PTH207 - absolute ones as well
        if not files:
            yield include
        for file in files:
            if file.resolve() in self._including:
                raise self._wrong(f"{file} includes itself", include.place.line)
            if file.is_file():
                yield from _Reader(file, self._folder, self._including).directives()

    def _wrong(self, what: str, line: int | None = None) -> LintError:
        text = self._file.read_text(encoding="utf-8", errors="replace")
        hint = (
            "; this looks like a template: fill it in first"
            if any(mark in text for mark in _TEMPLATE)
            else ""
        )
        return LintError(f"{self._file}:{self._line if line is None else line}: {what}{hint}")
