"""A storm of a few seconds on real nginx, real pods and real clients, end to end."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reports.analysis.judgement import judgement_of
from reports.rundir import latency
from reports.rundir.columns import OUTCOMES
from reports.rundir.reader import Run
from tests.e2e.command_line import SMALL_STORM, carried_out, last_known, lone_pod
from tests.support.group_ticks import assert_groups_add_up

pytestmark = pytest.mark.e2e

STEADFAST = ("fleet.stale_after_s=0",)
"""Clients of a machine that stands still for a while do not hang up: what disconnects them is the trigger."""
HEARING = ("fleet.connect_timeout_s=10",)
"""Clients wait until they hear that they are refused."""


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Run], Path]:
    folder = tmp_path_factory.mktemp("runs")
    matrix = 'matrix={"fleet.policy"=["naive", "incident"]}'
    sets = (*SMALL_STORM, *STEADFAST, matrix, "phases.control_s=4")
    output, found = carried_out(folder, "compare", "--retries", "0", sets=sets)
    # Two where others used the machine's cores during the first one.
    controls = [run for run in found if run.info.control]
    assert controls
    assert all(control.info.trigger_s is None for control in controls)
    runs = [run for run in found if not run.info.control]
    assert "Control" in output
    return output, runs, folder / "latest"


def drop_of(run: Run) -> dict[str, Any]:
    """What the trigger said when it was over."""
    (drop,) = (line for line in run.events if line["event"] == "drop_all" and line["phase"] == "end")
    return drop


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
        assert drop_of(run)["dropped"] == 60
        assert total(run, "disconnects") >= 60
        sent = sum(row["ticks_sent"] or 0 for row in run.between(3, 11))
        assert sent > 60 * 5, "pods keep reporting, and sending, in the storm"


def test_clients_come_back_by_themselves(comparison: tuple[str, list[Run], Path]) -> None:
    for run in comparison[1]:
        assert last_known(run, "connected") == 60


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
        known = latency.between(run.histograms["effective"], 3, 10).sum()
        unknown = latency.between(run.histograms["censored"], 3, 10).sum()
        assert known + unknown == pytest.approx(60 * 5 * after_the_trigger, rel=0.02)


def test_refusals_agree_between_clients_and_nginx_and_programs_can_read_the_result(tmp_path: Path) -> None:
    sets = (*SMALL_STORM, *HEARING, "fleet.clients=24", "fleet.clients_per_ip=8", "edge.limit=per-ip")
    output, (run,) = carried_out(tmp_path, "run", "--json", "--retries", "0", sets=sets)
    limited = total(run, "limited")
    assert limited > 0, "8 naive clients behind one address must meet a limit of 3 a second"
    assert total(run, "nginx_limited") == pytest.approx(limited, rel=0.05, abs=3)
    (result,) = json.loads(output)
    assert result["status"] == "complete"
    assert result["verdict"]["name"] == run.info.verdict["name"]


def test_clients_that_begin_with_polling_are_dropped_and_come_back(tmp_path: Path) -> None:
    polling = ("fleet.transport=polling-upgrade", "gateway.balance=hash")
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=(*SMALL_STORM, *STEADFAST, *polling))
    assert drop_of(run)["dropped"] == 60
    assert total(run, "disconnects") >= 60
    assert last_known(run, "connected") == 60
    requests = Counter(line.split("\t")[3] for line in access_log(run))
    joins = 2 * 60
    assert requests["POST"] >= joins
    assert requests["GET"] >= 4 * joins


def access_log(run: Run) -> list[str]:
    return (run.directory / "nginx" / "access.log").read_text().splitlines()


CAP = 50
"""Attempts in a second, which clients that are refused make ten times as many of."""


def test_a_limit_strikes_those_who_share_an_address_and_a_cap_on_tries_marks_the_run(tmp_path: Path) -> None:
    mix = "fleet.clients_per_ip=[{share=0.5, clients_per_ip=1}, {share=0.5, clients_per_ip=30}]"
    crowd = (mix, "fleet.source=proxy-protocol", "edge.limit=per-ip", f"fleet.max_attempts_per_s={CAP}")
    output, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=(*SMALL_STORM, *STEADFAST, *crowd))
    assert len({line.split("\t")[2] for line in access_log(run)}) == 31
    limited = {
        size: sum(r["limited"] or 0 for r in run.shared_ips if r["clients_per_ip"] == size)
        for size in (1, 30)
    }
    assert limited[1] == 0
    assert limited[30] > 0
    assert_groups_add_up(run)
    alone, shared = judgement_of(run).summary.shared_ips
    assert alone.ticks is not None
    assert shared.ticks is not None
    assert alone.ticks.in_time / alone.ticks.due > shared.ticks.in_time / shared.ticks.due
    ramp = [row["limited"] for row in run.rows if (row["t_s"] or 0) < 3]
    assert sum(count or 0 for count in ramp) == 0, "nobody is refused while the fleet is brought up"
    storm = [row["attempts"] or 0 for row in run.rows if (row["t_s"] or 0) >= 3]
    # Of all seconds together: a busy machine may count some of one in another.
    assert sum(storm) <= CAP * (len(storm) + 0.1)
    assert run.info.verdict["name"] == "INVALID"
    assert "fleet.max_attempts_per_s" in output


def test_somebody_elses_gateway_is_stormed_by_clients_that_cut_their_own_connections(tmp_path: Path) -> None:
    secret = 'target.auth={token="open-sesame"}'
    with lone_pod() as target:
        sets = (*SMALL_STORM, *STEADFAST, secret)
        _, (run,) = carried_out(tmp_path, "run", "--retries", "0", "--target", target, sets=sets)
    assert total(run, "disconnects") == 60
    assert last_known(run, "connected") == 60
    assert run.info.nginx_limited is None
    assert not (run.directory / "nginx").exists()
    texts = [path.read_text(encoding="utf-8") for path in run.directory.rglob("*.*") if path.is_file()]
    assert not any("open-sesame" in text for text in texts)


def test_old_clients_are_refused_for_ever_beside_a_group_that_comes_back(tmp_path: Path) -> None:
    groups = (
        "fleet.group=[{name='web'}, {name='old', share=0.25, protocol=3,"
        " policy={name='rounds', delay_s=0.5, pause_s=1}}]"
    )
    output, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=(*SMALL_STORM, *STEADFAST, groups))
    assert "Clients by group" in (tmp_path / "latest" / "report.md").read_text(encoding="utf-8")
    assert "old" in output
    assert drop_of(run)["dropped"] == 45
    assert last_known(run, "clients") == last_known(run, "connected") == 45
    web, old = run.info.summary["groups"]
    assert (web["clients"], old["clients"]) == (45, 15)
    assert web["availability"] > 0
    assert old["availability"] is None
    assert web["effective_p99"]["ms"] > 0
    assert web["staleness_p99_ms"] > 0
    assert old["effective_p99"] is None
    assert old["failed"] == pytest.approx(old["attempts"], abs=15)
    # A pod has paid for the upgrade before it answers.
    assert total(run, "rejected") > 15
    assert sum(row["attempts"] or 0 for row in run.groups) == total(run, "attempts")
