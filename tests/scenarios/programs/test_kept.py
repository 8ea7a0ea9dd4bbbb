"""A program of the user's own: started without a shell, and ended with everything that it has started."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from scenarios.host.process import StackError, last_lines
from scenarios.programs.kept import KeptProgram, start_kept
from scenarios.programs.placeholders import invocation
from scenarios.scenario.program import Program

FORKS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    print("daemon", os.getpid(), flush=True)
    time.sleep(60)
print("child", child.pid, flush=True)
time.sleep(60)
"""
IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def python(code: str, **fields: object) -> Program:
    return Program(command=(sys.executable, "-c", code), **fields)  # type: ignore[arg-type]


def kept(tmp_path: Path, program: Program, look: Callable[[KeptProgram], Awaitable[None]]) -> KeptProgram:
    """Starts a program, looks at it, and ends it."""

    async def run() -> KeptProgram:
        called = invocation(program, {}, environment={"PORT": "1"})
        child = await start_kept("it", program, called, folder=tmp_path, log=tmp_path / "it.log")
        try:
            await look(child)
        finally:
            await child.kill()
        return child

    return asyncio.run(run())


async def said(child: KeptProgram, words: int) -> list[int]:
    """The numbers that it has printed, once there are as many."""
    for _ in range(3_000):
        numbers = [int(word) for line in last_lines(child.log, 9) for word in line.split() if word.isdigit()]
        if len(numbers) >= words:
            return numbers
        await asyncio.sleep(0.02)
    raise AssertionError(child.log.read_text())


