"""Statements of an nginx configuration: reading them, and changing some where they stand."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import crossplane
from msgspec import Struct

from scenarios.proxies.own_nginx.placeholders import OwnNginxError


class Statement(Struct, frozen=True, kw_only=True):
    """A directive with its arguments; of a block, what is in front of it."""

    source: str
    """The user's file."""
    line: int
    name: str
    args: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    """Names of the blocks that it is in, within its file, from the outside."""
    block: tuple["Statement", ...] | None = None
    """What is in it; None for a directive that is no block."""

    @property
    def place(self) -> str:
        """File and line, as errors begin."""
        return f"{self.source}:{self.line}"

    @property
    def text(self) -> str:
        """As it may be quoted in an error."""
        return " ".join((self.name, *self.args))


def statements_of(text: str, source: str) -> tuple[Statement, ...]:
    """The statements of one file, without those of files that it includes. Raises OwnNginxError."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conf") as file:
        file.write(text)
        file.flush()
        # What a directive may be is nginx's own business, which checks the whole afterwards.
        found = crossplane.parse(file.name, single=True, comments=False, check_ctx=False, check_args=False)
        for error in found["errors"]:
            if error["line"] is None:  # the parser gave up, and says neither why nor where
                raise OwnNginxError(
                    f"{source}: not a configuration of nginx: expected directives that end with ;"
                )
            said = str(error["error"]).replace(f" in {file.name}:{error['line']}", "")
            raise OwnNginxError(f"{source}:{error['line']}: {said}")
    return _built(found["config"][0]["parsed"], source, ())


def _built(
    parsed: Sequence[Mapping[str, Any]], source: str, within: tuple[str, ...]
) -> tuple[Statement, ...]:
    return tuple(
        Statement(
            source=source,
            line=each["line"],
            name=each["directive"],
            args=tuple(each["args"]),
            within=within,
            block=_built(each["block"], source, (*within, each["directive"])) if "block" in each else None,
        )
        for each in parsed
    )


def flat(statements: Sequence[Statement]) -> Iterator[Statement]:
    """All of them in the order of the file, each block before what is in it."""
    for statement in statements:
        yield statement
        yield from flat(statement.block or ())


_REST = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^;"'])*;""", re.DOTALL)


def changed(text: str, statements: Sequence[Statement], change: Callable[[Statement], str | None]) -> str:
    """The text with some statements in another form, each in its line; None leaves a statement as it is."""
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    pieces: list[str] = []
    copied = seen = 0
    for statement in flat(statements):
        name = re.compile(rf"(?<![^\s;{{}}]){re.escape(statement.name)}(?=[\s;{{])")
        begin = name.search(text, max(seen, starts[statement.line - 1]))
        if begin is None:
            continue  # a name in quotes, which none that is changed has
        seen = begin.end()
        end = _REST.match(text, seen) if statement.block is None else None
        if end is None:
            continue
        seen = end.end()
        if (new := change(statement)) is not None:
            lines = text.count("\n", begin.start(), seen)
            pieces += [text[copied : begin.start()], new, "\n" * lines]
            copied = seen
    return "".join((*pieces, text[copied:]))


def quoted(word: str) -> str:
    """A word as nginx reads it back."""
    return word if re.fullmatch(r"[\w./:=$@%+,-]+", word) else '"' + word.replace('"', r"\"") + '"'
