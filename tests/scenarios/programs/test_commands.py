"""Commands of a timeline: refused unless asked for, ended in time, and leaving nothing behind."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from scenarios.events.exec import Exec
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.programs import commands
from scenarios.programs.commands import check_commands, run_command
from scenarios.programs.log_limit import MOST_BYTES
from scenarios.scenario.model import Scenario

FORKS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
daemon = os.fork()
if not daemon:
    os.setsid()
    time.sleep(600)
print("pids", os.getpid(), child.pid, daemon, flush=True)
time.sleep(float(sys.argv[1]))
"""
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FORKS}"


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


def ran(tmp_path: Path, words: Sequence[str], timeout_s: float = 60) -> str:
    """What the command has printed."""
    log = tmp_path / "commands" / "1.log"
    asyncio.run(run_command(words, timeout_s, folder=tmp_path, log=log))
    return log.read_text()


def failed(tmp_path: Path, words: Sequence[str], timeout_s: float = 60) -> str:
    with pytest.raises(StackError) as error:
        ran(tmp_path, words, timeout_s)
    return str(error.value)


def pids_in(tmp_path: Path) -> list[int]:
    text = (tmp_path / "commands" / "1.log").read_text()
    return [int(word) for line in text.splitlines() if line.startswith("pids") for word in line.split()[1:]]


async def forked(tmp_path: Path) -> None:
    """Returns once the command has started everything that it starts."""
    log = tmp_path / "commands" / "1.log"
    deadline_s = time.monotonic() + 60
    while not log.exists() or "pids" not in log.read_text():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)


def still_there(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def test_a_command_runs_in_the_folder_of_the_scenario_and_what_it_prints_is_kept(tmp_path: Path) -> None:
    said = ran(tmp_path, python("import os, sys; print(os.getcwd(), sys.argv[1:])", "a b", "$HOME"))
    assert said.split(maxsplit=1) == [str(tmp_path), "['a b', '$HOME']\n"], "no shell has read the words"


def test_nothing_that_a_command_leaves_outlives_it(tmp_path: Path) -> None:
    ran(tmp_path, python(FORKS, "0"))
    assert len(pids_in(tmp_path)) == 3
    assert still_there(pids_in(tmp_path)) == []


def test_a_command_that_fails_is_told_with_its_status_and_what_it_said(tmp_path: Path) -> None:
    said = failed(tmp_path, python("import sys; sys.exit('error: forbidden')"))
    assert said.startswith(f"exec `{sys.executable} -c import sys;")
    assert "failed (exit status 1)" in said
    assert said.endswith("1.log: error: forbidden")


def test_a_command_that_is_killed_is_told_with_the_signal(tmp_path: Path) -> None:
    said = failed(tmp_path, python("import os; os.kill(os.getpid(), 9)"))
    assert "failed (killed by SIGKILL)" in said
    assert said.endswith("1.log is empty")


@pytest.mark.parametrize("name", ["no-such-program", "./not-executable"])
def test_a_command_that_cannot_be_started_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "not-executable").touch()
    said = failed(tmp_path, [name])
    assert f"exec `{name}` failed (exit status 127)" in said
    assert name in said.partition("1.log: ")[2]


@pytest.mark.parametrize("code", [FORKS, STUBBORN], ids=["it ends", "it ignores SIGTERM"])
def test_a_command_that_hangs_is_ended_with_everything_it_has_started(
    tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_GRACE_S", 0.5)
    timeouts: dict[float | None, asyncio.Timeout] = {}
    timeout = asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        timeouts[delay] = timeout(delay)
        return timeouts[delay]

    monkeypatch.setattr(asyncio, "timeout", noted)

    async def hang() -> None:
        log = tmp_path / "commands" / "1.log"
        running = asyncio.create_task(run_command(python(code, "600"), 600, folder=tmp_path, log=log))
        await forked(tmp_path)
        timeouts[600].reschedule(asyncio.get_running_loop().time())
        await running

    with pytest.raises(StackError, match=r"timed out after 600 s \(timeout_s\)"):
        asyncio.run(hang())
    assert len(pids_in(tmp_path)) == 3
    assert still_there(pids_in(tmp_path)) == []


def test_a_command_ends_with_the_run_that_is_broken_off(tmp_path: Path) -> None:
    log = tmp_path / "commands" / "1.log"

    async def interrupted() -> None:
        running = asyncio.create_task(run_command(python(FORKS, "600"), 600, folder=tmp_path, log=log))
        await forked(tmp_path)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(interrupted())
    assert len(pids_in(tmp_path)) == 3
    assert still_there(pids_in(tmp_path)) == []


def test_what_a_command_prints_does_not_fill_the_disk(tmp_path: Path) -> None:
    said = ran(tmp_path, python(f"print('x\\n' * {MOST_BYTES}, 'end')"))
    assert len(said) < MOST_BYTES
    assert said.endswith("end\n")


# -- before anything is started ------------------------------------------------------------------------------

HERE = Exec(at_s=1, command=("sh", "-e"))


def scenario(*events: Exec, folder: str = "") -> Scenario:
    return Scenario(event=events, folder=folder)


def test_commands_are_refused_unless_they_are_asked_for() -> None:
    with pytest.raises(MachineError) as error:
        check_commands(scenario(replace(HERE, enabled=False), HERE), allow_exec=False)
    assert str(error.value) == (
        "event[1].do: exec would run a command on this machine: `sh -e`: expected --allow-exec, if that is"
        " wanted"
    )
    check_commands(scenario(HERE), allow_exec=True)


def test_a_refusal_shows_no_secret() -> None:
    with pytest.raises(MachineError) as error:
        check_commands(scenario(replace(HERE, command=("sh", "--token", "abc"))), allow_exec=False)
    assert "`sh --token (hidden)`" in str(error.value)


def test_a_command_that_is_switched_off_is_neither_asked_for_nor_looked_for() -> None:
    check_commands(scenario(replace(HERE, command=("no-such-program",), enabled=False)), allow_exec=False)


def test_a_program_that_is_missing_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(
        MachineError, match=r"^event\[0\]\.command: no-such-program was not found; .* the PATH"
    ):
        check_commands(scenario(replace(HERE, command=("no-such-program",))), allow_exec=True)
    script = replace(HERE, command=("./deploy.sh",))
    with pytest.raises(MachineError, match=rf"\./deploy\.sh was not found; looked in {tmp_path}"):
        check_commands(scenario(script, folder=str(tmp_path)), allow_exec=True)
    (tmp_path / "deploy.sh").touch()
    check_commands(scenario(script, folder=str(tmp_path)), allow_exec=True)
