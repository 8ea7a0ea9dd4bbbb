"""Secrets in texts: URLs, words, errors, logs of other programs."""

import contextlib
import re
import shlex
import string
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from msgspec import Struct

HIDDEN = "(hidden)"


NAME_LETTERS = frozenset(string.ascii_letters + string.digits + "_-.")


_LETTERS = frozenset(string.ascii_letters)


_SHORTEST = 4
"""A shorter secret is in too many words to be looked for in a text."""


def told_apart(labels: Sequence[str]) -> list[str]:
    """The labels in the same order; where some look alike, because of what is hidden, a number tells."""
    found: list[str] = []
    for label in labels:
        numbered = (f"{label} {number}" for number in count(1))
        free = (one for one in numbered if one not in found and one not in labels)
        found.append(next(free) if labels.count(label) > 1 else label)
    return found


_FORM = re.compile(r"(?:(?:Bearer|Token|Basic) )?\{[a-z][a-z0-9_]*\}")


def is_form(value: object) -> bool:
    """Whether a value is a placeholder for a secret, such as `Bearer {token}`, and none itself."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


# -- texts ---------------------------------------------------------------------------------------------------


def shown_url(url: str) -> str:
    """Scheme, host, port and path of a URL; where something else is left out, `(hidden)` stands.

    It does not rely on a text to be a URL: whatever is in front of the last @, or behind the first `?`, `;`
    or `#`, is left out.
    """
    cut = cut_url(url)
    host, colon, port = cut.authority.rpartition(":")
    authority = cut.authority
    if colon and port and not port.isdecimal() and not authority.endswith("]"):
        authority = f"{host}:{HIDDEN}"
    return "".join(
        (
            cut.scheme if set(cut.scheme) <= NAME_LETTERS | {"+"} else HIDDEN,
            cut.separator,
            f"{HIDDEN}@" if cut.user else "",
            authority + cut.path,
            cut.behind[:1] + (HIDDEN if len(cut.behind) > 1 else ""),
        )
    )


class CutUrl(Struct, frozen=True):
    """A URL in pieces."""

    scheme: str
    separator: str
    user: str
    authority: str
    path: str
    behind: str


def cut_url(url: str) -> CutUrl:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    end = next((place for place, letter in enumerate(rest) if letter in "?;#"), len(rest))
    user, _, place = rest[:end].rpartition("@")
    authority, slash, path = place.partition("/")
    return CutUrl(scheme, separator, user, authority, slash + path, rest[end:])


def shown_text(text: str) -> str:
    """A text in which URLs may be, each without its secrets."""
    return "".join(_shown_word(word) for word in _words(text))


def hide(text: str, secrets: Iterable[str]) -> str:
    """A text from elsewhere, such as a server's answer, in which secrets that are known do not stand."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text


