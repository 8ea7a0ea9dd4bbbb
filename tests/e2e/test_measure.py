"""A gateway's costs are measured on real pods: what the stub was set to is read back."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.simulator.costs import read_measured
from tests.e2e.command_line import GOOD_OR_INVALID, running

pytestmark = [pytest.mark.e2e, pytest.mark.measures, pytest.mark.needs_two_cores]

HANDSHAKE_MS = 12.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scenarios.cli", "measure", *arguments]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the accept queue is Linux's")
def test_what_the_stub_was_set_to_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    sets = (f"gateway.handshake_cpu_ms={HANDSHAKE_MS}", "gateway.backlog=77", "gateway.tick_cpu_us=300")
    done = subprocess.run(
        command(
            *("--cycles", "3", "--clients", "60", "--retries", "12", "--out", str(file)),
            *(part for override in sets for part in ("--set", override)),
        ),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode in GOOD_OR_INVALID, done.stderr
    if done.returncode:
        assert "INVALID: " in done.stderr
        assert not file.exists()
        return
    found = read_measured(file)
    # CPU time, and not time on the clock; the libraries need one or two milliseconds, and some 70 µs, on top,
    # and several times that on a slow core.
    assert HANDSHAKE_MS < found.handshake_cpu_ms < 2 * HANDSHAKE_MS
    assert 290 < found.tick_cpu_us < 700
    assert found.backlog == 77
    assert found.accepts == "one per turn"
    assert found.memory_at_rest_mb is not None
    assert found.memory_at_rest_mb > 10


def test_ctrl_c_ends_every_part(tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    with running(command("--out", str(file)), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("pilot"):
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not file.exists()