async def up(child: KeptProgram) -> None:
    for _ in range(3_000):
        if "up" in last_lines(child.log):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come up")


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits for what is bound to happen: a signal takes effect when its process runs next."""
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def gone(pid: int) -> bool:
    for _ in range(3_000):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_a_daemon_that_left_its_session_ends_with_the_program(tmp_path: Path) -> None:
    pids: list[int] = []

    async def look(child: KeptProgram) -> None:
        pids.extend([*await said(child, 2), child.pid])
        assert {process.pid for process in child.processes()} >= set(pids)

    kept(tmp_path, python(FORKS), look)
    assert all(map(gone, pids))


def test_what_is_left_ends_when_the_program_ends_by_itself(tmp_path: Path) -> None:
    pids: list[int] = []

    async def look(child: KeptProgram) -> None:
        pids.extend(await said(child, 2))
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        assert child.how_it_ended == "killed by SIGKILL"

    kept(tmp_path, python(FORKS), look)
    assert all(map(gone, pids))


def test_everything_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib
from scenarios.programs.kept import start_kept
from scenarios.programs.placeholders import invocation
from scenarios.scenario.program import Program
async def run():
    program = Program(command=({sys.executable!r}, "-c", {FORKS!r}))
    called = invocation(program, {{}}, environment={{}})
    await start_kept("it", program, called, folder=pathlib.Path("."), log=pathlib.Path("it.log"))
    await asyncio.sleep(60)
asyncio.run(run())
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    log = tmp_path / "it.log"
    for _ in range(3_000):
        if len(last_lines(log)) >= 2:
            break
        time.sleep(0.02)
    pids = [int(line.split()[1]) for line in last_lines(log)]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    assert all(map(gone, pids))


@pytest.mark.parametrize(("own_s", "given_s"), [(0.4, None), (60, 0.4)])
def test_a_program_that_ignores_its_stop_signal_is_killed_after_its_grace(
    tmp_path: Path, own_s: float, given_s: float | None
) -> None:
    async def look(child: KeptProgram) -> None:
        await up(child)
        began_s = time.monotonic()
        await child.stop(given_s)
        assert time.monotonic() - began_s >= 0.4
        assert child.how_it_ended == "killed by SIGKILL"

    kept(tmp_path, python(IGNORES, stop_grace_s=own_s), look)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR2"])
def test_the_stop_signal_of_the_scenario_is_sent_to_the_program_itself(tmp_path: Path, name: str) -> None:
    code = (
        "import signal, sys\n"
        f"signal.signal(signal.{name}, lambda *_: sys.exit(7))\n"
        "print('up', flush=True)\nsignal.pause()\nsignal.pause()"
    )

    async def look(child: KeptProgram) -> None:
        await up(child)
        await child.stop()
        assert child.how_it_ended == "exit status 7"

    kept(tmp_path, python(code, stop_signal=name, stop_grace_s=60), look)


def test_a_gateway_behind_a_script_drains_too(tmp_path: Path) -> None:
    """The shell of the script ends at once, and hands no signal on."""
    drains = (
        "import signal, time\ntry:\n    print('up', flush=True)\n    time.sleep(60)\nexcept SystemExit:\n"
    )
    drains = drains.replace(
        "import signal, time", "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit())"
    )
    (tmp_path / "gateway.py").write_text(f"{drains}    time.sleep(0.3)\n    print('drained', flush=True)\n")
    (tmp_path / "start.sh").write_text(f"{sys.executable} gateway.py\necho after\n")

    async def look(child: KeptProgram) -> None:
        await up(child)
        await child.stop()
        assert "drained" in last_lines(child.log)

    kept(tmp_path, Program(command="sh start.sh", stop_grace_s=60), look)


def test_a_pause_freezes_descendants_too(tmp_path: Path) -> None:
    async def look(child: KeptProgram) -> None:
        pids = await said(child, 2)
        everybody = [psutil.Process(pid) for pid in (*pids, child.pid)]
        await child.pause()
        await eventually(lambda: {process.status() for process in everybody} == {psutil.STATUS_STOPPED})
        await child.resume()
        await eventually(lambda: psutil.STATUS_STOPPED not in {process.status() for process in everybody})

    kept(tmp_path, python(FORKS), look)


HANDLERS = {
    "caught": "signal.signal(signal.SIGUSR1, print)",
    "ignored": "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "waited for": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
}


@pytest.mark.parametrize("code", HANDLERS.values(), ids=HANDLERS)
def test_which_signals_a_program_handles_is_known(tmp_path: Path, code: str) -> None:
    async def look(child: KeptProgram) -> None:
        await up(child)
        assert child.handles(signal.SIGUSR1)
        assert not child.handles(signal.SIGUSR2)
        child.send(signal.SIGUSR2)
        await child.wait()
        assert child.how_it_ended == "killed by SIGUSR2"
        assert child.handles(signal.SIGUSR2), "of a program that has ended, nobody has to wait"

    kept(
        tmp_path, python(f"import signal\n{code}\nprint('up', flush=True)\nwhile True: signal.pause()"), look
    )


def test_a_program_that_cannot_be_executed_says_so_in_one_line(tmp_path: Path) -> None:
    async def look(child: KeptProgram) -> None:
        await child.wait()
        assert "exit status 127" in str(child.ended())
        assert "no-such-program: No such file or directory" in str(child.ended())

    kept(tmp_path, Program(command="no-such-program --port 1"), look)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    async def look(_child: KeptProgram) -> None: ...

    with pytest.raises(StackError, match=r"the folder .*/elsewhere does not exist"):
        kept(tmp_path, python("", directory="elsewhere"), look)


def test_no_shell_reads_the_words_and_credentials_of_this_program_are_not_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONNECT_STORM_TOKEN", "secret")
    code = "import os, sys; print(sys.argv[1:], os.environ.get('RECONNECT_STORM_TOKEN'), os.environ['PORT'])"
    program = Program(command=(sys.executable, "-c", code, "$HOME; echo `id`", "a b"))

    async def look(child: KeptProgram) -> None:
        await child.wait()
        assert last_lines(child.log) == ["['$HOME; echo `id`', 'a b'] None 1"]

    kept(tmp_path, program, look)
