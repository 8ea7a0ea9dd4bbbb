"""Checks the configuration of a proxy for what a reconnect storm brings out."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from scenarios.cli.options import JSON_OPTION
from scenarios.cli.terminal import complain, fail
from scenarios.exit_status import BROKEN, GOOD, USAGE
from scenarios.fields import invalid, one_of
from scenarios.host.machine import MachineError
from scenarios.lint.clients import Clients
from scenarios.lint.finding import SEVERITIES, Finding, LintError, Severity
from scenarios.lint.lint import KINDS, RULES, lint
from scenarios.lint.parts import kind_of
from scenarios.lint.reading import text_of
from scenarios.lint.result import result
from scenarios.lint.validation import validated

_NEVER = "never"
_COMMANDS = {Severity.NOTE: "notice", Severity.WARNING: "warning", Severity.ERROR: "error"}


@click.command("lint")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False)
)
@click.option(
    "--as", "kind", type=click.Choice([*KINDS]), help="Proxy of the files; default: what they look like."
)
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Path of the gateway, if its name does not show it, such as /gateway.",
)
@click.option(
    "--clients", "number", type=click.IntRange(min=1), help="Number of clients that have to find room."
)
@click.option(
    "--websocket-only", is_flag=True, help="No client begins with polling: skip what only polling needs."
)
@click.option("--ignore", "ignored", multiple=True, metavar="RULE", help="Skip a rule; may be repeated.")
@click.option(
    "--fail-on",
    type=click.Choice([*SEVERITIES, _NEVER]),
    default=Severity.WARNING.word,
    show_default=True,
    help="Exit with status 1 from this severity on.",
)
@click.option(
    "--validate", is_flag=True, help="Also ask the proxy's own validator; the proxy has to be installed."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="Text, or annotations for GitHub Actions.",
)
@JSON_OPTION
def lint_command(
    files: tuple[Path, ...],
    kind: str | None,
    paths: tuple[str, ...],
    number: int | None,
    websocket_only: bool,
    ignored: tuple[str, ...],
    fail_on: str,
    validate: bool,
    form: str,
    as_json: bool,
) -> None:
    """Find mistakes in a proxy's configuration that a reconnect storm brings out.

    FILE is the configuration of nginx, HAProxy or Envoy, a part or a template of it, or a manifest of
    Kubernetes. Each file is checked by itself, with the files that it includes. `reconnect-storm explain
    RULE` explains a rule. A comment `# storm-lint: ignore RULE` on a line, or on the line above,
    skips a rule there; before everything else in a file, in the whole file.

    Exit status: 0 nothing found, 1 a finding of --fail-on or worse, 2 a file cannot be read; what is found
    in the others is printed first.
    """
    for name in ignored:
        if name not in RULES:
            fail(invalid("--ignore", name, one_of(name, RULES, "rules of lint", "explain")))
    clients = Clients(paths=paths, number=number, websocket_only=websocket_only)
    found: list[Finding] = []
    failed: list[str] = []
    for file in files:
        try:
            found += lint(file, kind, clients, ignored)
            if validate:
                found += (one for one in _validated(file, kind) if one.rule.name not in ignored)
        except (LintError, MachineError) as error:
            failed.append(str(error))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([*map(result, found)])).decode())
    elif form == "github":
        for one in found:
            click.echo(_annotation(one))
    elif found or not failed:
        click.echo("\n".join([*map(_text, found), _summary(found)]))
    for message in failed:
        complain(message)
    if failed:
        sys.exit(USAGE)
    worst = max((one.severity for one in found), default=None)
    bad = worst is not None and fail_on != _NEVER and worst >= SEVERITIES[fail_on]
    sys.exit(BROKEN if bad else GOOD)


def _validated(file: Path, kind: str | None) -> Iterator[Finding]:
    """What the proxy itself says against a file. Raises LintError where it has no validator."""
    # Only this needs the code that starts proxies.
    from scenarios.proxies import envoy, haproxy, nginx  # noqa: PLC0415

    validators = {"nginx": nginx.check_syntax, "haproxy": haproxy.check_syntax, "envoy": envoy.check_syntax}
    name = kind or kind_of(text_of(file), file)
    if name not in validators:
        raise LintError(f"{file}: no validator of {name}: use --validate with {', '.join(validators)} only")
    yield from validated(validators[name](file.resolve()), name, file)


def _text(finding: Finding) -> str:
    place = f"{finding.place.file}:{finding.place.line}"
    head = f"{place}: {finding.severity.word} {finding.rule.name}"
    return f"{head}: {finding.sentence}\n    change: {finding.change}"


def _annotation(finding: Finding) -> str:
    from reports.gate.github import annotation  # noqa: PLC0415 - loads the statistics of the gate

    return annotation(
        _COMMANDS[finding.severity],
        finding.rule.name,
        f"{finding.sentence}. Change: {finding.change}",
        file=finding.place.file,
        line=finding.place.line,
    )


def _summary(found: Sequence[Finding]) -> str:
    if not found:
        return "nothing found"
    counts = [
        (sum(one.severity is severity for one in found), severity.word)
        for severity in sorted(SEVERITIES.values(), reverse=True)
    ]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count)
