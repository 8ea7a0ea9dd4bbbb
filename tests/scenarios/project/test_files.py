"""Files are written where there are none, all of them or none, and every text in them stays a text."""

import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scenarios.project import example
from scenarios.project.escape import comment, toml_command, toml_key, toml_string, yaml_string
from scenarios.project.folder import MOST_BYTES, read, sources
from scenarios.project.render import github_workflow, gitlab_job
from scenarios.project.repository import Repository, repository
from scenarios.project.write import add_lines, write_new
from scenarios.scenario.loader import load
from scenarios.scenario.program import words_of

ROOT = Path(__file__).parents[3]


# -- escapes -----------------------------------------------------------------------------------------


@given(st.text())
def test_any_text_is_a_value_of_toml_and_of_yaml(text: str) -> None:
    assert tomllib.loads(f"a = {toml_string(text)}")["a"] == text
    assert tomllib.loads(f"{toml_key(text)} = 1") == {text: 1}
    assert yaml.safe_load(f"a: {yaml_string(text)}")["a"].replace("${{ '${{' }}", "${{") == text


@given(st.lists(st.text(), min_size=1))
def test_any_words_are_a_command(words: list[str]) -> None:
    found = tomllib.loads(f"a = {toml_command(tuple(words))}")["a"]
    assert words_of(found if isinstance(found, str) else tuple(found)) == tuple(words)


@given(st.text(st.characters()))
def test_any_text_is_one_line_of_a_comment(text: str) -> None:
    assert tomllib.loads(f"a = 1 # {comment(text)}\nb = 2\n") == {"a": 1, "b": 2}


def test_github_evaluates_no_expression_of_a_folders_name() -> None:
    assert yaml_string("${{ github.token }}") == "\"${{ '${{' }} github.token }}\""


# -- writing -----------------------------------------------------------------------------------------


def test_a_file_that_is_there_is_kept_and_the_others_are_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    files: dict[Path, str | bytes] = {tmp_path / "a": "x", tmp_path / "b" / "c": b"y", tmp_path / "gone": "z"}
    done = write_new(files)
    assert done.new == (tmp_path / "b" / "c",)
    assert done.kept == (tmp_path / "a", tmp_path / "gone")
    assert (tmp_path / "a").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_where_one_file_cannot_be_written_none_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_new({tmp_path / "new" / "a": "x", tmp_path / "file" / "b": "y"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "runs/\n"),
        ("a\n", "a\nruns/\n"),
        ("a", "a\nruns/\n"),
        ("runs\n", "runs\n"),
        ("/runs/\n", "/runs/\n"),
        ("myruns/", "myruns/\nruns/\n"),
    ],
)
def test_lines_are_added_once(before: str | None, after: str, tmp_path: Path) -> None:
    file = tmp_path / ".gitignore"
    if before is not None:
        file.write_text(before)
    add_lines(file, ("runs/",))
    assert file.read_text() == after
    assert add_lines(file, ("runs/",)) == ()


# -- reading -----------------------------------------------------------------------------------------


def test_only_sources_of_a_bounded_size_are_read_those_at_the_top_first(tmp_path: Path) -> None:
    ignored = ("node_modules/x/c.js", ".cache/d.js", "e.test.js", "tests/f.py", "test_g.py", "h.txt")
    for name in ("src/a.ts", "b.js", *ignored):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "bundle.js").write_text("x" * (MOST_BYTES + 1))
    (tmp_path / "link.js").symlink_to(tmp_path / "b.js")
    assert [source.name for source in sources(tmp_path)] == ["b.js", "src/a.ts"]
    assert read(tmp_path / "bundle.js") == ""


# -- the repository and its CI -----------------------------------------------------------------------

SYSTEMS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "no CI": ((), ("github",), ""),
    "GitHub": ((".github/x",), ("github",), ""),
    "GitLab": ((".gitlab-ci.yml",), ("gitlab",), ""),
    "both": ((".github/x", ".gitlab-ci.yml"), ("github", "gitlab"), ""),
    "another": (("Jenkinsfile",), (), "Jenkinsfile"),
    "another beside GitHub": (("Jenkinsfile", ".github/x"), ("github",), ""),
}


@pytest.mark.parametrize(("files", "systems", "other"), SYSTEMS.values(), ids=SYSTEMS)
def test_the_ci_of_a_repository_is_told_by_its_files(
    files: tuple[str, ...], systems: tuple[str, ...], other: str, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = repository(tmp_path)
    assert (found.systems, found.other_ci) == (systems, other)


@pytest.mark.parametrize(
    ("files", "branch"),
    [
        ({}, "main"),
        ({"HEAD": "ref: refs/heads/master\n"}, "master"),
        ({"HEAD": "ref: refs/heads/my-change\n"}, "main"),
        (
            {"HEAD": "ref: refs/heads/x\n", "refs/remotes/origin/HEAD": "ref: refs/remotes/origin/dev\n"},
            "dev",
        ),
    ],
)
def test_the_branch_is_the_one_that_changes_are_merged_into(
    files: dict[str, str], branch: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".git" / name).write_text(text)
    (tmp_path / ".git").mkdir(exist_ok=True)
    (tmp_path / "services" / "live").mkdir(parents=True)
    found = repository(tmp_path / "services" / "live")
    assert (found.root, found.branch) == (tmp_path, branch)


def test_a_job_for_a_folder_of_a_repository_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / 'my "gate": #1'
    place = Repository(tmp_path, 'feature/"x"', ("github",), "")
    workflow = yaml.safe_load(github_workflow(None, place, folder))
    assert workflow["jobs"]["gate"]["steps"][-1]["with"]["working-directory"] == folder.name
    assert workflow[True]["push"]["branches"] == ['feature/"x"']
    job = yaml.safe_load(gitlab_job(None, place, folder))
    assert job["storm-gate"]["variables"]["STORM_FOLDER"] == folder.name


# -- the examples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", example.NAMES)
def test_a_copied_example_is_whole_and_loads_outside_of_the_checkout(name: str, tmp_path: Path) -> None:
    files = example.example_files(name, tmp_path / "copy")
    write_new(files)
    scenario = load(str(tmp_path / "copy" / "storm.toml"))
    assert scenario.own_gateway
    for program in (scenario.gateway, scenario.feed, *scenario.service):
        words = [*words_of(program.command), *words_of(scenario.gateway.setup)]
        assert ".." not in " ".join(words)
        scripts = [word for word in words if word.endswith((".js", ".py", ".sh"))]
        assert all((tmp_path / "copy" / script).is_file() for script in scripts)
    assert example.in_the_way(files) == [*files]


def test_what_a_storm_leaves_in_an_example_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "examples" / "node"
    for name in ("server.js", "node_modules/a/b.js", "runs/x", "__pycache__/y.pyc"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("")
    monkeypatch.setattr(example, "code_root", lambda: tmp_path)
    (top / "server.js").write_text("#:schema ../../schema.json\n\nname = 1\n")
    assert example.example_files("node", Path("to")) == {Path("to/server.js"): b"name = 1\n"}
    with pytest.raises(FileNotFoundError, match="not part of this installation"):
        example.example_files("redis", Path("to"))
