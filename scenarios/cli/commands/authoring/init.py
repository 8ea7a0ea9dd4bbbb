"""From a folder with a gateway to a scenario, a job of CI and the next command."""

import json
import os
import shlex
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scenarios.cli.terminal import fail, usage_errors
from scenarios.fields import invalid

if TYPE_CHECKING:
    from scenarios.project.look import Project

SCENARIO = "storm.toml"
WORKFLOW = Path(".github", "workflows", "storm.yml")
GITLAB = Path(".gitlab", "storm.yml")


@click.command("init")
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--gateway",
    "command",
    default="",
    metavar="COMMAND",
    help="Command that starts one copy of the gateway; the port is in PORT, or {port} in the command."
    "  [default: found in the folder]",
)
@click.option(
    "--ci",
    type=click.Choice(["github", "gitlab", "none"]),
    help="CI system to write a job for.  [default: those that the repository has, else github]",
)
@click.option(
    "--example",
    type=click.Choice(["node", "python", "redis"]),
    help="Copy a working gateway with its scenario instead.",
)
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--dry-run", is_flag=True, help="Print the files, and write none.")
def init_command(
    directory: Path, command: str, ci: str | None, example: str | None, yes: bool, dry_run: bool
) -> None:
    """Write a scenario and a CI job for the gateway in a folder.

    DIRECTORY is the folder of the gateway; default: the current one. Looks at package.json, pyproject.toml,
    requirements, Procfile, Dockerfile and sources. Existing files are never changed, but for lines that
    .gitignore lacks.

    Exit status: 0 written, 2 no gateway found, or usage.
    """
    if example:
        if command or ci:
            fail(f"--example: not supported together with {'--gateway' if command else '--ci'}")
        _copy(example, directory, dry_run=dry_run)
        return
    if not directory.is_dir():
        fail(invalid("DIRECTORY", str(directory), "an existing folder, or --example for a new one"))
    _init(directory.resolve(), command, ci, ask=not (yes or dry_run or command), dry_run=dry_run)


def _copy(name: str, directory: Path, *, dry_run: bool) -> None:
    from scenarios.project.example import example_files, executables, in_the_way  # noqa: PLC0415
    from scenarios.project.write import write_new  # noqa: PLC0415

    files = example_files(name, directory)
    if there := in_the_way(files):
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        fail(f"{there[0]}{more}: exists: expected a folder without these files: init --example {name} FOLDER")
    if dry_run:
        for path, content in files.items():
            _show(path, content.decode())
        return
    for path in write_new(files).new:
        click.echo(f"wrote: {path}")
    for path in executables(files):
        path.chmod(0o755)
    click.echo(f"next: {_from(directory)}reconnect-storm run {SCENARIO}")
    click.echo(f"then: {_from(directory)}reconnect-storm init    # a job for CI")


def _init(folder: Path, command: str, ci: str | None, *, ask: bool, dry_run: bool) -> None:
    # The templates are slow to load, and nothing else of the command line needs them.
    from scenarios.project.repository import repository  # noqa: PLC0415

    has_scenario = (folder / SCENARIO).exists()
    project = _looked_at(folder, command, ask=ask and not has_scenario)
    if project is None and not has_scenario:
        fail(_nothing_found(folder))
    place = repository(folder)
    systems = ((ci,) if ci != "none" else ()) if ci else place.systems
    files = _files(folder, project, systems)
    if dry_run:
        _show_all(folder, files)
        return
    _write(folder, files, project)
    if place.root / GITLAB in files:
        _tell_to_include(place.root)
    if place.other_ci and not ci:
        click.echo(f"found: {place.other_ci}: the job is the command reconnect-storm gate {SCENARIO}")
    click.echo(f"next: {_from(_named(folder, Path.cwd()))}reconnect-storm run {SCENARIO}")


def _looked_at(folder: Path, command: str, *, ask: bool) -> "Project | None":
    """The gateway of the folder; somebody at a terminal may correct its command."""
    from scenarios.project.look import look  # noqa: PLC0415
    from scenarios.project.render import shown_command  # noqa: PLC0415

    project = look(folder, command)
    if project is None or not (ask and at_a_terminal()):
        return project
    shown = shown_command(project.start.words)
    told = click.prompt("Command that starts the gateway", default=shown)
    return look(folder, told) if told != shown else project


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _write(folder: Path, files: Mapping[Path, str], project: "Project | None") -> None:
    """Writes what is not there yet, and says what it did."""
    from scenarios.project.render import shown_command  # noqa: PLC0415
    from scenarios.project.write import add_lines, write_new  # noqa: PLC0415

    done = write_new(files)
    if project is not None:
        click.echo(f"found: {shown_command(project.start.words)} ({project.start.origin})")
    for path in done.new:
        click.echo(f"wrote: {_named(path, folder)}")
    for path in done.kept:
        click.echo(f"kept: {_named(path, folder)} exists")
    for line in add_lines(folder / ".gitignore", ("runs/", *(project.start.leaves if project else ()))):
        click.echo(f"added to .gitignore: {line}")
    if project is not None and folder / SCENARIO in done.new:
        for note in _notes(project):
            click.echo(f"look: {note}")


