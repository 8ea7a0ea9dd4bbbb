"""The two sides of a gate, from what the user typed: recorded runs, or a player that makes runs."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
from msgspec import Struct

from reports.analysis.judgement import judge_run
from reports.gate.commit import Commit, dirty_note
from reports.gate.sides import BASELINE, CANDIDATE, missing_rounds, of_one_arm
from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.fields import invalid
from scenarios.gate.own_version import OwnVersion, own_version
from scenarios.gate.program_version import check_can_run, command_of
from scenarios.gate.repository import (
    PROJECT,
    CheckoutError,
    Repository,
    Revision,
    project,
    repository_of,
    revision,
    uncommitted,
)
from scenarios.gate.request import STORED, VERSION, Request
from scenarios.gate.rounds import Player
from scenarios.gate.scenario_file import ScenarioFile
from scenarios.gate.version import Version, checked_out
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError


class Source(Struct, frozen=True, kw_only=True):
    """A side as the user named it: stored runs, or a player that makes them."""

    text: str
    stored: tuple[Run, ...] = ()
    missing: int = 0
    """Rounds of stored runs that left no run directory."""
    player: Player | None = None
    commit: Commit | None = None
    """None where nobody asked for a commit, or there is none."""
    working_tree: bool = False
    """It is the working tree of the commit."""
    notes: tuple[str, ...] = ()
    """What the reader of the result has to know of it."""


def sources(request: Request, stops: ExitStack, say: Callable[[str], None]) -> tuple[Source | None, Source]:
    """Baseline and candidate; what is checked out for them is gone once `stops` is closed.

    say: prints text as it is. Raises CheckoutError, ScenarioError, RecordError, ComparisonError.
    """
    made = _Sources(request, stops, say)
    return made.of(BASELINE) if request.baseline else None, made.of(CANDIDATE)


def _refuse_bare_ref(name: str, text: str) -> None:
    """Raises ScenarioError for a branch, tag or commit that is written as a scenario would be."""
    if not text or text.startswith((STORED, VERSION)) or text in catalog() or Path(text).exists():
        return
    try:
        revision(text, repository_of(Path.cwd()))
    except CheckoutError:
        return
    raise ScenarioError(f"--{name}: invalid value {text!r}: expected {VERSION}{text} for that commit")


class _Sources:
    """Makes both sides of one gate."""

    def __init__(self, request: Request, stops: ExitStack, say: Callable[[str], None]) -> None:
        self.request = request
        self.stops = stops
        self.say = say
        self.typed = {BASELINE: request.baseline, CANDIDATE: request.candidate}
        self.texts = {**self.typed, CANDIDATE: request.candidate or request.scenario_name}
        self.repository: Repository | None = None
        self.versions: dict[str, Version] = {}
        for name, text in self.texts.items():
            if text and Path(text).is_dir():
                expected = f"runs:{text} for recorded runs"
                raise ScenarioError(f"--{name}: invalid value {text!r}: expected {expected}")
            if name != CANDIDATE or request.candidate:
                _refuse_bare_ref(name, text)
        if not request.asks_for_versions:
            if request.scenario_from:
                raise CheckoutError("--scenario-from: not supported without a side git:REF")
            return
        self.repository = self._repository()
        for name, text in self.texts.items():
            if text.startswith(VERSION):
                commit = revision(text.removeprefix(VERSION), self.repository)
                self.versions[name] = Version(text=text, repository=self.repository, commit=commit)

    def of(self, name: str) -> Source:
        """One side."""
        text = self.texts[name]
        if text.startswith(STORED):
            folder, _, arm = text.removeprefix(STORED).partition("@")
            runs = [judge_run(path) for path in find_runs([Path(folder)])]
            return Source(
                text=text,
                stored=tuple(of_one_arm(runs, arm, text)),
                missing=missing_rounds(Path(folder)),
                commit=_head(_around(Path.cwd())) if self._is_recorded(name) else None,
            )
        if name not in self.versions:
            return self._working_tree(name)
        version = self.versions[name]
        own = self._scenario(name).own_gateway
        player = self._own_programs(name, version) if own else self._this_program(name, version)
        note = player.version.note if player.version else ""
        notes = (note,) if note else ()
        return Source(text=text, player=player, commit=_commit(version.commit), notes=notes)

    # -- which repository, and which file --------------------------------------------------------------------

    def _repository(self) -> Repository:
        """That of the folder in which working folders begin; of the built-in stub, that of this program."""
        side = next(name for name, text in self.texts.items() if text.startswith(VERSION))
        name = self._scenario_name(CANDIDATE)
        if name not in catalog() and not self.request.gateway:
            folder = Path(name).resolve().parent
            nearest = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
            try:
                return repository_of(nearest)
            except CheckoutError:
                if load(name, self._overrides(side)).own_gateway:
                    return _around(nearest, self.texts[side])
        elif load(name, self._overrides(side)).own_gateway:
            return _around(Path.cwd(), self.texts[side])
        try:
            around = repository_of(Path.cwd())
        except CheckoutError:
            around = None
        # In a repository of their own, users do not mean versions of this program.
        self._check_has_stub(self.texts[side], around)
        return project()

    def _scenario(self, name: str) -> Scenario:
        """What a side plays, with folders of the working tree."""
        wanted = self.request.scenario_from or CANDIDATE
        typed = self.typed[name]
        # A file that somebody typed for a side is what this side plays.
        follows = wanted in self.texts and (not typed or typed.startswith(VERSION))
        of = wanted if follows else name
        file = ScenarioFile(name=self._scenario_name(of), version=self.versions.get(of))
        other = CANDIDATE if of == BASELINE else BASELINE
        otherwise = f"--scenario-from {other}, so that both sides play the {other}'s file"
        return file.load(self._overrides(name), otherwise)

    def _scenario_name(self, name: str) -> str:
        text = self.texts[name]
        return self.request.scenario_name if text.startswith((STORED, VERSION)) or not text else text

    # -- a version -------------------------------------------------------------------------------------------

    def _own_programs(self, name: str, version: Version) -> Player:
        # Two gates with the same two versions the other way round must not wait for each other.
        alone = name == BASELINE or BASELINE not in self.versions
        own = self.stops.enter_context(
            own_version(version, self._scenario(name), cached=self.request.cached, say=self.say, waits=alone)
        )
        own.check()
        return self._player(name, own.scenario, version=own)

    def _this_program(self, name: str, version: Version) -> Player:
        request = self.request
        if request.scenario_from not in {None, "each"}:
            expected = f"each, or gateway.command in {request.scenario_name}; the built-in stub plays its own"
            raise CheckoutError(invalid("--scenario-from", request.scenario_from, expected))
        self._check_has_stub(version.text, version.repository)
        scenario_name = self._source_for_a_version(version)
        root = self.stops.enter_context(checked_out(version))
        check_can_run(version.text, root, scenario_name, self._overrides(name))
        # What a version makes of its own scenario only its runs can tell; this is to plan them by.
        return self._player(name, self._scenario(name), source=scenario_name, root=root)

    def _check_has_stub(self, text: str, repository: Repository | None) -> None:
        """Raises CheckoutError where this is no repository of this program, or the program is installed."""
        because = "this program is not run in one"
        try:
            project()
            if repository is not None:
                because = f"{repository.top} is none"
                command_of(repository.top)
        except CheckoutError:
            raise CheckoutError(
                f"{text}: {self.request.scenario_name} starts the built-in stub, whose versions are compared"
                f" in a clone of reconnect-storm, and {because}: expected gateway.command in the scenario, or"
                " --gateway COMMAND, to compare versions of your own gateway"
            ) from None

    def _source_for_a_version(self, version: Version) -> str:
        """What another version of this program, started in its own folder, calls the scenario."""
        name = self.request.scenario_name
        path = Path(name).resolve()
        if name in catalog() or not path.is_file():
            return name
        top = version.repository.top.resolve()
        return str(path.relative_to(top) if path.is_relative_to(top) else path)

    # -- the working tree ------------------------------------------------------------------------------------

    def _working_tree(self, name: str) -> Source:
        text = self.texts[name]
        scenario = self._scenario(name)
        if self.repository is None:
            player = self._player(name, scenario, source=text)
            return (
                self._of_head(name, player) if self._is_recorded(name) else Source(text=text, player=player)
            )
        if all(self._scenario(one).own_gateway for one in self.versions):
            return self._of_head(name, self._player(name, scenario, source=text))
        # Where one side is a process of its own, the other one is, too.
        path = Path(text).resolve()
        source = str(path) if text not in catalog() and path.is_file() else text
        return self._of_head(name, self._player(name, scenario, source=source, root=PROJECT))

    def _of_head(self, name: str, player: Player) -> Source:
        """With the commit whose working tree it is."""
        if player.root:
            repository = project()
        else:
            own = player.scenario.own_gateway
            repository = _around(Path(player.scenario.folder) if own else Path.cwd())
        files = uncommitted(repository, self.request.written)
        commit = _head(repository, dirty=bool(files))
        notes = (dirty_note(name, commit, files),) if files else ()
        return Source(text=self.texts[name], player=player, commit=commit, working_tree=True, notes=notes)

    def _is_recorded(self, name: str) -> bool:
        """Whether the side's result is kept in a file that names its commit."""
        return name == CANDIDATE and bool(self.request.csv_file or self.request.trend_file)

    # -- both ------------------------------------------------------------------------------------------------

    def _player(
        self,
        name: str,
        scenario: Scenario,
        *,
        source: str = "",
        root: Path | None = None,
        version: OwnVersion | None = None,
    ) -> Player:
        return Player(
            name=name,
            scenario=msgspec.structs.replace(scenario, matrix={}, arms={}),
            source=source or self.request.scenario_name,
            overrides=self._overrides(name),
            root=root,
            version=version,
            nginx_binary=self.request.nginx_binary,
            allow_exec=self.request.allow_exec,
        )

    def _overrides(self, name: str) -> tuple[str, ...]:
        request = self.request
        own = request.baseline_overrides if name == BASELINE else request.candidate_overrides
        return (*request.overrides, *own)


def _around(folder: Path, text: str = "git:HEAD") -> Repository:
    """The repository that a folder is in; text: what its commit is wanted for. Raises CheckoutError."""
    try:
        return repository_of(folder)
    except CheckoutError as error:
        raise CheckoutError(f"{text}: {error}") from None


def _head(repository: Repository, *, dirty: bool = False) -> Commit:
    return _commit(revision("HEAD", repository), dirty=dirty)


def _commit(found: Revision, *, dirty: bool = False) -> Commit:
    return Commit(found.id, found.date, dirty)
