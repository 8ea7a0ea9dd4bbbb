"""What a report says, in order, as plain text: the templates only lay it out."""

import shlex
from collections.abc import Mapping, Sequence

from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.compare.arm import middle_runs
from reports.compare.comparable import by_arm, orders
from reports.compare.comparison import Comparison, compare
from reports.compare.control import control_lines, under_control
from reports.compare.finding_text import FindingText, finding_texts
from reports.compare.headline import order_sentence
from reports.compare.map_text import map_headings, map_rows, map_sentences
from reports.compare.storm_map import StormMap, storm_map
from reports.page.actions import action_table
from reports.page.contrasts import AgainstRow, against_rows
from reports.page.impact import impact_sentences
from reports.page.listing import scenario_listing
from reports.page.notes import Notes, notes
from reports.page.per_second import PerSecond, per_second, second_tables
from reports.page.pods import pod_sentences, pod_table
from reports.page.questions import QUESTIONS, Question, asked
from reports.page.refusals import refusal_table
from reports.page.shared_ips import fleet_group_table, shared_ip_table
from reports.page.stability import stability_rows
from reports.page.table import GridRow, experience_grid, main_grid, sidecar_grid
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

_NO_BREAK = "\u00a0"


class StabilityRow(Struct, frozen=True):
    """One stability number, explained, for every arm."""

    symbol: str
    meaning: str
    cells: tuple[str, ...]


class RunRow(Struct, frozen=True, kw_only=True):
    """One run, and what is to be said about it alone."""

    arm: str
    round: int
    seed: int
    started_utc: str
    directory: str
    verdict: str
    reason: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


class MapChapter(Struct, frozen=True):
    """Load against trigger."""

    found: StormMap
    regions: tuple[str, ...]
    """A sentence for each region that there is."""
    predicted: tuple[str, ...]
    """How far S1 and S2 predicted it."""
    table: TextTable


class Page(Struct, frozen=True, kw_only=True):
    """The content of a report."""

    title: str
    about: str
    """The scenario's own summary."""
    comparison: Comparison
    headline: str
    effects: tuple[str, ...]
    """A text for each fix; empty where a map says it."""
    map: MapChapter | None
    """None where the runs cross no load with a size of their trigger."""
    arms: tuple[str, ...]
    table: tuple[GridRow, ...]
    against: tuple[AgainstRow, ...]
    """The other arms against the first; empty where there are too few runs for that."""
    notes: Notes
    """What the columns of each table mean."""
    controls: tuple[str, ...]
    """A line for every control run, and one for the order in which the arms ran."""
    stability: tuple[StabilityRow, ...]
    shown: str
    """Which run of an arm the tables of actions, pods and refusals show."""
    actions: TextTable | None
    """Actions and effects; None where nothing but the trigger ran."""
    pods: TextTable | None
    """None where no pod stands out."""
    pod_sentences: tuple[str, ...]
    sidecars: tuple[GridRow, ...]
    """Empty where no run has any."""
    refusals: TextTable | None
    """None where nothing was refused."""
    findings: tuple[FindingText, ...]
    """Empty where no rule found anything."""
    impact: tuple[str, ...]
    shared_ips: TextTable | None
    """None where shared IPs made no difference."""
    groups: TextTable | None
    """None where no fleet has groups."""
    runs: tuple[RunRow, ...]
    experience: tuple[GridRow, ...]
    versions: dict[str, str]
    machine: dict[str, str]
    scenario: str
    """As TOML."""
    commands: tuple[str, ...]
    per_second: PerSecond
    """What the figure shows."""
    second_tables: tuple[TextTable, ...]
    """The same for each arm, as text; empty where nothing was recorded."""

    @property
    def questions(self) -> tuple[Question, ...]:
        """The questions that this report answers, each with the chapters that it has."""
        chapters = {name for question in QUESTIONS for name in question.chapters}
        return asked({name for name in chapters if getattr(self, name, None)})


