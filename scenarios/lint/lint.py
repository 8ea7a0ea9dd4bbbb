"""Reads a configuration of any proxy and says what is wrong with it."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from msgspec import Struct

from scenarios.lint.clients import Clients
from scenarios.lint.envoy import rules as envoy
from scenarios.lint.finding import Finding, LintError, Place, Rule
from scenarios.lint.haproxy import rules as haproxy
from scenarios.lint.ignoring import Ignored
from scenarios.lint.kubernetes import rules as kubernetes
from scenarios.lint.nginx import rules as nginx
from scenarios.lint.parts import Part, parts
from scenarios.lint.reading import text_of
from scenarios.lint.validation import RULES as VALIDATED


class Kind(Struct, frozen=True):
    """A proxy whose configuration can be checked."""

    rules: tuple[Rule, ...]
    check: Callable[[str, Path, Clients], Iterator[Finding]]
    not_judged: Rule


KINDS: dict[str, Kind] = {
    "nginx": Kind(nginx.RULES, nginx.check, nginx.NOT_JUDGED),
    "haproxy": Kind(haproxy.RULES, haproxy.check, haproxy.NOT_JUDGED),
    "envoy": Kind(envoy.RULES, envoy.check, envoy.NOT_JUDGED),
    "kubernetes": Kind(kubernetes.RULES, kubernetes.check, kubernetes.NOT_JUDGED),
}
RULES: dict[str, Rule] = {
    rule.name: rule for rules in (*(kind.rules for kind in KINDS.values()), VALIDATED) for rule in rules
}


def lint(file: Path, kind: str | None, clients: Clients, ignored: Collection[str] = ()) -> list[Finding]:
    """What is wrong with a file, by line. Raises LintError where it cannot be read.

    kind: nginx, haproxy, envoy or kubernetes; None: what it looks like. ignored: names of rules.
    """
    try:
        text = text_of(file)
        found = [one for part in parts(text, file, kind) for one in _checked(part, file, clients)]
        comments = Ignored(file, text)
        kept = [
            one for one in dict.fromkeys(found) if one.rule.name not in ignored and not comments.covers(one)
        ]
    except OSError as error:
        raise LintError(f"{error.filename or file}: {error.strerror}") from None
    return sorted(kept, key=lambda one: (one.place, -one.severity, one.rule.name))


def _checked(part: Part, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong with a part; one within another file that cannot be read is named. Raises LintError."""
    try:
        yield from [*KINDS[part.kind].check(part.text, file, clients)]
    except LintError as error:
        if not part.line:
            raise
        place = Place(str(file), part.line)
        yield KINDS[part.kind].not_judged.at(place, f"what stands here is not read ({error})")
