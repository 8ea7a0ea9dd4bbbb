"""The chapters that say whether to believe it, and what it takes to repeat it."""

import shlex

from reports.page.listing import scenario_listing
from reports.page.stability import stability_rows
from reports.rehearsal.blocks import Block, Code, Points, Table, Words
from reports.rehearsal.facts import Facts
from reports.text import units
from reports.text.proxy_name import front_of
from reports.text.tables import TextTable


def stability(found: Facts) -> tuple[Block, ...]:
    """Was a storm to be expected?"""
    rows = stability_rows({"": found.run.info.stability})
    if not rows:
        return (Words("Not known: the gateway is not ours."),)
    table = TextTable(
        label="Stability numbers",
        headings=("number", "value", "what it means"),
        rows=tuple((number.symbol, texts[0], number.meaning) for number, texts in rows),
        words=frozenset({"what it means"}),
    )
    return (Table(table),)


def objectives(found: Facts) -> tuple[Block, ...]:
    """What the service promises."""
    if not found.objectives:
        return (Words("The scenario has no objectives."),)
    table = TextTable(
        label="Objectives",
        headings=("objective", "found", "answer"),
        rows=tuple((held.rule, held.found_text, held.answer) for held in found.objectives),
        words=frozenset({"answer"}),
    )
    return (Table(table),)


def prechecks(found: Facts) -> tuple[Block, ...]:
    """What had to hold before it began."""
    checks = found.rehearsal.prechecks
    if not checks:
        return (Words("No pre-checks were recorded."),)
    table = TextTable(
        label="Pre-checks",
        headings=("check", "wanted", "found", "answer"),
        rows=tuple(
            (check.name, check.wanted, check.found, "passed" if check.passed else "failed")
            for check in checks
        ),
        words=frozenset({"wanted", "found", "answer"}),
    )
    return (Table(table),)


def decisions(found: Facts) -> tuple[Block, ...]:
    """What the operator was asked, and chose."""
    if not found.rehearsal.decisions:
        played = (
            "The operator was asked nothing." if found.rehearsal.interactive else "The timeline was scripted."
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
    """Can it be believed?"""
    judged = found.judgement.validity
    said = (
        *(f"INVALID: {problem}." for problem in judged.problems),
        *(f"Note: {warning}." for warning in judged.warnings),
    )
    verdict = Words(f"{found.judgement.verdict.name}: {found.judgement.verdict.reason}.")
    return (verdict, Points(said) if said else Words("Nothing to object to the measurement."))


def configurations(found: Facts) -> tuple[Block, ...]:
    """What it was played with, and how to play it again."""
    info = found.run.info
    edge: tuple[Block, ...] = (
        (Code(f"{front_of([found.run])}, before and after", found.edge_diff),)
        if found.edge_diff
        else (Words(f"{front_of([found.run])} had the same configuration before and after, or is not ours."),)
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
            )
        ),
        Code("To repeat it", (shlex.join(info.command), *_replay(found))),
        *edge,
        Code("The scenario, with every default", tuple(scenario_listing(info.scenario).splitlines())),
    )


def _replay(found: Facts) -> tuple[str, ...]:
    """Without asking the operator again."""
    return (shlex.join(["reconnect-storm", "rehearse", str(found.replay)]),) if found.replay else ()
