"""The files of a gate, from what was found in a project: the scenario, and the job of the CI system."""

import functools
import shlex
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scenarios.project import escape
from scenarios.project.look import Project, reads_port
from scenarios.project.repository import Repository

TEMPLATES = Path(__file__).parent / "templates"
SCHEMA_FILE = ".storm.schema.json"
"""The JSON Schema of scenario files, beside the scenario; its first line names it for editors."""
SCHEMA_COMMENT = f"#:schema ./{SCHEMA_FILE}"
ACTION = "reconnect-storm/reconnect-storm@v0"
PACKAGE = "reconnect-storm"
ACCEPTED_FILE = "storm-accepted.toml"
ACCEPT_LABEL = "storm-accepted"


def storm_toml(project: Project) -> str:
    """The scenario."""
    start = project.start
    return (
        _environment()
        .get_template("storm.toml.j2")
        .render(
            schema=SCHEMA_COMMENT,
            project=project,
            start=start,
            hints=project.hints,
            feed=project.feed,
            reads_port=reads_port(project),
            rate_hz=f"{project.feed.rate_hz or 5:g}",
            too_slow=project.feed.rate_hz is not None and project.feed.rate_hz <= 1,
        )
    )


def github_workflow(project: Project | None, repository: Repository, folder: Path) -> str:
    """`.github/workflows/storm.yml`."""
    return (
        _environment()
        .get_template("github.yml.j2")
        .render(
            action=ACTION,
            branch=repository.branch,
            folder=_below(repository, folder),
            language=project.start.language if project else "",
            tools=project.start.tools if project else (),
            node_version_file=_first(folder, ".nvmrc", ".node-version"),
            python_version_file=_first(folder, ".python-version"),
        )
    )


def gitlab_job(project: Project | None, repository: Repository | None, folder: Path) -> str:
    """The job of GitLab; without project and repository, that of `ci/gitlab/`."""
    below = _below(repository, folder) if repository else ""
    return (
        _environment()
        .get_template("gitlab.yml.j2")
        .render(
            package=PACKAGE,
            folder=below or ".",
            node=project is not None and project.start.language == "Node",
            tools=project.start.tools if project else (),
        )
    )


def gitlab_include(path: str) -> str:
    """The lines of `.gitlab-ci.yml` that include the job."""
    return f"include:\n  - local: {escape.yaml_string(path)}\n"


def shown_command(words: tuple[str, ...]) -> str:
    """A command as somebody would type it."""
    return escape.comment(" ".join(word if "{" in word else shlex.quote(word) for word in words))


def _below(repository: Repository, folder: Path) -> str:
    """The project's folder in its repository; empty where it is the top."""
    path = folder.relative_to(repository.root).as_posix()
    return "" if path == "." else path


def _first(folder: Path, *names: str) -> str:
    return next((name for name in names if (folder / name).is_file()), "")


@functools.cache
def _environment() -> Environment:
    # Each value has its own filter: the files are TOML and YAML, not HTML.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "toml": escape.toml_string,
        "toml_key": escape.toml_key,
        "toml_command": escape.toml_command,
        "yaml": escape.yaml_string,
        "comment": escape.comment,
        "shown": shown_command,
    }
    return environment
