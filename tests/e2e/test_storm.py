"""A storm of a few seconds on real nginx, real pods and real clients, end to end."""

import json
import subprocess
from pathlib import Path

import pytest
from command_line import SMALL_STORM, command

from reports.record import Run, find_runs
from scenarios.clients.messages import OUTCOMES

pytestmark = pytest.mark.e2e

GOOD_OR_INVALID = {0, 3}
"""A busy machine may make a run invalid, which is a result and not a failure."""


def carried_out(tmp_path: Path, *arguments: str, sets: tuple[str, ...]) -> tuple[str, list[Run]]:
    done = subprocess.run(
        command(*arguments, sets=sets, runs=tmp_path),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode in GOOD_OR_INVALID, done.stdout + done.stderr
    return done.stdout, [Run.load(path) for path in find_runs([tmp_path / "latest"])]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Run], Path]:
    folder = tmp_path_factory.mktemp("runs")
    sets = (*SMALL_STORM, 'matrix={"fleet.policy"=["naive", "incident"]}')
    output, runs = carried_out(folder, "compare", "--retries", "0", sets=sets)
    return output, runs, folder / "latest"


def total(run: Run, column: str) -> float:
    return sum(value for value in run.column(column) if value is not None)


def test_every_arm_is_run_and_reported(comparison: tuple[str, list[Run], Path]) -> None:
    output, runs, latest = comparison
    assert [run.info.arm for run in runs] == ["naive", "incident"]
    assert all(run.info.status == "complete" for run in runs)
    for text in (output, (latest / "report.md").read_text(encoding="utf-8")):
        assert "naive" in text
        assert "incident" in text
    html = (latest / "report.html").read_text(encoding="utf-8")
    assert "<svg" in html
    assert "src=" not in html, "the report must not ask for anything from outside"


def test_the_trigger_drops_everybody_while_the_feed_goes_on(
    comparison: tuple[str, list[Run], Path],
) -> None:
    for run in comparison[1]:
        (drop,) = [event for event in run.events if event["event"] == "drop_all"]
        assert drop["dropped"] == 60
        assert total(run, "disconnects") >= 60
        storm = [row["ticks_sent"] for row in run.between(3, 11)]
        assert all(sent is not None for sent in storm), "pods keep reporting, and sending, in the storm"


def test_clients_come_back_by_themselves(comparison: tuple[str, list[Run], Path]) -> None:
    for run in comparison[1]:
        assert run.rows[-1]["connected"] == 60


def test_nobody_receives_more_than_was_sent(comparison: tuple[str, list[Run], Path]) -> None:
    for run in comparison[1]:
        assert 0 < total(run, "ticks") <= total(run, "ticks_sent") + 60 * 5


def test_attempts_end_in_outcomes(comparison: tuple[str, list[Run], Path]) -> None:
    for run in comparison[1]:
        ended = sum(total(run, outcome) for outcome in OUTCOMES)
        assert ended == pytest.approx(total(run, "attempts"), abs=60)


def test_effective_latency_covers_every_client_and_every_tick(
    comparison: tuple[str, list[Run], Path],
) -> None:
    for run in comparison[1]:
        after_the_trigger = 7
        known = run.merged("effective", 3, 10).get_total_count()
        unknown = run.merged("censored", 3, 10).get_total_count()
        assert known + unknown == pytest.approx(60 * 5 * after_the_trigger, rel=0.02)


def test_refusals_agree_between_clients_and_nginx_and_programs_can_read_the_result(tmp_path: Path) -> None:
    sets = (*SMALL_STORM, "fleet.clients=24", "fleet.clients_per_ip=8", "edge.limit=per-ip")
    output, (run,) = carried_out(tmp_path, "run", "--json", "--retries", "0", sets=sets)
    limited = total(run, "limited")
    assert limited > 0, "8 naive clients behind one address must meet a limit of 3 a second"
    assert total(run, "nginx_limited") == pytest.approx(limited, rel=0.05, abs=3)
    (result,) = json.loads(output)
    assert result["status"] == "complete"
    assert result["verdict"]["name"] == run.info.verdict["name"]
