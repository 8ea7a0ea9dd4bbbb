"""`init` as somebody types it: what it writes, what it keeps, what it says, and all that it refuses."""

import json
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.reference.scenario_schema import scenario_schema
from scenarios.scenario.loader import load

NODE = {
    "package.json": json.dumps({"dependencies": {"socket.io": "4"}, "scripts": {"start": "node server.js"}}),
    "package-lock.json": "{}",
    "server.js": (
        'setInterval(() => io.emit("price", { seq: n++, ts: Date.now() }), 200);\nlisten(process.env.PORT);'
    ),
}
WRITTEN = [".storm.schema.json", ".github/workflows/storm.yml", ".gitignore", "storm.toml"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, of a project of its own."""
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    monkeypatch.chdir(project)
    return project


def put(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def typed(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", *arguments], input=answer)


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refused(result: Result, *said: str) -> None:
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    for part in said:
        assert part in result.output


def test_a_gateway_gets_a_scenario_a_workflow_and_the_next_command(folder: Path) -> None:
    put(folder, NODE)
    result = typed()
    assert result.exit_code == 0, result.output
    assert files_of(folder) == sorted([*WRITTEN, *NODE])
    assert result.output.splitlines() == [
        "found: node server.js (package.json: scripts.start)",
        "wrote: storm.toml",
        "wrote: .storm.schema.json",
        "wrote: .github/workflows/storm.yml",
        "added to .gitignore: runs/",
        "added to .gitignore: node_modules/",
        "next: reconnect-storm run storm.toml",
    ]
    scenario = load("storm.toml")
    assert scenario.gateway.command == "node server.js"
    assert (scenario.feed.event, scenario.feed.rate_hz, scenario.feed.seq_field) == ("price", 5, "seq")
    assert (scenario.feed.due_field, scenario.feed.due_unit, scenario.feed.due_clock) == ("ts", "ms", "wall")


def test_a_second_time_everything_is_kept(folder: Path) -> None:
    put(folder, NODE)
    typed()
    (folder / "storm.toml").write_text("# mine\n")
    result = typed()
    assert result.exit_code == 0
    assert (folder / "storm.toml").read_text() == "# mine\n"
    assert "kept: storm.toml exists" in result.output
    assert "kept: .github/workflows/storm.yml exists" in result.output
    assert "added" not in result.output


def test_a_scenario_that_is_there_needs_no_gateway_to_be_found(folder: Path) -> None:
    put(folder, {"storm.toml": "", ".gitlab-ci.yml": ""})
    result = typed()
    assert result.exit_code == 0, result.output
    assert "wrote: .gitlab/storm.yml" in result.output
    assert 'add to .gitlab-ci.yml:\ninclude:\n  - local: "/.gitlab/storm.yml"\n' in result.output
    assert "storm-gate" in yaml.safe_load((folder / ".gitlab" / "storm.yml").read_text())


@pytest.mark.parametrize(
    ("arguments", "there", "written"),
    [
        ((), ".gitlab-ci.yml", {".gitlab/storm.yml"}),
        ((), "Jenkinsfile", set()),
        (("--ci", "none"), "x", set()),
        (("--ci", "gitlab"), "Jenkinsfile", {".gitlab/storm.yml"}),
        (("--ci", "github"), ".gitlab-ci.yml", {".github/workflows/storm.yml"}),
    ],
)
def test_the_job_is_for_the_system_that_the_repository_has_or_the_user_names(
    arguments: tuple[str, ...], there: str, written: set[str], folder: Path
) -> None:
    put(folder, {**NODE, there: ""})
    result = typed(*arguments)
    assert result.exit_code == 0
    assert {name for name in files_of(folder) if name.endswith("storm.yml")} == written
    assert ("found: Jenkinsfile" in result.output) == (there == "Jenkinsfile" and not arguments)


def test_a_gateway_in_a_folder_of_the_repository_has_its_workflow_at_the_top(folder: Path) -> None:
    put(folder / "services" / "live", NODE)
    result = typed("services/live")
    assert result.exit_code == 0
    assert "wrote: ../../.github/workflows/storm.yml" in result.output
    assert result.output.endswith("next: cd services/live && reconnect-storm run storm.toml\n")
    workflow = yaml.safe_load((folder / ".github" / "workflows" / "storm.yml").read_text())
    assert workflow["jobs"]["gate"]["steps"][-1]["with"]["working-directory"] == "services/live"


def test_a_dry_run_prints_the_files_and_writes_none(folder: Path) -> None:
    put(folder, {**NODE, ".github/workflows/storm.yml": "mine"})
    result = typed("--dry-run")
    assert result.exit_code == 0
    assert files_of(folder) == sorted([*NODE, ".github/workflows/storm.yml"])
    assert "# storm.toml\n" in result.output
    assert 'command = "node server.js"' in result.output
    assert "# kept: .github/workflows/storm.yml exists" in result.output


def test_a_command_of_the_user_is_taken_as_it_is(folder: Path) -> None:
    result = typed("--gateway", "./gateway --port {port}")
    assert result.exit_code == 0, result.output
    assert load("storm.toml").gateway.command == "./gateway --port {port}"


def test_what_has_to_be_looked_at_is_said(folder: Path) -> None:
    put(folder, {**NODE, "server.js": 'socket.handshake.auth; socket.emit("a");\nserver.listen(3000);'})
    output = typed().output
    assert "look: gateway.command: server.js listens on port 3000: the gateway has to listen on" in output
    assert "look: target.auth: the gateway looks at the handshake (auth)" in output
    assert "look: feed.event: no event of a feed was found" in output


def test_the_schema_is_the_one_that_the_first_line_names(folder: Path) -> None:
    put(folder, NODE)
    assert typed().exit_code == 0
    first, *_ = (folder / "storm.toml").read_text().splitlines()
    schema = json.loads((folder / first.removeprefix("#:schema ")).read_text())
    assert schema == scenario_schema()
    assert "fleet" in schema["properties"]
    assert len(typed("--dry-run").output) < 10_000, "a schema is long, and is not printed"


REFUSED: dict[str, tuple[Mapping[str, str], tuple[str, ...], tuple[str, ...]]] = {
    "an empty folder": (
        {},
        (),
        ("no Socket.IO gateway found", "socket.io in package.json", "--example node"),
    ),
    "a folder above": (
        {"a/package.json": NODE["package.json"]},
        (),
        ("expected the folder of a gateway, such as init a",),
    ),
    "an image": (
        {"Dockerfile": "FROM x\nCMD /srv/gw"},
        (),
        ("its Dockerfile starts '/srv/gw', which is not",),
    ),
    "a command for a shell": (
        NODE,
        ("--gateway", "a && b"),
        ("storm.toml: gateway.command: invalid value '&&': expected", "put the line into a script"),
    ),
    "a folder that is not there": (
        {},
        ("none",),
        ("DIRECTORY: invalid value 'none': expected an existing folder",),
    ),
    "another CI": (NODE, ("--ci", "jenkins"), ("--ci: invalid value", "github, gitlab, none")),
    "an example with a command": ({}, ("--example", "node", "--gateway", "x"), ("not supported together",)),
    "an unknown example": ({}, ("--example", "go"), ("--example: invalid value", "node, python, redis")),
}


@pytest.mark.parametrize(("files", "arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_one_line_and_nothing_is_written(
    files: Mapping[str, str], arguments: tuple[str, ...], said: tuple[str, ...], folder: Path
) -> None:
    put(folder, files)
    refused(typed(*arguments), *said)
    assert files_of(folder) == sorted(files)


def test_a_file_in_the_place_of_a_folder_leaves_nothing(folder: Path) -> None:
    put(folder, {**NODE, ".github": "a file"})
    refused(typed("--ci", "github"), ".github")
    assert files_of(folder) == sorted([*NODE, ".github"])


# -- at a terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "answer", "command"),
    [
        ((), "\n", "node server.js"),
        ((), "node other.js\n", "node other.js"),
        (("--yes",), None, "node server.js"),
        (("--gateway", "node third.js"), None, "node third.js"),
    ],
    ids=["confirmed", "corrected", "--yes", "--gateway"],
)
def test_at_a_terminal_the_command_can_be_corrected_and_nothing_else_is_asked(
    arguments: tuple[str, ...],
    answer: str | None,
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(folder, NODE)
    asked: list[str] = []

    def prompt(text: str, default: str) -> str:
        asked.append(text)
        return (answer or "").strip() or default

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("scenarios.cli.commands.authoring.init.at_a_terminal", lambda: True)
    result = typed(*arguments)
    assert result.exit_code == 0, result.output
    assert load("storm.toml").gateway.command == command
    assert len(asked) == (answer is not None)


# -- examples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["node", "python", "redis"])
def test_an_example_is_copied_and_gets_its_job_from_a_second_call(name: str, folder: Path) -> None:
    result = typed("--example", name, "demo")
    assert result.exit_code == 0, result.output
    assert "next: cd demo && reconnect-storm run storm.toml" in result.output
    assert load("demo/storm.toml").own_gateway
    result = typed("demo", "--ci", "github")
    assert result.exit_code == 0, result.output
    assert "kept: storm.toml exists" in result.output
    assert (folder / ".github" / "workflows" / "storm.yml").exists()


def test_an_example_overwrites_nothing(folder: Path) -> None:
    put(folder, {"server.js": "mine"})
    refused(typed("--example", "node"), "server.js: exists: expected a folder without these files")
    assert files_of(folder) == ["server.js"]


def test_a_dry_run_of_an_example_prints_its_files(folder: Path) -> None:
    result = typed("--example", "node", "--dry-run")
    assert result.exit_code == 0
    assert "# storm.toml\n" in result.output
    assert files_of(folder) == []
