"""The scenario that a side of a gate plays: of this working tree, or as in a version."""

import tempfile
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from scenarios.gate.repository import CheckoutError, file_of
from scenarios.gate.version import Version
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError


class ScenarioFile(Struct, frozen=True, kw_only=True):
    """A name of the catalogue, or a file."""

    name: str
    version: Version | None = None
    """None for the working tree."""

    def load(self, overrides: tuple[str, ...], otherwise: str = "") -> Scenario:
        """The scenario, with folders of the working tree. A file outside the repository is in no version.

        otherwise: what to use where the version has no such file. Raises ScenarioError, CheckoutError.
        """
        path = Path(self.name).resolve()
        if self.version is None or self.name in catalog():
            return load(self.name, overrides)
        top = self.version.repository.top.resolve()
        if not path.is_relative_to(top):
            return load(self.name, overrides)
        inside = path.relative_to(top).as_posix()
        content = file_of(self.version.repository, self.version.commit.id, inside)
        if content is None:
            raise CheckoutError(f"{self.version.name}: has no file {inside}: expected {otherwise}")
        with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as folder:
            copy = Path(folder).resolve() / path.name
            copy.write_bytes(content)
            try:
                scenario = load(str(copy), overrides)
            except ScenarioError as error:
                raise ScenarioError(str(error).replace(str(copy), f"{self.version.text}:{inside}")) from None
            begins = Path(scenario.folder)
            if scenario.folder and begins.is_relative_to(copy.parent):
                scenario = replace(scenario, folder=str(path.parent / begins.relative_to(copy.parent)))
            return scenario