def page(runs: Sequence[Run]) -> Page:
    """The report on one run or on several. Raises ComparisonError where they must not be compared."""
    comparison = compare(runs)
    chart = map_chapter(storm_map(runs))
    runs = under_control(runs, comparison.controls)
    arms = by_arm(runs)
    first = next(iter(arms.values()))[0].info
    stability = stability_rows({name: group[0].info.stability for name, group in arms.items()})
    name = str(first.scenario.get("name") or first.arm)
    several = len(comparison.arms) > 1
    middle = middle_runs(arms)
    sidecars = tuple(sidecar_grid(comparison))
    every_second = per_second(runs, comparison.names.fanout)
    return Page(
        title=f"{name}: {len(comparison.arms)} arms compared" if several else name,
        about=str(first.scenario.get("summary", "")),
        comparison=comparison,
        headline=" ".join(chart.regions) if chart else comparison.headline,
        effects=() if chart else comparison.effects,
        map=chart,
        arms=tuple(arm.name for arm in comparison.arms),
        table=tuple(main_grid(comparison)),
        against=tuple(against_rows(comparison)),
        notes=notes(comparison, sidecars=bool(sidecars)),
        controls=tuple(filter(None, [*control_lines(comparison.controls), order_sentence(orders(runs))])),
        stability=tuple(StabilityRow(n.symbol, n.meaning, tuple(texts)) for n, texts in stability),
        shown=_shown(arms),
        actions=action_table(middle),
        pods=pod_table(middle),
        pod_sentences=pod_sentences(middle),
        sidecars=sidecars,
        refusals=refusal_table(middle),
        findings=finding_texts(arms),
        impact=impact_sentences(arms),
        shared_ips=shared_ip_table(arms),
        groups=fleet_group_table(arms),
        runs=tuple(_run_row(run) for run in sorted(runs, key=lambda run: run.info.started_utc)),
        experience=tuple(experience_grid(comparison)),
        versions={key: str(value) for key, value in first.versions.items()},
        machine={key.replace("_", " "): units.setting(value) for key, value in first.machine.items()},
        scenario=scenario_listing(first.scenario, comparison),
        commands=tuple(dict.fromkeys(shlex.join(run.info.command) for run in runs)),
        per_second=every_second,
        second_tables=second_tables(every_second) if every_second.seconds else (),
    )


def map_chapter(found: StormMap | None) -> MapChapter | None:
    """The map in words and as a table."""
    if found is None:
        return None
    *headings, region = map_headings(found)
    sentences = map_sentences(found)
    regions = len({point.region for point in found.loads})
    return MapChapter(
        found,
        sentences[:regions],
        sentences[regions:],
        TextTable(
            label="Load against trigger: verdict, S1 and S2",
            headings=(*(heading.replace(" = ", f" ={_NO_BREAK}") for heading in headings), region, "because"),
            rows=tuple((row.load, *map(_cell, row.cells), row.region, row.why) for row in map_rows(found)),
            words=frozenset({region, "because"}),
        ),
    )


def _cell(text: str) -> str:
    """The text of a cell of the map, which may only be broken before its numbers."""
    verdict, bracket, numbers = text.partition(" (")
    return f"{verdict}{bracket}{numbers.replace(' ', _NO_BREAK)}"


def _shown(arms: Mapping[str, Sequence[Run]]) -> str:
    if all(len(group) == 1 for group in arms.values()):
        return ""
    return "Shown for each arm: its median valid run, or its first run where none is valid."


def _run_row(run: Run) -> RunRow:
    judgement = judgement_of(run)
    return RunRow(
        arm=run.info.arm,
        round=run.info.round,
        seed=run.info.seed,
        started_utc=run.info.started_utc,
        directory=run.directory.name,
        verdict=judgement.verdict.name,
        reason=judgement.verdict.reason,
        problems=judgement.validity.problems,
        warnings=judgement.validity.warnings,
    )
