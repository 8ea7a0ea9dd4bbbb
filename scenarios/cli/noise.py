"""`doctor --noise`: measures what this host takes away, and says what a gate can see on it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import hypot
from statistics import median

from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from reports.analysis.disturbance import taken
from reports.analysis.validity import GENERATOR_LAG_MS
from reports.gate.measures import gauges
from reports.gate.terminal import text_table
from reports.noise.estimate import Estimate, HostNoise, estimates, rounds_for_all
from reports.noise.reference import SCENARIO
from reports.noise.text import advice, estimate_table
from reports.rundir.series import Row
from reports.text import units
from reports.text.tables import TextTable
from scenarios.cli.gate_options import MOST_ROUNDS, ROUNDS
from scenarios.host import machine
from scenarios.host.cpu_account import own_account
from scenarios.host.machine import Cores
from scenarios.host.noise import CoreNoise, Second, core_noise, measure, probed_cores, rows

_PLAIN_EVERY_S = 5


class NoiseReport(Struct, frozen=True, kw_only=True):
    """What was measured, and what follows from it."""

    seconds: int
    quota_cores: float | None
    """CPU quota of this container; None without one, and where it is unknown."""
    cores: tuple[CoreNoise, ...]
    invalid: tuple[str, ...]
    """Why runs will be INVALID here."""
    reference: str
    """The scenario that the estimates are for."""
    gate_rounds: int
    """Rounds of a gate by default."""
    rounds: int | None
    """Rounds that all measures need; None where these are too many."""
    estimates: tuple[Estimate, ...]


def measured_noise(wanted_cores: int, seconds: int, said: Console) -> NoiseReport:
    """Measures, and shows the progress on `said`. Raises MachineError."""
    cores = machine.assign_cores(wanted_cores)
    every = list(_with_progress(measure(probed_cores(cores), seconds), seconds, said))
    return noise_report(cores, every)


def noise_report(cores: Cores, seconds: Sequence[Mapping[int | None, Second]]) -> NoiseReport:
    """From the seconds of every probe."""
    found = {core: core_noise(core, [now[core] for now in seconds]) for core in probed_cores(cores)}
    stack = [found[core] for core in cores.stack] or list(found.values())
    generator = [found[core] for core in cores.generator if core not in cores.stack]
    noise = HostNoise(
        speed_variation=max(one.speed_variation for one in stack),
        lateness_variation_ms=hypot(
            max(one.late_p99_variation_ms for one in stack),
            max((one.late_p99_variation_ms for one in generator), default=0.0),
        ),
    )
    estimated = estimates(noise, gauges(), ROUNDS)
    return NoiseReport(
        seconds=len(seconds),
        quota_cores=own_account().quota_cores(),
        cores=tuple(found.values()),
        invalid=tuple(_invalid(rows(seconds, cores), cores)),
        reference=SCENARIO,
        gate_rounds=ROUNDS,
        rounds=rounds_for_all(estimated),
        estimates=estimated,
    )


def _invalid(measured: Sequence[Row], cores: Cores) -> list[str]:
    """By the rules of a run: other load on its cores, and a late generator."""
    described = {"cores": 1, "stack_cores": cores.stack, "generator_cores": cores.generator}
    found = [worst.sentence for worst in taken(measured, described) if worst.too_much]
    late = [value for row in measured if (value := row["generator_late_p99_ms"]) is not None]
    if late and median(late) > GENERATOR_LAG_MS:
        _, got = units.distinct(units.milliseconds, GENERATOR_LAG_MS, median(late))
        found.append(
            "load generator late before the trigger: median of the p99 lateness of timers per second: "
            f"expected ≤ {GENERATOR_LAG_MS:g} ms, got {got}"
        )
    return found


def show(report: NoiseReport, cores: Cores, scenario: str, console: Console) -> None:
    """Prints everything, what invalidates runs first."""
    for reason in report.invalid:
        console.print(Text(f"Runs will be INVALID here: {reason}", style="bold magenta"))
    measures = gauges()
    console.print(_titled(core_table(report.cores, cores)))
    if any(one.steal is None for one in report.cores):
        console.print(
            Text("CPU of other processes and of the hypervisor is unknown: this system does not tell.")
        )
    if report.quota_cores is not None:
        console.print(
            Text(f"CPU quota: {report.quota_cores:g} cores; what it delays counts as lost in the busy loop.")
        )
    console.print(_titled(estimate_table(report.estimates, measures, report.gate_rounds)))
    for line in advice(report.estimates, report.gate_rounds, MOST_ROUNDS, scenario):
        console.print(Text(units.unbroken(line)))


def core_table(found: Sequence[CoreNoise], cores: Cores) -> TextTable:
    """A column for each core."""
    lines: tuple[tuple[str, Callable[[CoreNoise], str]], ...] = (
        ("other processes", lambda one: units.percent(one.foreign)),
        ("hypervisor (steal)", lambda one: units.percent(one.steal)),
        ("1 ms timer late by, p50", lambda one: units.milliseconds(one.late_p50_ms)),
        ("1 ms timer late by, p99", lambda one: units.milliseconds(one.late_p99_ms)),
        ("1 ms timer late by, worst", lambda one: units.milliseconds(one.late_worst_ms)),
        ("busy loop: time lost", lambda one: units.percent(one.lost)),
        ("busy loop: longest gap", lambda one: units.milliseconds(one.longest_gap_ms)),
        ("fixed work: variation of its CPU time", lambda one: units.percent(one.block_variation)),
        ("fixed work: variation between seconds", lambda one: units.percent(one.speed_variation)),
    )
    return TextTable(
        label=f"Noise of this host in {found[0].seconds} s",
        headings=("", *(_name(one.core, cores) for one in found)),
        rows=tuple((name, *map(write, found)) for name, write in lines),
        words=frozenset({""}),
    )


def _name(core: int | None, cores: Cores) -> str:
    if core is None:
        return "any core"
    users = [
        user
        for user, own in (("pods, proxy", cores.stack), ("load generator", cores.generator))
        if core in own
    ]
    return f"core {core} ({', '.join(users)})"


def _titled(table: TextTable) -> Table:
    return text_table(table, title=f"\n{table.label}")


def _with_progress(
    measured: Iterator[dict[int | None, Second]], seconds: int, said: Console
) -> Iterator[dict[int | None, Second]]:
    """Hands on what is measured, and shows how far it is."""
    if not said.is_terminal:
        for number, now in enumerate(measured, start=1):
            if number % _PLAIN_EVERY_S == 0 or number == seconds:
                said.print(f"measuring noise: {number} of {seconds} s", highlight=False, markup=False)
            yield now
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=said, transient=True) as shown:
        bar = shown.add_task("measuring noise", total=seconds)
        for now in measured:
            shown.advance(bar)
            yield now
