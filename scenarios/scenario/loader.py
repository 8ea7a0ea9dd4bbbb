"""Reads and checks a scenario file, so that an error costs one line and no run.

An error names the file, the key, the invalid value and what is expected.
"""

import functools
import logging
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from reports.rundir.renamed import SCENARIOS, present_scenario, present_setting
from scenarios.fields import one_of
from scenarios.scenario.arms import arms, refuse_without_effect, set_by_every_arm
from scenarios.scenario.model import Scenario
from scenarios.scenario.overrides import parse_override, set_key
from scenarios.scenario.program import COMMAND, CREDENTIALS_COMMAND, forget_stub
from scenarios.scenario.redact import shown_key, shown_override
from scenarios.scenario.toml import steps
from scenarios.scenario.validate import ScenarioError, build

_NAME_FILES = (COMMAND, CREDENTIALS_COMMAND, "commands.allow", "edge.nginx_conf")

CATALOG = Path(__file__).parents[1] / "catalog"


def catalog() -> dict[str, Path]:
    """The built-in scenarios, by name."""
    return {path.stem: path for path in sorted(CATALOG.glob("*.toml"))}


def file_of(name_or_path: str) -> Path:
    """The file of the scenario with that name in the catalogue, or at that path; it need not exist."""
    name = SCENARIOS.get(name_or_path, name_or_path)
    return catalog().get(name, Path(name))


def load(name_or_path: str, overrides: Iterable[str] = ()) -> Scenario:
    """The scenario of that name in the catalogue, or in that file, with `key=value` overrides applied."""
    name = SCENARIOS.get(name_or_path, name_or_path)
    if name != name_or_path:
        _warn(f"scenario {name_or_path} is now {name}")
    path = file_of(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = one_of(name_or_path, catalog(), "scenarios")
        raise ScenarioError(f"{name_or_path}: no such scenario: expected a file or {names}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:  # Besides its own error: an endless number or nesting.
        raise ScenarioError(f"{path}: not valid TOML: {error}") from None
    source = str(path)
    former: list[str] = []
    overridden: list[str] = []
    table = present_scenario(table, former)
    for override in overrides:
        key, value = _present_override(*parse_override(override), former)
        shown = f"--set {shown_override(override)}"
        set_key(table, key, value, source=shown)
        source += f" with {shown}"
        overridden.append(".".join(steps(key)))
    forget_stub(table, overridden)
    _forget_limits(table, overridden)
    if former:
        _warn(f"{path}: {'; '.join(former)}")
    scenario = build(table, source=source, default_name=path.stem, overridden=overridden)
    refuse_without_effect(scenario, overridden, source=source)
    scenario = replace(scenario, folder=_folder(scenario, path))
    arms(scenario, source=source)
    return scenario


def refuse_set_by_arms(scenario: Scenario, overrides: Iterable[str]) -> None:
    """Raises ScenarioError where an override has no effect on any arm, because every arm sets its key."""
    for override in overrides:
        key, _ = _present_override(*parse_override(override), [])
        path = ".".join(steps(key))
        for of_arms in sorted(set_by_every_arm(scenario)):
            if f"{path}.".startswith(f"{of_arms}."):
                where = "arms" if scenario.arms else "matrix"
                raise ScenarioError(
                    f"{scenario.name}: --set {shown_key(path)}: no effect: every arm sets {of_arms} itself:"
                    f" expected another {where}, or `run`, which plays no arms"
                )


def _forget_limits(table: dict[str, Any], given: list[str]) -> None:
    """Drops the limits of a scenario whose proxy an override gives a configuration of the user's own."""
    if "edge.nginx_conf" not in given:
        return
    edge, matrix = table.get("edge"), table.get("matrix")
    if isinstance(edge, dict) and "edge.limit" not in given:
        edge.pop("limit", None)
    if isinstance(matrix, dict) and "matrix" not in given:
        matrix.pop("edge.limit", None)


def _present_override(key: str, value: Any, former: list[str]) -> tuple[str, Any]:
    path = ".".join(steps(key))
    if path in {"matrix", "arms"}:
        return key, present_scenario({path: value}, former)[path]
    present, value = present_setting(path, value, former)
    return (key if present == path else present), value


def _folder(scenario: Scenario, path: Path) -> str:
    """Where relative paths begin; nothing where the scenario names no program or file of the user's."""
    varied = (scenario.matrix, *scenario.arms.values())
    asked = scenario.target.credentials
    names_files = (
        scenario.own_gateway
        or (asked is not None and asked.command)
        or scenario.commands.allow
        or scenario.edge.nginx_conf
    )
    if not names_files and not any(key in keys for keys in varied for key in _NAME_FILES):
        return ""
    of_file = Path.cwd() if path.parent == CATALOG else path.resolve().parent
    return str(of_file / scenario.folder)


@functools.cache
def _warn(text: str) -> None:
    """Warns once of former names: several commands load a scenario more than once."""
    logging.getLogger(__name__).warning("reconnect-storm: warning: %s", text)
