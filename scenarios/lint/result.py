"""A finding as `lint --json` prints it."""

from msgspec import Struct

from scenarios.lint.finding import Finding


class LintFinding(Struct, frozen=True, kw_only=True):
    """A mistake in the configuration of a proxy."""

    file: str
    line: int
    severity: str
    """`error`, `warning` or `note`."""
    rule: str
    sentence: str
    """What is wrong, and what happens because of it."""
    change: str
    """What to write instead."""
    source: str
    """Where the proxy's behaviour is documented, or was observed."""


def result(finding: Finding) -> LintFinding:
    """The finding with its rule taken apart."""
    return LintFinding(
        file=finding.place.file,
        line=finding.place.line,
        severity=finding.severity.word,
        rule=finding.rule.name,
        sentence=finding.sentence,
        change=finding.change,
        source=finding.rule.source,
    )