def _tell_to_include(root: Path) -> None:
    from scenarios.project.folder import read  # noqa: PLC0415
    from scenarios.project.render import gitlab_include  # noqa: PLC0415

    if GITLAB.as_posix() not in read(root / ".gitlab-ci.yml"):
        click.echo(f"add to .gitlab-ci.yml:\n{gitlab_include('/' + GITLAB.as_posix())}", nl=False)


def _files(folder: Path, project: "Project | None", systems: tuple[str, ...]) -> dict[Path, str]:
    """What is to be written, by its place."""
    from scenarios.project.render import SCHEMA_FILE  # noqa: PLC0415
    from scenarios.reference.scenario_schema import stored_schema  # noqa: PLC0415

    files: dict[Path, str] = {}
    if project is not None:
        files[folder / SCENARIO] = _scenario(project)
        files[folder / SCHEMA_FILE] = json.dumps(stored_schema(), ensure_ascii=False) + "\n"
    return files | _jobs(folder, project, systems)


def _scenario(project: "Project") -> str:
    """The scenario, if it can be loaded; otherwise the command has something that no scenario may have."""
    from scenarios.project.render import storm_toml  # noqa: PLC0415
    from scenarios.scenario.validate import ScenarioError, build  # noqa: PLC0415

    text = storm_toml(project)
    with usage_errors(ScenarioError):
        build(tomllib.loads(text), source=SCENARIO)
    return text


def _jobs(folder: Path, project: "Project | None", systems: tuple[str, ...]) -> dict[Path, str]:
    """The files of the CI systems, by their places."""
    from scenarios.project.render import github_workflow, gitlab_job  # noqa: PLC0415
    from scenarios.project.repository import repository  # noqa: PLC0415

    place = repository(folder)
    files = {}
    if "github" in systems:
        files[place.root / WORKFLOW] = github_workflow(project, place, folder)
    if "gitlab" in systems:
        files[place.root / GITLAB] = gitlab_job(project, place, folder)
    return files


def _nothing_found(folder: Path) -> str:
    from scenarios.project.look import LOOKED_FOR, gateways_below, unknown_program  # noqa: PLC0415

    expected = "expected --gateway COMMAND, or --example node, python or redis to begin with"
    if below := gateways_below(folder):
        expected = f"expected the folder of a gateway, such as init {below[0]}"
    if unknown := unknown_program(folder):
        expected = f"its Dockerfile starts {unknown!r}, which is not on this machine: {expected}"
    return f"{folder}: no Socket.IO gateway found; looked for {LOOKED_FOR}: {expected}"


def _notes(project: "Project") -> list[str]:
    """What the user has to check before the first run."""
    from scenarios.project.look import reads_port  # noqa: PLC0415

    notes = []
    if not reads_port(project):
        because = f"{project.hints.fixed_port}: " if project.hints.fixed_port else ""
        notes.append(f"gateway.command: {because}the gateway has to listen on the port in the variable PORT")
    if project.hints.auth:
        notes.append(f"target.auth: the gateway looks at the handshake ({', '.join(project.hints.auth)})")
    if not project.feed.event:
        notes.append("feed.event: no event of a feed was found: name the one that your clients wait for")
    elif project.feed.rate_hz is not None and project.feed.rate_hz <= 1:
        notes.append("feed.rate_hz: one tick per second or less is too slow to see an outage by")
    return notes


def _named(path: Path, folder: Path) -> Path:
    """A path as it is called from the folder."""
    return Path(os.path.relpath(path, folder))


def _from(directory: Path) -> str:
    return f"cd {shlex.quote(str(directory))} && " if directory != Path() else ""


def _show_all(folder: Path, files: Mapping[Path, str]) -> None:
    """Prints the files; of the schema only the name, because it is long and no text of the user's."""
    from scenarios.project.render import SCHEMA_FILE  # noqa: PLC0415

    for path, text in files.items():
        name = _named(path, folder)
        if path.exists():
            click.echo(f"# kept: {name} exists\n")
        elif path.name == SCHEMA_FILE:
            click.echo(f"# {name}: the JSON Schema of scenario files, for editors\n")
        else:
            _show(name, text)


def _show(path: Path, text: str) -> None:
    click.echo(f"# {path}\n{text}")
