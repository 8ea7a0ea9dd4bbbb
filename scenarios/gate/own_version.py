"""A version of the user's programs: run by this program, from a folder with the files of a commit.

Its set-up command is run once, before the first round.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from scenarios.gate.kept import Place, kept, key_of, temporary
from scenarios.gate.own_folders import check_folders, prepare_folders
from scenarios.gate.repository import CheckoutError, beside
from scenarios.gate.version import Version, fill
from scenarios.host.caches import cache_folder
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.programs.placeholders import invocation
from scenarios.scenario.model import Scenario
from scenarios.scenario.program import words_of
from scenarios.scenario.redact import secrets_of
from scenarios.scenario.redact_text import hide, hide_in_logs, shown_words
from scenarios.stack.own_programs import check_programs, set_up, take_as_set_up

Say = Callable[[str], None]
"""Prints text as it is, without an end of line."""
_MOST_NAMED = 5
_NOT_MISSED = frozenset({"__pycache__", "runs"})
"""Made by running a program, or by this one."""


class OwnVersion(Struct, frozen=True, kw_only=True):
    """The user's programs as in a version."""

    version: Version
    scenario: Scenario
    """Its relative folders begin in the version's files."""
    place: Place
    working_folder: Path
    """That of the gateway in the working tree."""

    @property
    def folder(self) -> Path:
        """Working folder of the gateway."""
        return Path(self.scenario.folder) / self.scenario.gateway.directory

    async def set_up(self, log: Path, say: Say) -> None:
        """Runs the set-up command, unless an earlier gate has kept what it made. Raises StackError.

        Where a scenario has services, the set-up may need them: then the first run does it, as in the working
        tree.
        """
        setup = self.scenario.gateway.setup
        if not setup or self.scenario.service:
            return
        secrets = secrets_of(self.scenario)
        shown = hide(" ".join(shown_words(words_of(setup))), secrets)
        begin = f"set-up of {self.version.name}: {shown}"
        if self.place.finished:
            take_as_set_up(self.scenario)
            say(f"{begin} … cached\n")
            return
        say(f"{begin} … ")
        begun_s = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            await set_up(self.scenario, log=log)
        except BaseException as error:
            say("failed\n" if isinstance(error, StackError) else "\n")
            if isinstance(error, StackError):
                raise StackError(f"{self.version.name}: {hide(str(error), secrets)}") from None
            raise
        finally:
            hide_in_logs(log.parent, secrets)
        self.place.finish()
        say(f"{time.monotonic() - begun_s:.0f} s\n")

    def check(self) -> None:
        """Raises CheckoutError where a program of the version is not there."""
        try:
            check_programs(self.scenario)
        except MachineError as error:
            raise CheckoutError(self.explained(str(error))) from None

    def explained(self, error: str) -> str:
        """Why its programs cannot be started, and what to do."""
        return f"{self.version.name}: {error}; {self._advice()}"

    @property
    def note(self) -> str:
        """A warning where its gateway is started by a program that the working tree has, and no commit."""
        program = words_of(self.scenario.gateway.command)[0]
        if "/" in program and not Path(program).is_absolute():
            return ""
        found = shutil.which(program)
        # Not where a link leads: a virtual environment has a link to the interpreter that all share.
        if not found or not Path(found).is_relative_to(self.version.repository.top):
            return ""
        return (
            f"Warning: {program} is {found} of the working tree, for {self.version.name}, too: what is"
            " installed there is the same on both sides."
        )

    def _advice(self) -> str:
        if self.place.finished:
            return "its set-up is cached: --no-cache makes it anew"
        other_way = "if the sides are started in different ways: --scenario-from each"
        if self.scenario.gateway.setup:
            return other_way
        missing = self._not_committed()
        named = f", and not {', '.join(missing[:_MOST_NAMED])}" if missing else ""
        return (
            f"a version has only committed files{named}: expected the command that installs what is missing"
            f" as gateway.setup; {other_way}"
        )

    def _not_committed(self) -> list[str]:
        """What the working tree has beside the committed files, in the gateway's folder and at the top."""
        top = self.version.repository.top
        pairs = {self.working_folder.resolve(): self.folder, top.resolve(): self.place.folder}
        return [
            name
            for here, there in pairs.items()
            for name in beside(here)
            if name not in _NOT_MISSED and not (there / name).exists()
        ]


@contextlib.contextmanager
def own_version(
    version: Version, scenario: Scenario, *, cached: bool, say: Say, waits: bool = True
) -> Iterator[OwnVersion]:
    """A version of the user's programs, for a scenario that was loaded for the working tree.

    cached: keep what its set-up makes for the next gate. waits: for another gate that sets up the same.
    Raises CheckoutError.
    """
    check_folders(version, scenario)
    begins = Path(scenario.folder).resolve()
    inside = begins.relative_to(version.repository.top.resolve())
    with contextlib.ExitStack() as stops:
        place = _place(stops, version, scenario, say, waits=waits) if cached else None
        if place is None:
            place = stops.enter_context(temporary())
        if not place.finished:
            fill(version, place.folder)
        moved = msgspec.structs.replace(scenario, folder=str(place.folder / inside))
        prepare_folders(version, moved, place.folder)
        yield OwnVersion(
            version=version,
            scenario=moved,
            place=place,
            working_folder=begins / scenario.gateway.directory,
        )


def _place(
    stops: contextlib.ExitStack, version: Version, scenario: Scenario, say: Say, *, waits: bool
) -> Place | None:
    """Its place in the cache; None if it has no set-up to keep the result of, or the cache cannot be used."""
    gateway = scenario.gateway
    if not gateway.setup or scenario.service:
        return None
    called = invocation(gateway, {}, environment={}, command=gateway.setup)
    folder = (Path(scenario.folder) / gateway.directory).resolve()
    key = key_of(
        version.repository.common_folder,
        version.commit.id,
        called.words,
        folder.relative_to(version.repository.top.resolve()),
        sorted(called.environment.items()),
    )

    def wait() -> None:
        say(f"waiting for another gate that sets up {version.name}\n")

    try:
        return stops.enter_context(kept(key, wait if waits else None, cache_folder("versions")))
    except OSError as error:
        say(f"{version.name} is set up in a temporary folder, and not in the cache: {error}\n")
        return None
