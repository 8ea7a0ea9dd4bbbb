"""A rule, and what it finds in a configuration."""

from enum import IntEnum

from msgspec import Struct


class LintError(Exception):
    """A configuration that cannot be read; the text names file and line."""


class Severity(IntEnum):
    """How bad it is; a larger number is worse."""

    NOTE = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """As it is written in output and options."""
        return self.name.lower()


SEVERITIES = {severity.word: severity for severity in Severity}


class Place(Struct, frozen=True, order=True):
    """A line of a file."""

    file: str
    line: int


class Rule(Struct, frozen=True, kw_only=True):
    """One mistake, whichever file it is in."""

    name: str
    severity: Severity
    """Of a finding that says nothing else."""
    happens: str
    """What happens in a storm, in one sentence."""
    change: str
    """What to write instead."""
    source: str
    """Where the proxy's behaviour is documented, or was observed."""

    def at(
        self, place: Place, found: str, *, change: str = "", severity: Severity | None = None
    ) -> "Finding":
        """This mistake at one place; found: what is written there, or is missing there."""
        return Finding(
            place=place,
            rule=self,
            found=found,
            change=change or self.change,
            severity=self.severity if severity is None else severity,
        )


class Finding(Struct, frozen=True, kw_only=True):
    """A mistake at one place."""

    place: Place
    rule: Rule
    found: str
    change: str
    severity: Severity

    @property
    def sentence(self) -> str:
        """What is wrong, and what happens because of it."""
        return f"{self.found}: {self.rule.happens}"


def nothing_checked(proxy: str, parts: str) -> Rule:
    """What tells of a file without WebSockets; parts: those of a configuration that rules are about."""
    return Rule(
        name=f"{proxy}-no-websocket",
        severity=Severity.NOTE,
        happens=f"nothing was checked, because only {parts} are",
        change="name the path of the gateway with --path",
        source="this command",
    )


def not_judged(proxy: str, change: str = "run lint on the whole configuration, filled in") -> Rule:
    """What tells of a part that the file does not say, so that rules could not decide."""
    return Rule(
        name=f"{proxy}-not-judged",
        severity=Severity.NOTE,
        happens="what decides may stand there, so nothing is said to be missing or wrong because of it",
        change=change,
        source="this command",
    )


def polling_unknown(proxy: str) -> Rule:
    """What tells of WebSockets of which nothing says whether their clients begin with polling."""
    return Rule(
        name=f"{proxy}-polling-unknown",
        severity=Severity.NOTE,
        happens="what only polling needs was not checked: stickiness, and limits that count every request",
        change="name the path with --path if clients begin with polling, or say --websocket-only",
        source="this command",
    )


def path_unused(proxy: str) -> Rule:
    """What tells of a path on the command line that leads nowhere in the file."""
    return Rule(
        name=f"{proxy}-path-unused",
        severity=Severity.NOTE,
        happens="what is checked was found without it",
        change="name the path that clients send, as --path /gateway",
        source="this command",
    )
