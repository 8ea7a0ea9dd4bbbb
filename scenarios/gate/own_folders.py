"""Where the user's programs run in a version: at the same place of the repository as in the working tree."""

from collections.abc import Sequence
from pathlib import Path

from scenarios.gate.repository import CheckoutError, is_tracked
from scenarios.gate.version import Version
from scenarios.scenario.model import Scenario
from scenarios.scenario.own_gateway import programs
from scenarios.scenario.program import words_of


def check_folders(version: Version, scenario: Scenario) -> None:
    """Raises CheckoutError where it would run files of the working tree instead of the version's."""
    top = version.repository.top.resolve()
    begins = Path(scenario.folder).resolve()
    if not begins.is_relative_to(top):
        raise CheckoutError(f"{version.text}: the folder {begins} is not in the repository {top}")
    for place, program in programs(scenario).items():
        if not words_of(program.command):
            continue
        leads = (begins / program.directory).resolve()
        absolute = Path(program.directory).is_absolute()
        inside = leads.is_relative_to(top)
        if (absolute and inside) or (not inside and (place == "gateway" or not absolute)):
            raise CheckoutError(
                f"{place}.directory: invalid value {program.directory!r}: expected a path relative to"
                f" {begins} that stays in {top}, with {version.text}"
            )
        _check_words(version, f"{place}.command", words_of(program.command))
    _check_words(version, "gateway.setup", words_of(scenario.gateway.setup))


def _check_words(version: Version, key: str, words: Sequence[str]) -> None:
    top = version.repository.top.resolve()
    for word in words:
        path = Path(word)
        if path.is_absolute() and path.resolve().is_relative_to(top) and is_tracked(version.repository, path):
            raise CheckoutError(
                f"{key}: invalid value {word!r}: expected a path relative to the working folder, with"
                f" {version.text}; this one is the working tree's on both sides"
            )


def prepare_folders(version: Version, scenario: Scenario, files: Path) -> None:
    """Raises CheckoutError where the gateway's folder is not in the version, or a working folder leads out of
    its files by a link."""
    begins = Path(scenario.folder)
    _check_inside(version, begins, files)
    # Where the scenario is new in the candidate, its folder may be new, and working folders lead through it.
    begins.mkdir(parents=True, exist_ok=True)
    for program in programs(scenario).values():
        if program.command and not Path(program.directory).is_absolute():
            _check_inside(version, begins / program.directory, files)
    gateway = begins / scenario.gateway.directory
    if not gateway.is_dir():
        named = gateway.resolve().relative_to(files.resolve())
        raise CheckoutError(f"{version.name}: has no folder {named}: expected that of the gateway")


def _check_inside(version: Version, folder: Path, files: Path) -> None:
    if not folder.resolve().is_relative_to(files.resolve()):
        raise CheckoutError(f"{version.name}: {folder.relative_to(files)} leads out of the repository")
