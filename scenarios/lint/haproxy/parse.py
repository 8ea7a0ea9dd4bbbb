"""HAProxy's configuration: sections of lines of words, each with the defaults that it inherits."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from scenarios.lint.finding import LintError, Place
from scenarios.lint.reading import first_readable

SECTIONS = frozenset({
    "acme", "backend", "cache", "crt-list", "crt-store", "defaults", "fcgi-app", "frontend", "global",
    "http-errors", "listen", "log-forward", "mailers", "peers", "program", "resolvers", "ring", "traces",
    "userlist",
})  # fmt: skip
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class Line(Struct, frozen=True):
    """A line of a section."""

    words: tuple[str, ...]
    place: Place

    def starts(self, *words: str) -> bool:
        """Whether it begins with these words."""
        return self.words[: len(words)] == words

    def after(self, word: str) -> str | None:
        """The word that follows this one; None where there is none."""
        where = self.words.index(word) + 1 if word in self.words else len(self.words)
        return self.words[where] if where < len(self.words) else None

    @property
    def text(self) -> str:
        """Its words with one space between them."""
        return " ".join(self.words)


class Section(Struct, frozen=True, kw_only=True):
    """A section with its name."""

    kind: str
    name: str
    place: Place
    lines: tuple[Line, ...]
    defaults: "Section | None" = None

    def own(self, *words: str) -> list[Line]:
        """Its lines that begin with these words."""
        return [line for line in self.lines if line.starts(*words)]

    def found(self, *words: str) -> Line | None:
        """The last of these lines, or that of the defaults."""
        own = self.own(*words)
        if own or self.defaults is None:
            return own[-1] if own else None
        return self.defaults.found(*words)

    def value(self, *words: str) -> str | None:
        """The word after these, in the section or its defaults."""
        line = self.found(*words)
        return line.words[len(words)] if line is not None and len(line.words) > len(words) else None

    def option(self, *words: str) -> Line | None:
        """`option …` that applies; None also after `no option …`."""
        off = self.own("no", "option", *words)
        on = self.own("option", *words)
        if on or off or self.defaults is None:
            return on[-1] if on and not (off and off[-1].place > on[-1].place) else None
        return self.defaults.option(*words)

    @property
    def mode(self) -> str:
        """`http` or `tcp`."""
        return self.value("mode") or "tcp"


def read(text: str, file: Path) -> list[Section]:
    """The sections of a text, which may be a template. Raises LintError."""
    return first_readable(text, "", lambda reading: parse(reading, str(file)))


def parse(text: str, file: str) -> list[Section]:
    """The sections of a text; file: what places and errors call it. Raises LintError."""
    sections: list[Section] = []
    head: Line | None = None
    lines: list[Line] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        if raw.lstrip().startswith("."):
            continue  # a condition that HAProxy itself evaluates
        place = Place(file, number)
        words = tuple(_words(raw, place))
        if not words:
            continue
        line = Line(words, place)
        if words[0] in SECTIONS:
            if head is not None:
                sections.append(_section(head, lines, sections))
            head, lines = line, []
        elif head is None:
            raise LintError(
                f"{file}:{number}: invalid value {words[0]!r}: expected a section such as global or frontend"
            )
        else:
            lines.append(line)
    if head is not None:
        sections.append(_section(head, lines, sections))
    return sections


def _section(head: Line, lines: list[Line], before: list[Section]) -> Section:
    """A section; what it inherits: the defaults that it names, or the last ones before it."""
    kind, *rest = head.words
    name = rest[0] if rest and rest[0] != "from" else ""
    origin = head.after("from")
    known = [one for one in before if one.kind == "defaults"]
    inherited: Section | None = None
    if origin is not None:
        inherited = next((one for one in reversed(known) if one.name == origin), None)
    elif kind in {"frontend", "backend", "listen"} and known:
        inherited = known[-1]
    return Section(kind=kind, name=name, place=head.place, lines=tuple(lines), defaults=inherited)


def _words(raw: str, place: Place) -> Iterator[str]:
    """Words of a line as HAProxy splits it: quotes, backslashes, comments. Raises LintError."""
    word: list[str] = []
    started = False
    quote = ""
    characters = iter(raw)
    for character in characters:
        if character == "\\" and quote != "'":
            following = next(characters, "\\")
            word.append(_ESCAPED.get(following, following))
            started = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                word.append(character)
        elif character in {'"', "'"}:
            quote = character
            started = True
        elif character.isspace():
            if started:
                yield "".join(word)
            word, started = [], False
        elif character == "#":
            break
        else:
            word.append(character)
            started = True
    if quote:
        raise LintError(f"{place.file}:{place.line}: unterminated {quote}")
    if started:
        yield "".join(word)
