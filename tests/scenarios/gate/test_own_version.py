"""A version of the user's programs: where they run, how they are set up, and what is refused."""

import asyncio
import contextlib
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scenarios.gate.own_version import OwnVersion, own_version
from scenarios.gate.repository import CheckoutError, repository_of, revision
from scenarios.gate.version import Version
from scenarios.host.process import StackError
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.stack import own_programs
from tests.support.repositories import commit, new_repository

pytestmark = pytest.mark.needs_git

GATEWAY = "gateway.command=python server.py"
INSTALL = "import pathlib; pathlib.Path('installed').write_text('yes')"
SETUP = f"gateway.setup={shlex.join([sys.executable, '-c', INSTALL])}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "reconnect-storm" / "versions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two commits; the newer one has the scenario in a new folder, ops, and a gateway in another, new one."""
    made = new_repository(tmp_path / "shop", **{"server.py": "old"})
    files = {"server.py": "new", "ops/storm.toml": '[gateway]\ncommand = "x"\n', "late/server.py": "late"}
    commit(made, files)
    return made


def version(folder: Path, ref: str = "HEAD~1") -> Version:
    repository = repository_of(folder)
    return Version(text=f"git:{ref}", repository=repository, commit=revision(ref, repository))


def scenario(folder: Path, *overrides: str) -> Scenario:
    return load(str(folder / "ops/storm.toml"), (GATEWAY, *overrides))


def opened(
    folder: Path, *overrides: str, cached: bool = True, said: list[str] | None = None, ref: str = "HEAD~1"
) -> contextlib.AbstractContextManager[OwnVersion]:
    said = [] if said is None else said
    return own_version(version(folder, ref), scenario(folder, *overrides), cached=cached, say=said.append)


def set_up(own: OwnVersion, log: Path) -> str:
    """Sets it up; what was said."""
    said: list[str] = []
    asyncio.run(own.set_up(log, said.append))
    return "".join(said)


# -- where they run ------------------------------------------------------------------------------------------


def test_the_gateway_runs_in_the_same_folder_of_the_version(folder: Path) -> None:
    with opened(folder, "gateway.directory=..") as own:
        assert (own.folder / "server.py").read_text() == "old"
        assert own.scenario.gateway.command == "python server.py"
    assert not own.folder.exists()


def test_the_folder_of_a_scenario_may_be_new_in_the_candidate(folder: Path) -> None:
    with opened(folder, "gateway.directory=..") as own:
        assert Path(own.scenario.folder).name == "ops"
        assert (Path(own.scenario.folder) / own.scenario.gateway.directory).is_dir()


def test_a_gateway_whose_folder_is_not_in_the_version_is_refused(folder: Path) -> None:
    with (
        pytest.raises(CheckoutError, match=r"git:HEAD~1 \([0-9a-f]{7}\): has no folder late: expected"),
        opened(folder, "gateway.directory=../late"),
    ):
        pass


REFUSED: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "a gateway outside": (lambda _: ["gateway.directory=../.."], "gateway.directory: invalid value '../..'"),
    "a gateway by an absolute path": (
        lambda folder: [f"gateway.directory={folder}"],
        "gateway.directory: invalid value",
    ),
    "a gateway elsewhere": (lambda _: ["gateway.directory=/tmp"], "gateway.directory: invalid value '/tmp'"),
    "a command of the working tree": (
        lambda folder: ["gateway.directory=..", f"gateway.command=python {folder}/server.py"],
        "gateway.command: invalid value",
    ),
    "a set-up of the working tree": (
        lambda folder: ["gateway.directory=..", f"gateway.setup=sh {folder}/server.py"],
        "gateway.setup: invalid value",
    ),
    "a publisher outside": (
        lambda _: ["gateway.directory=..", "feed.command=x", "feed.directory=../.."],
        "feed.directory: invalid value '../..'",
    ),
}


@pytest.mark.parametrize(("overrides", "said"), REFUSED.values(), ids=REFUSED)
def test_what_would_run_files_of_the_working_tree_on_both_sides_is_refused(
    folder: Path, overrides: Callable[[Path], list[str]], said: str
) -> None:
    with pytest.raises(CheckoutError, match=re.escape(said)), opened(folder, *overrides(folder)):
        pass


def test_an_interpreter_that_no_commit_has_may_have_an_absolute_path(folder: Path) -> None:
    with opened(folder, "gateway.directory=..", f"gateway.command={folder}/.venv/bin/python server.py"):
        pass


def test_a_service_may_run_in_a_folder_outside(folder: Path) -> None:
    service = 'service=[{name="redis", command="redis-server", directory="/tmp"}]'
    with opened(folder, "gateway.directory=..", service) as own:
        assert own.scenario.service[0].directory == "/tmp"


@pytest.mark.parametrize("name", ["ops", "gateway"])
def test_a_link_that_leads_out_of_the_version_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = folder / "ops" / "storm.toml"
    text = files.read_text()
    files.unlink()
    files.parent.rmdir()
    (folder / name).symlink_to(elsewhere)
    hostile = commit(folder, {})
    (folder / name).unlink()
    commit(folder, {"ops/storm.toml": text, "gateway/server.py": ""})
    overrides = ["gateway.directory=../gateway"]
    with (
        pytest.raises(CheckoutError, match="leads out of the repository"),
        opened(folder, *overrides, ref=hostile),
    ):
        pass
    assert not list(elsewhere.iterdir())


# -- set-up --------------------------------------------------------------------------------------------------


def test_the_set_up_command_is_run_once_in_the_version_and_kept(folder: Path, tmp_path: Path) -> None:
    with opened(folder, "gateway.directory=..", SETUP) as own:
        said = set_up(own, tmp_path / "logs" / "setup.log")
        assert re.fullmatch(r"set-up of git:HEAD~1 \([0-9a-f]{7}\): \S+ -c .* … \d+ s\n", said)
        assert (own.folder / "installed").exists()
        assert not (folder / "installed").exists()
    assert (own.folder / "installed").exists()
    with opened(folder, "gateway.directory=..", SETUP) as again:
        assert again.folder == own.folder
        assert set_up(again, tmp_path / "again.log").endswith(" … cached\n")
    assert not (tmp_path / "again.log").exists()


@pytest.mark.parametrize("cached_before", [False, True])
def test_no_run_repeats_what_was_set_up(folder: Path, tmp_path: Path, cached_before: bool) -> None:
    if cached_before:
        with opened(folder, "gateway.directory=..", SETUP) as own:
            own.place.finish()
    with opened(folder, "gateway.directory=..", SETUP) as own:
        set_up(own, tmp_path / "setup.log")
        asyncio.run(own_programs.set_up(own.scenario, log=tmp_path / "run.log"))
        assert (own.folder / "installed").exists() is not cached_before
    assert not (tmp_path / "run.log").exists()


def test_without_the_cache_nothing_is_kept(folder: Path, tmp_path: Path, cache: Path) -> None:
    with opened(folder, "gateway.directory=..", SETUP, cached=False) as own:
        set_up(own, tmp_path / "setup.log")
        assert (own.folder / "installed").exists()
    assert not own.folder.exists()
    assert not cache.exists()


OTHERS = {
    "another set-up": (f"{SETUP} ", "HEAD~1", f"{SETUP} more"),
    "another commit": (SETUP, "HEAD", SETUP),
    "another folder": (SETUP, "HEAD~1", SETUP, "gateway.directory=."),
    "another variable": (SETUP, "HEAD~1", SETUP, 'gateway.environment={ A = "2" }'),
}


@pytest.mark.parametrize(
    ("first", "ref", "overrides"), [(v[0], v[1], v[2:]) for v in OTHERS.values()], ids=OTHERS
)
def test_what_was_set_up_otherwise_is_not_used(
    folder: Path, tmp_path: Path, first: str, ref: str, overrides: tuple[str, ...]
) -> None:
    usual = ("gateway.directory=..", 'gateway.environment={ A = "1" }')
    with opened(folder, *usual, first) as own:
        set_up(own, tmp_path / "setup.log")
    with opened(folder, *usual, *overrides, ref=ref) as other:
        assert not other.place.finished


def test_a_set_up_that_fails_is_told_with_its_log_and_keeps_nothing(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    fails = shlex.join([sys.executable, "-c", "raise SystemExit('error: no such package hunter2')"])
    variables = 'gateway.environment={ NPM_TOKEN = "hunter2" }'
    log = tmp_path / "setup.log"
    said: list[str] = []
    with opened(folder, "gateway.directory=..", f"gateway.setup={fails}", variables) as own:
        with pytest.raises(StackError) as failed:
            asyncio.run(own.set_up(log, said.append))
        assert not own.place.finished
    assert re.search(r"git:HEAD~1 \([0-9a-f]{7}\): gateway.setup failed \(exit status 1\)", str(failed.value))
    assert "error: no such package" in str(failed.value)
    assert said[-1] == "failed\n"
    for text in (str(failed.value), log.read_text(), "".join(said)):
        assert "hunter2" not in text
    assert not own.folder.exists()
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_no_secret_is_written_into_the_cache(folder: Path, tmp_path: Path, cache: Path) -> None:
    variables = 'gateway.environment={ NPM_TOKEN = "hunter2", DB = "redis://me:pa55word@h/" }'
    with opened(folder, "gateway.directory=..", SETUP, variables) as own:
        set_up(own, tmp_path / "setup.log")
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert not re.search(rb"hunter2|pa55word", path.read_bytes() + bytes(path))


def test_a_set_up_that_may_need_services_is_left_to_the_first_run(folder: Path, tmp_path: Path) -> None:
    service = 'service=[{name="redis", command="redis-server"}]'
    with opened(folder, "gateway.directory=..", SETUP, service) as own:
        assert set_up(own, tmp_path / "setup.log") == ""
        assert not (own.folder / "installed").exists()
    assert not own.folder.exists()


def test_a_cache_that_cannot_be_used_is_told_and_done_without(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    cache.parent.parent.write_text("a file is in the way")
    said: list[str] = []
    with opened(folder, "gateway.directory=..", SETUP, said=said) as own:
        assert own.folder.is_dir()
    assert "is set up in a temporary folder" in "".join(said)
    assert not own.folder.exists()


def test_an_interpreter_of_the_working_tree_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    with opened(folder, "gateway.directory=..", "gateway.command=python server.py") as own:
        assert own.note == ""
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    for command in ("python server.py", f"{program} server.py"):
        with opened(folder, "gateway.directory=..", f"gateway.command={command}") as own:
            assert f"is {program} of the working tree" in own.note
    with opened(folder, "gateway.directory=..", "gateway.command=.venv/bin/python server.py") as own:
        assert own.note == ""


# -- advice --------------------------------------------------------------------------------------------------


def test_what_no_commit_has_is_named_where_the_gateway_cannot_start(folder: Path) -> None:
    commit(folder, {".gitignore": "node_modules\n"})
    for name in ("node_modules", "runs", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "x").touch()
    with opened(folder, "gateway.directory=..") as own:
        said = own.explained("pod-0 ended by itself; Cannot find module 'x'")
    assert said.startswith("git:HEAD~1 (")
    assert "Cannot find module 'x'" in said
    assert "only committed files, and not node_modules: expected" in said
    assert "gateway.setup" in said
    assert "--scenario-from each" in said


def test_a_program_that_no_commit_has_is_told_before_anything_is_started(folder: Path) -> None:
    told = r"\.venv/bin/python was not found.*gateway\.setup"
    command = "gateway.command=.venv/bin/python server.py"
    with opened(folder, "gateway.directory=..", command) as own, pytest.raises(CheckoutError, match=told):
        own.check()
    with opened(folder, "gateway.directory=..", SETUP, command) as own:
        own.check()


def test_after_a_set_up_that_was_kept_the_advice_is_to_make_it_anew(folder: Path, tmp_path: Path) -> None:
    arguments: tuple[Any, ...] = (folder, "gateway.directory=..", SETUP)
    with opened(*arguments) as own:
        set_up(own, tmp_path / "setup.log")
        assert "--no-cache" not in own.explained("x")
    with opened(*arguments) as own:
        assert "--no-cache makes it anew" in own.explained("x")
