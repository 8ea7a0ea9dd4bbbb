"""The runs of a gate: both sides in turn, round after round, until somebody says that it is enough.

Odd rounds begin with the baseline and even ones with the candidate, so that what one run leaves behind for
the next falls on both alike. Both sides of a round share their seed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from reports.rundir.files import find_runs
from reports.rundir.reader import load_info
from reports.rundir.schema import RecordError
from scenarios.exit_status import FAILED, GOOD, INVALID
from scenarios.gate.checkout import command_of
from scenarios.host import machine
from scenarios.host.process import StackError, exit_text, start
from scenarios.runner.plan import Plan
from scenarios.runner.progress import RunView
from scenarios.runner.run import run
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_in
from scenarios.scenario.redact_text import hide_in_logs

_GRACE_S = 15.0
"""How long a version of its own may take to end its pods, nginx and clients."""


class Player(Struct, frozen=True, kw_only=True):
    """One side that is carried out now."""

    name: str
    scenario: Scenario
    source: str
    """The scenario's name or file, as another version is to be told."""
    overrides: tuple[str, ...] = ()
    root: Path | None = None
    """Where the version to be run is; None for this one, in this process."""
    nginx_binary: Path | None = None


class Schedule(Struct, frozen=True, kw_only=True):
    """How often each side is carried out."""

    rounds: int
    """At least."""
    most_rounds: int
    retries: int
    """Further tries of a run during which others used the machine's cores."""

    @property
    def looks(self) -> int:
        """How often the runs are looked at, at the most."""
        return self.most_rounds - self.rounds + 1


async def play(
    players: Sequence[Player],
    schedule: Schedule,
    directory: Path,
    view: RunView,
    *,
    spoilt: Callable[[Path], str],
    enough: Callable[[int], bool],
) -> None:
    """Carries out rounds into `directory`/NAME/ROUND.

    spoilt: why a run is worth another try; an empty text where it is not.
    enough: asked after each round, with its number, from the first one on; what it says counts from
    `schedule.rounds` on. Raises StackError, MachineError, and whatever `enough` raises.
    """
    for number in range(1, schedule.most_rounds + 1):
        if number > schedule.rounds:
            view.expect_more(len(players))
        for player in players if number % 2 else reversed(players):
            view.begin(f"{player.name}, round {number}" if len(players) > 1 else f"round {number}")
            await _play_until_left_alone(player, number, directory, schedule.retries, view, spoilt)
        if enough(number) and number >= schedule.rounds:
            return


async def _play_until_left_alone(
    player: Player,
    number: int,
    directory: Path,
    retries: int,
    view: RunView,
    spoilt: Callable[[Path], str],
) -> None:
    for again in range(1, retries + 2):
        folder = directory / player.name / (f"{number:02}" + (f"-try{again}" if again > 1 else ""))
        folder.parent.mkdir(parents=True, exist_ok=True)
        seed = player.scenario.fleet.seed + number - 1
        if player.root is None:
            await run(_plan(player, number, seed, folder), view.show)
        else:
            await _run_elsewhere(player, player.root, seed, folder)
        because = spoilt(folder)
        if not because:
            return
        if again <= retries:
            view.repeat(because)


def _plan(player: Player, number: int, seed: int, folder: Path) -> Plan:
    fleet = replace(player.scenario.fleet, seed=seed)
    return Plan(
        scenario=replace(player.scenario, fleet=fleet),
        directory=folder,
        arm=player.name,
        round=number,
        nginx_binary=player.nginx_binary,
    )


async def _run_elsewhere(player: Player, root: Path, seed: int, folder: Path) -> None:
    """Has another version carry out a run, in a process of its own that ends with this one."""
    folder.mkdir()
    log = folder / "command.log"
    overrides = [*player.overrides, f"fleet.seed={seed}"]
    nginx = ["--nginx", str(player.nginx_binary.resolve())] if player.nginx_binary else []
    child = await start(
        player.name,
        [
            *(*command_of(root), "run", player.source, "--retries", "0"),
            *("--runs", str(folder.resolve()), *nginx),
            *(part for override in overrides for part in ("--set", override)),
        ],
        log=log,
        descriptors=machine.needed_descriptors(player.scenario.fleet.clients),
        directory=root,
    )
    try:
        code = await child.process.wait()
    finally:
        await child.stop(_GRACE_S)
        # Another version may hide less.
        hide_in_logs(folder, secrets_in(overrides))
    if code not in {GOOD, INVALID, FAILED}:
        raise StackError(f"{player.name}: its run ended with {exit_text(code)}; see {log}")
    try:
        made = [load_info(path) for path in find_runs([folder])]
    except RecordError as error:
        raise StackError(f"{player.name}: {error}; see {log}") from None
    for info in made:
        # Versions that know no failed runs call them interrupted.
        if info.status != "complete":
            raise StackError(f"{player.name}: its run is {info.status}: {info.problem}; see {log}")
