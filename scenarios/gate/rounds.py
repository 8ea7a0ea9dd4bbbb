"""The runs of a gate: both sides in turn, round after round, until the result is conclusive.

Odd rounds begin with the baseline and even ones with the candidate, so that what one run leaves behind for
the next falls on both alike. Both sides of a round share their seed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from reports.rundir.files import find_runs
from reports.rundir.reader import load_info
from reports.rundir.schema import RecordError
from scenarios.exit_status import FAILED, GOOD, INVALID
from scenarios.gate.own_version import OwnVersion
from scenarios.gate.program_version import command_of
from scenarios.host import machine
from scenarios.host.process import StackError, exit_text, start
from scenarios.runner.plan import Plan, with_seed
from scenarios.runner.progress import RunView
from scenarios.runner.retry import attempt_folder, until_quiet
from scenarios.runner.run import run
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_in, secrets_of
from scenarios.scenario.redact_text import hide, hide_in_logs

_GRACE_S = 15.0
"""Time for another version to end its pods, nginx and clients."""


class Player(Struct, frozen=True, kw_only=True):
    """One side that is run now."""

    name: str
    scenario: Scenario
    source: str
    """The scenario's name or file, for the command line of another version."""
    overrides: tuple[str, ...] = ()
    root: Path | None = None
    """Folder of another version of this program; None for this one, in this process."""
    version: OwnVersion | None = None
    """The version of the user's programs that it runs; None for those of the working tree."""
    nginx_binary: Path | None = None
    allow_exec: bool = False
    """Whether the user has asked for the commands of events to be run."""


class Schedule(Struct, frozen=True, kw_only=True):
    """How many runs each side makes."""

    rounds: int
    """Runs per side before the first analysis."""
    most_rounds: int
    retries: int
    """Retries for runs invalidated by other load on this host."""

    @property
    def looks(self) -> int:
        """Upper limit of interim analyses."""
        return self.most_rounds - self.rounds + 1


async def set_up(players: Sequence[Player], directory: Path, say: Callable[[str], None]) -> None:
    """Runs the set-up commands of versions, before the first round. Raises StackError.

    directory: for their logs. say: prints text as it is.
    """
    for player in players:
        if player.version is not None:
            await player.version.set_up(directory / f"setup-of-{player.name}.log", say)


async def play(
    players: Sequence[Player],
    schedule: Schedule,
    directory: Path,
    view: RunView,
    *,
    invalidated: Callable[[Path], str],
    enough: Callable[[int], bool],
) -> None:
    """Runs rounds into `directory`/NAME/ROUND.

    invalidated: why other load invalidated a run; an empty text if it did not.
    enough: called after each round with its number; its answer counts from `schedule.rounds` on.

    Raises StackError, MachineError, and whatever `enough` raises.
    """
    for number in range(1, schedule.most_rounds + 1):
        if number > schedule.rounds:
            view.expect_more(len(players))
        for player in players if number % 2 else reversed(players):
            view.begin(f"{player.name}, round {number}" if len(players) > 1 else f"round {number}")
            await _play(player, number, directory, schedule.retries, view, invalidated)
        if enough(number) and number >= schedule.rounds:
            return


async def _play(
    player: Player,
    number: int,
    directory: Path,
    retries: int,
    view: RunView,
    invalidated: Callable[[Path], str],
) -> None:
    seed = player.scenario.fleet.seed + number - 1

    async def attempt(number_of_attempt: int) -> str:
        folder = attempt_folder(directory / player.name / f"{number:02}", number_of_attempt)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if player.root is None:
            await _run_here(player, _plan(player, number, seed, folder), view)
        else:
            await _run_elsewhere(player, player.root, seed, folder)
        return invalidated(folder)

    await until_quiet(retries + 1, attempt, view.repeat)


def _plan(player: Player, number: int, seed: int, folder: Path) -> Plan:
    return Plan(
        scenario=with_seed(player.scenario, seed),
        directory=folder,
        arm=player.name,
        round=number,
        nginx_binary=player.nginx_binary,
        allow_exec=player.allow_exec,
    )


async def _run_here(player: Player, plan: Plan, view: RunView) -> None:
    try:
        await run(plan, view.show)
    except StackError as error:
        if player.version is None or _began(plan.directory):
            raise
        raise type(error)(player.version.explained(str(error))) from None


def _began(folder: Path) -> bool:
    """Whether all clients had joined, so that the programs had been started."""
    try:
        return bool(load_info(folder).phases)
    except RecordError:
        return False


async def _run_elsewhere(player: Player, root: Path, seed: int, folder: Path) -> None:
    """Makes another version run it, in a child process that ends with this one."""
    folder.mkdir()
    log = folder / "command.log"
    overrides = [*player.overrides, f"fleet.seed={seed}"]
    secrets = secrets_in(overrides) | secrets_of(player.scenario)
    nginx = ["--nginx", str(player.nginx_binary.resolve())] if player.nginx_binary else []
    allowed = ["--allow-exec"] if player.allow_exec else []
    child = await start(
        player.name,
        [
            *(*command_of(root), "run", player.source, "--retries", "0"),
            *("--runs", str(folder.resolve()), *nginx, *allowed),
            *(part for override in overrides for part in ("--set", override)),
        ],
        log=log,
        descriptors=machine.descriptors_of_run(player.scenario),
        directory=root,
    )
    try:
        code = await child.process.wait()
    finally:
        await child.stop(_GRACE_S)
        # Another version may hide less.
        hide_in_logs(folder, secrets)
    if code not in {GOOD, INVALID, FAILED}:
        raise StackError(f"{player.name}: its run ended with {exit_text(code)}; see {log}")
    try:
        made = [load_info(path) for path in find_runs([folder])]
    except RecordError as error:
        raise StackError(f"{player.name}: {error}; see {log}") from None
    for info in made:
        # Versions that know no failed runs call them interrupted.
        if info.status != "complete":
            problem = hide(info.problem, secrets)
            raise StackError(f"{player.name}: its run is {info.status}: {problem}; see {log}")
