"""Gateways that crash, hang, talk too much or cannot start: an outcome of the run, or one clear line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.reader import Run
from scenarios.exit_status import FAILED, USAGE
from scenarios.programs.log_limit import MOST_BYTES
from tests.e2e.command_line import last_known
from tests.e2e.own_gateway import (
    CLIENTS,
    begin_of,
    end_of,
    ended_storm,
    files_with,
    of_pod,
    pod_log,
    stormed,
    table,
    toml,
)
from tests.support.gateways import line, words

pytestmark = pytest.mark.e2e

LAST_WORDS = "RuntimeError: the cache is inconsistent"

# -- crashes -------------------------------------------------------------------------------------------------


CRASHING = line("crashing", 5, "{pod}", 1)
"""Pod 1 crashes so many seconds after its newest client has joined: by then the run knows that all have."""


def crashes(run: Run) -> list[dict[str, Any]]:
    return [line for line in run.events if line["event"] == "pod_crashed"]


LONG = ("event=[]", "phases.duration_s=14")


def test_a_crash_fails_the_run_unless_the_scenario_says_otherwise(tmp_path: Path) -> None:
    done = ended_storm(tmp_path, CRASHING, *LONG)
    assert done.status == FAILED
    assert done.line("pod-1", "exit status 1", "pod-1.log", LAST_WORDS)
    assert done.run.info.status == "failed"
    assert done.run.info.problem.startswith("pod-1")


def test_a_crash_is_an_outcome_where_the_pod_is_left(tmp_path: Path) -> None:
    output, run = stormed(tmp_path, CRASHING, *LONG, "gateway.on_crash=leave")
    (crash,) = crashes(run)
    assert crash["pod"] == 1
    assert "exit status 1" in json.dumps(crash)
    assert LAST_WORDS in json.dumps(crash)
    assert "pod-1" in output
    assert not of_pod(run, 1, "cpu", from_s=crash["t_s"] + 2)
    assert last_known(run, "connected") == CLIENTS, "the other pod has them all"
    report = (tmp_path / "latest" / "report.md").read_text(encoding="utf-8")
    assert LAST_WORDS in report


def test_a_crash_is_an_outcome_where_the_pod_is_restarted(tmp_path: Path) -> None:
    # A pod may take seconds to start.
    sets = ("gateway.on_crash=restart", "gateway.crash_restart_s=0.5", "phases.duration_s=18")
    _, run = stormed(tmp_path, CRASHING, *LONG, *sets)
    first = crashes(run)[0]
    assert first["pod"] == 1
    assert LAST_WORDS in json.dumps(first)
    restarted = [line["t_s"] for line in run.events if line["event"] == "pod_restarted"]
    assert restarted[0] >= first["t_s"] + 0.5
    assert of_pod(run, 1, "cpu", from_s=restarted[0])
    assert pod_log(run, 1).count("listens on") >= 2


@pytest.mark.parametrize("on_crash", ["leave", "restart"])
def test_a_pod_that_was_never_ready_has_not_crashed_but_cannot_be_started(
    tmp_path: Path, on_crash: str
) -> None:
    done = ended_storm(tmp_path, line("exiting"), f"gateway.on_crash={on_crash}")
    assert done.status == FAILED
    assert done.line("pod-", "exit status 3", "DATABASE_URL is not set")


# -- gateways that do not end --------------------------------------------------------------------------------


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    grace_s = 1.5
    sets = ('event=[{at_s=2, do="rolling_restart", gap_s=0.1}]', "phases.duration_s=22")
    _, run = stormed(tmp_path, line("stubborn"), *sets, f"gateway.stop_grace_s={grace_s}")
    took_s = end_of(run, "rolling_restart")["t_s"] - begin_of(run, "rolling_restart")["t_s"]
    assert took_s >= 2 * grace_s
    for pod in (0, 1):
        first, second = re.findall(r"process (\d+) listens", pod_log(run, pod))
        assert first != second
        assert not Path(f"/proc/{first}").exists()
    assert last_known(run, "connected") == CLIENTS


# -- gateways that start in their own way, or never ----------------------------------------------------------

CALM = ("event=[]", "phases.duration_s=2", "gateway.pods=1")
"""Of a run that shows only how its pods start."""
UNREADY = {
    "listens on another port, asked by HTTP": ("elsewhere", "listens on", "/readyz"),
    "answers 503 to everything, asked by HTTP": ("never_ready", "listens on", "/readyz"),
    "answers 503 to everything, asked by Engine.IO": ("never_ready", "listens on", ""),
    "loads for too long, asked by Engine.IO": ("slow", "loads its cache", ""),
}
TIMEOUT_S = 12
"""On a busy machine a pod takes seconds until it has printed anything."""


@pytest.mark.parametrize(("name", "last_line", "path"), UNREADY.values(), ids=UNREADY)
def test_a_pod_that_is_not_ready_in_time_is_one_line_with_its_port_and_log(
    tmp_path: Path, name: str, last_line: str, path: str
) -> None:
    arguments = ("60",) if name == "slow" else ()
    sets = ("gateway.pods=1", f"gateway.start_timeout_s={TIMEOUT_S}", f"gateway.ready_path={toml(path)}")
    done = ended_storm(tmp_path, line(name, *arguments), *sets)
    assert done.status == FAILED
    told = done.line("pod-", f"{TIMEOUT_S} s", ".log", last_line)
    found = re.search(r"pod-(\d+)\b.*\bport (\d+)\b", told)
    assert found
    if name == "never_ready":
        assert f":{found[2]}" in pod_log(done.run, int(found[1]))
    assert done.run.info.status == "failed"


def test_a_pod_that_is_slow_but_in_time_is_waited_for(tmp_path: Path) -> None:
    _, run = stormed(tmp_path, line("slow", 3), *CALM)
    assert last_known(run, "connected") == CLIENTS


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = ended_storm(tmp_path, "no-such-program --port {port}")
    assert done.status in {USAGE, FAILED}
    assert done.line("no-such-program")


def test_a_gateway_on_all_interfaces_is_warned_of(tmp_path: Path) -> None:
    """Traffic stays on the loopback, but others could reach such a pod from outside."""
    stormed(tmp_path, line("exposed"), *CALM)
    report = (tmp_path / "latest" / "report.md").read_text(encoding="utf-8")
    assert "the gateway listens on all interfaces" in report


def test_a_service_that_cannot_start_is_named(tmp_path: Path) -> None:
    service = f'[{{name="store", command={toml(words("exiting"))}}}]'
    done = ended_storm(tmp_path, line("healthy"), f"service={service}")
    assert done.status == FAILED
    assert done.line("store", "exit status 3", "DATABASE_URL is not set")


def test_a_service_that_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    store = f'name="store", ready_path="/", start_timeout_s=3, command={toml(words("never_ready"))}'
    done = ended_storm(tmp_path, line("healthy"), f"service=[{{{store}}}]")
    assert done.status == FAILED
    assert done.line("store", "3 s", ".log")


def test_a_set_up_that_fails_is_one_line_and_no_pod_is_started(tmp_path: Path) -> None:
    done = ended_storm(tmp_path, line("healthy"), f"gateway.setup={toml(words('exiting'))}")
    assert done.status == FAILED
    assert done.line("gateway.setup", "exit status 3", "DATABASE_URL is not set")
    assert not list(tmp_path.rglob("pod-0.log"))


# -- logs ----------------------------------------------------------------------------------------------------

ALLOWED_BYTES = 4 * MOST_BYTES
"""Of two pods, with what they print between two looks, also where the second one is six seconds late. In all
they print more, where the machine lets them."""


def test_a_log_is_capped_and_the_pod_goes_on(tmp_path: Path) -> None:
    _, run = stormed(tmp_path, line("chatty"))
    logs = list((run.directory / "pods").rglob("*.log"))
    assert sum(path.stat().st_size for path in logs) < ALLOWED_BYTES
    assert "a client has subscribed" in pod_log(run, 0)
    assert last_known(run, "connected") == CLIENTS


def test_a_secret_in_the_last_words_of_a_pod_is_hidden(tmp_path: Path) -> None:
    variables = table({"API_TOKEN": "s3cret-variable"})
    done = ended_storm(tmp_path, line("leaky", "exit"), f"gateway.environment={variables}")
    assert done.status == FAILED
    assert done.line("pod-", "invalid API_TOKEN")
    assert "s3cret-variable" not in done.output + done.errors
    assert files_with(tmp_path, "s3cret-variable") == []
