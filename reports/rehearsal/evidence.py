"""The chapters on validity and conditions: whether the result is sound, and how to reproduce it."""

import shlex

from reports.page.listing import scenario_listing
from reports.page.notes import METHOD, NO_ISSUES
from reports.page.stability import stability_rows
from reports.rehearsal.blocks import Block, Code, Points, Table, Words
from reports.rehearsal.facts import Facts
from reports.rundir.reader import proxy_name
from reports.text import units
from reports.text.tables import TextTable


def stability(found: Facts) -> tuple[Block, ...]:
    """The stability estimate."""
    rows = stability_rows({"": found.run.info.stability})
    if not rows:
        return (Words("Not known: the target is external."),)
    table = TextTable(
        label="Stability numbers",
        headings=("number", "value", "meaning"),
        rows=tuple((number.symbol, texts[0], number.meaning) for number, texts in rows),
        words=frozenset({"meaning"}),
    )
    return (Table(table),)


def objectives(found: Facts) -> tuple[Block, ...]:
    """The SLOs, and whether each was met."""
    if not found.objectives:
        return (Words("The scenario has no SLOs."),)
    table = TextTable(
        label="SLOs",
        headings=("SLO", "measured", "result"),
        rows=tuple((slo.rule, slo.found_text, slo.answer) for slo in found.objectives),
        words=frozenset({"result"}),
    )
    return (Table(table),)


def prechecks(found: Facts) -> tuple[Block, ...]:
    """The checks before the first event."""
    checks = found.rehearsal.prechecks
    if not checks:
        return (Words("No pre-checks were recorded."),)
    table = TextTable(
        label="Pre-checks",
        headings=("check", "expected", "measured", "result"),
        rows=tuple(
            (check.name, check.wanted, check.found, "passed" if check.passed else "failed")
            for check in checks
        ),
        words=frozenset({"expected", "measured", "result"}),
    )
    return (Table(table),)


def decisions(found: Facts) -> tuple[Block, ...]:
    """What the operator was asked, and chose."""
    if not found.rehearsal.decisions:
        played = (
            "The operator was not asked." if found.rehearsal.interactive else "The timeline was scripted."
        )
        return (Words(played),)
    zero_s = found.run.info.trigger_s or 0
    table = TextTable(
        label="The operator’s decisions",
        headings=("asked at", "chosen at", "chosen"),
        rows=tuple(
            (
                units.seconds(round(choice.asked_s - zero_s)),
                units.seconds(round(choice.t_s - zero_s)),
                choice.chosen,
            )
            for choice in found.rehearsal.decisions
        ),
        words=frozenset({"chosen"}),
    )
    return (Table(table), Words("Seconds count from the trigger.", quiet=True))


def validity(found: Facts) -> tuple[Block, ...]:
    """The verdict, and any validity issue."""
    judged = found.judgement.validity
    issues = (
        *(f"INVALID: {problem}." for problem in judged.problems),
        *(f"Note: {warning}." for warning in judged.warnings),
    )
    verdict = Words(f"{found.judgement.verdict.name}: {found.judgement.verdict.reason}.")
    return (verdict, Points(issues) if issues else Words(NO_ISSUES))


def configurations(found: Facts) -> tuple[Block, ...]:
    """The conditions of the run, and how to reproduce it."""
    info = found.run.info
    edge: tuple[Block, ...] = (
        (Code(f"{proxy_name([found.run])}, before and after", found.edge_diff),)
        if found.edge_diff
        else (
            Words(f"{proxy_name([found.run])} had the same configuration before and after, or is external."),
        )
    )
    machine = ", ".join(
        f"{key.replace('_', ' ')} {units.setting(value)}" for key, value in info.machine.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in info.versions.items())
    return (
        Points(
            (
                f"Seed: {info.seed}.",
                f"Run directory: {found.run.directory.name}; started {info.started_utc}.",
                f"Machine: {machine}.",
                f"Versions: {versions}.",
                METHOD,
            )
        ),
        Code("To reproduce", (shlex.join(info.command), *_replay(found))),
        *edge,
        Code("The scenario, with every default", tuple(scenario_listing(info.scenario).splitlines())),
    )


def _replay(found: Facts) -> tuple[str, ...]:
    """Without asking the operator again."""
    return (shlex.join(["reconnect-storm", "rehearse", str(found.replay)]),) if found.replay else ()