def hide_in_logs(folder: Path, secrets: Iterable[str]) -> None:
    """Hides secrets that are known in all logs of a folder, whoever has written them there.

    A log that cannot be written, as on a full disk, is cut: what follows in it is lost. All other logs are
    looked through. Raises the first OSError when it is done.
    """
    known = [secret for secret in secrets if len(secret) >= _SHORTEST]
    failed: OSError | None = None
    for path in sorted(folder.rglob("*.log")) if known else ():
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            shown = hide(text, known)
            if shown != text:
                path.write_text(shown, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            failed = failed or error
    if failed:
        raise failed


@contextlib.contextmanager
def errors_without(secrets: Iterable[str]) -> Iterator[None]:
    """Hides secrets that are known in what an error says that comes out of it, and in those behind it."""
    try:
        yield
    except BaseException as error:
        hide_in_error(error, secrets)
        raise


def hide_in_error(error: BaseException, secrets: Iterable[str]) -> None:
    """Hides secrets that are known in what an error says, and in its causes and members."""
    known, open_, seen = tuple(secrets), [error], set[int]()
    while open_:
        one = open_.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(hide(each, known) if isinstance(each, str) else each for each in one.args)
        open_ += filter(None, (one.__cause__, one.__context__))
        if isinstance(one, BaseExceptionGroup):
            open_ += one.exceptions


def _words(text: str) -> Iterator[str]:
    """Words and what is between them, so that all together are the text."""
    word = ""
    for letter in text:
        if word and letter.isspace() != word[-1].isspace():
            yield word
            word = ""
        word += letter
    if word:
        yield word


def shown_name(name: str) -> str:
    return name if set(name) <= NAME_LETTERS else HIDDEN


def _shown_word(word: str) -> str:
    if "://" not in word:
        return word
    begin = word.index("://")
    while begin and word[begin - 1] in _LETTERS:
        begin -= 1
    return word[:begin] + shown_url(word[begin:])


# -- commands ------------------------------------------------------------------------------------------------


_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|auth|credential|cookie|session|private|salt|sign|dsn|jwt|bearer|pin$",
    re.IGNORECASE,
)
_KNOWN_TOKEN = re.compile(
    r"^(eyJ|sk[_-]|pk[_-]|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|AIza|-----BEGIN)"
)
_RANDOM = re.compile(r"^(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+_=~-]{24,}$")


_NAMED = re.compile(
    r"""([\w.-]*(?:pass|pwd|secret|token|api_?key|auth|credential|cookie|private|bearer)[\w.-]*["']?\s*[=:]\s*)"""
    r"(?!//).+",
    re.IGNORECASE | re.DOTALL,
)
"""A name that stands for a secret, inside a word, with what follows it."""


def looks_secret(name: str, value: str) -> bool:
    """Whether a value, of an option or a variable with this name, has to be taken for a secret."""
    return bool(value and (_SECRET_NAME.search(name) or _KNOWN_TOKEN.match(value) or _RANDOM.match(value)))


def shown_variable(name: str, value: str) -> str:
    """The value of a variable of the environment."""
    return HIDDEN if looks_secret(name, value) else _shown_value(value)


def shown_words(words: Sequence[str]) -> list[str]:
    """The words of a command; the value of an option that looks like a secret is hidden."""
    found = []
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        is_name = name.lstrip("-").replace("-", "_").replace(".", "_").isidentifier()
        if equals and is_name:
            found.append(f"{name}={shown_variable(name, value)}")
        elif not word.startswith("-") and (looks_secret(option, word) or _is_login(option, word)):
            found.append(HIDDEN)
        else:
            found.append(_shown_value(word))
        option = word if word.startswith("-") or word.lower().endswith(("bearer", ":")) else ""
    return found


def _shown_value(value: str) -> str:
    """A value in which others may be named, as in `Server=h;Password=x` or `{"token": "x"}`."""
    return shown_text(_NAMED.sub(lambda found: found[1] + HIDDEN, value))


def _is_login(option: str, word: str) -> bool:
    """Whether a word is a user's name and password, as curl and others take them."""
    return option in {"-u", "-U", "--user"} and ":" in word


def shown_line(line: str) -> str:
    """A command in one line."""
    try:
        words = shlex.split(line)
    except ValueError:
        return HIDDEN
    shown = shown_words(words)
    return line if shown == words else " ".join(shown)


def secret_parts(words: Sequence[str]) -> Iterator[str]:
    """The secrets in the words of a command."""
    for word, shown in zip(words, shown_words(words), strict=True):
        yield from hidden_parts(word, shown)


def hidden_parts(text: str, shown: str) -> Iterator[str]:
    """What stands in a text where `(hidden)` stands in what is shown of it; its last word alone as well."""
    pieces = shown.split(HIDDEN)
    found = re.fullmatch("(.+?)".join(map(re.escape, pieces)), text, re.DOTALL)
    for part in found.groups() if found and len(pieces) > 1 else ():
        yield part
        # `Bearer TOKEN`, and the password of `user:password`.
        yield from part.split()[1:]
        yield from part.split(":")[1:]
