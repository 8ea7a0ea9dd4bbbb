"""Reads a configuration of any proxy and says what is wrong with it."""

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from msgspec import Struct

from scenarios.lint.clients import Clients
from scenarios.lint.envoy import rules as envoy
from scenarios.lint.finding import Finding, LintError, Rule
from scenarios.lint.haproxy import rules as haproxy
from scenarios.lint.haproxy.parse import SECTIONS
from scenarios.lint.ignoring import Ignored
from scenarios.lint.nginx import rules as nginx


class Kind(Struct, frozen=True):
    """A proxy whose configuration can be checked."""

    rules: tuple[Rule, ...]
    check: Callable[[Path, Clients], Iterator[Finding]]


KINDS: dict[str, Kind] = {
    "nginx": Kind(nginx.RULES, nginx.check),
    "haproxy": Kind(haproxy.RULES, haproxy.check),
    "envoy": Kind(envoy.RULES, envoy.check),
}
RULES: dict[str, Rule] = {rule.name: rule for kind in KINDS.values() for rule in kind.rules}

_ENVOY = re.compile(
    r"(?:static|dynamic)(?:_r|R)esources|type\.googleapis\.com/envoy|virtual_hosts|load_assignment"
)
_BLOCK = re.compile(
    r"^\s*(?:(?:server|http|events|stream)\s*\{|(?:location|upstream|map|geo)\s[^#\n]*\{|[^#\n]*\{\s*(?:#.*)?$)",
    re.MULTILINE,
)
_SECTION = re.compile(
    rf"^\s*(?:{'|'.join(sorted(SECTIONS))})(?:\s+[\w.:-]+)?(?:\s+from\s+\S+)?\s*(?:#.*)?$", re.MULTILINE
)
_DIRECTIVE = re.compile(r"^\s*[a-z_]+\b[^#\n]*;\s*(?:#.*)?$", re.MULTILINE)
_DATA = {".yaml", ".yml", ".json"}


def lint(file: Path, kind: str | None, clients: Clients, ignored: Collection[str] = ()) -> list[Finding]:
    """What is wrong with a file, by line. Raises LintError where it cannot be read.

    kind: nginx, haproxy or envoy; None: what it looks like. ignored: names of rules.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
        name = kind or kind_of(text, file)
        found = [*dict.fromkeys(KINDS[name].check(file, clients))]
        comments = Ignored(file, text)
        kept = [one for one in found if one.rule.name not in ignored and not comments.covers(one)]
    except OSError as error:
        raise LintError(f"{error.filename or file}: {error.strerror}") from None
    return sorted(kept, key=lambda one: (one.place, -one.severity, one.rule.name))


def kind_of(text: str, file: Path) -> str:
    """Which proxy a configuration is of. Raises LintError."""
    if _ENVOY.search(text):
        return "envoy"
    if file.suffix not in _DATA:
        # No section of HAProxy's has such a block.
        if not _BLOCK.search(text) and _SECTION.search(text):
            return "haproxy"
        if _BLOCK.search(text) or _DIRECTIVE.search(text):
            return "nginx"
    expected = "a configuration of nginx, HAProxy or Envoy; name the proxy with --as"
    raise LintError(f"{file}: invalid value: expected {expected}")
