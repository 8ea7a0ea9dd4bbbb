"""Every event on real nginx, real pods and real clients, and an orchestrator that acts on its probes."""

from math import ceil
from pathlib import Path
from typing import Any

import pytest

from reports.rundir import latency
from reports.rundir.reader import Run
from scenarios.events.registry import EVENTS
from tests.e2e.command_line import SMALL_STORM, carried_out, last_known

pytestmark = pytest.mark.e2e

CLIENTS = 60
BURST_S = 2

# A pod may take seconds to start; what comes next leaves it as many.
TIMELINE = """[
    {at_s=2, do="kill_pod", pod=1, restart_after_s=0.5},
    {at_s=9, do="pause_pod", pod=0, for_s=2},
    {at_s=12, do="scale", pods=3},
    {at_s=18, do="nginx_reload"},
    {at_s=19, do="nginx_restart", down_s=0.3},
    {at_s=22, do="set_limit", limit="per-ip+handshake-slots"},
    {at_s=23, do="push_policy", policy="incident", reach_s=1},
    {at_s=25, do="drop_share", share=0.5},
    {at_s=28, do="feed_burst", factor=4, for_s=2},
    {at_s=31, do="feed_stall", for_s=4},
    {at_s=36, do="rolling_restart", gap_s=0.5},
    {at_s=51, do="drop_all"},
    {at_s=55, do="scale", pods=2},
    {at_s=59, do="drain", window_s=2, pods=[0], leave_upstream=true},
    {at_s=62, do="deploy", max_surge=1, max_unavailable=0, drain_s=1},
]"""


def played(tmp_path: Path, *sets: str) -> Run:
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=(*SMALL_STORM, *sets), timeout_s=240)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    event = "event=" + " ".join(TIMELINE.split())
    # So that nobody leaves a pod that is paused, or a feed that is stalled.
    patient = "fleet.stale_after_s=6"
    return played(folder, event, patient, "phases.duration_s=86", "phases.during_s=4")


def ended(run: Run, name: str) -> dict[str, Any]:
    """What an event said when it was over; the first of that name."""
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "end")


def begun(run: Run, name: str) -> dict[str, Any]:
    """What an event said when it began; the first of that name."""
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "begin")


def total(run: Run, column: str, from_s: float, to_s: float) -> float:
    return sum(row[column] or 0 for row in run.between(from_s, to_s))


def test_every_event_begins_and_ends(run: Run) -> None:
    for phase in ("begin", "end"):
        names = {line["event"] for line in run.events if line.get("phase") == phase}
        # The stack of this test has no TLS, and commands have tests of their own.
        assert names == set(EVENTS) - {"probes", "certificate_rotate", "exec"}


def test_a_killed_pod_loses_its_clients_and_comes_back(run: Run) -> None:
    assert ended(run, "kill_pod")["clients"] == pytest.approx(CLIENTS / 2, abs=5)
    assert total(run, "disconnects", 2, 9) >= CLIENTS / 2 - 5
    assert max(row["connected"] or 0 for row in run.between(4, 9)) == CLIENTS
    assert any(row["pod"] == 1 and (row["t_s"] or 0) > 4 for row in run.pods)


def test_a_paused_pod_sends_nothing_and_its_clients_notice(run: Run) -> None:
    rates = [row["ticks"] or 0 for row in run.between(9, 14)]
    assert min(rates) < 0.8 * CLIENTS * 5


def test_a_pod_that_is_added_gets_clients_and_one_that_is_removed_loses_them(run: Run) -> None:
    assert ended(run, "scale")["added"] == 1
    clients = {int(row["t_s"] or 0): row["clients"] or 0 for row in run.pods if row["pod"] == 2}
    # It gets some when nginx restarts, or when a share is dropped; until pods restart.
    assert max(count for t_s, count in clients.items() if 19 <= t_s < 36) > 0
    (left_s,) = (line["t_s"] for line in run.events if line["event"] == "scale" and line.get("removed"))
    assert max(clients) <= left_s, "nobody hears of it after it has left"
    assert total(run, "disconnects", 55, 59) > 0
    # A client that failed while pods restarted may wait 30 s by its policy, and still be out.
    assert last_known(run, "connected") > CLIENTS / 2


def test_a_restart_of_nginx_drops_everybody_and_a_reload_nobody(run: Run) -> None:
    assert total(run, "disconnects", 18, 19) == 0
    assert total(run, "disconnects", 19, 25) >= CLIENTS


def test_a_share_is_dropped_exactly(run: Run) -> None:
    assert ended(run, "drop_share")["dropped"] == pytest.approx(CLIENTS / 2, abs=2)


def assert_only_who_was_away_missed_any(run: Run, from_s: float, to_s: float) -> None:
    """A client that comes back late after the drop finds out with its next tick what it has missed."""
    dropped_s = 25
    due = 5 * (to_s - dropped_s) + 3 * 5 * 2
    assert total(run, "missed", from_s, to_s) <= due * total(run, "joined", from_s - 2, to_s)


def test_a_burst_brings_more_ticks_and_a_stall_none(run: Run) -> None:
    began_s, ended_s = begun(run, "feed_burst")["t_s"], ended(run, "feed_burst")["t_s"]
    # The schedule is made before the burst, half a second ahead.
    from_s, to_s = int(began_s), ceil(ended_s + 0.5)
    # By when they were due: they may come later. Clients that are away have them due as well.
    due = sum(latency.between(run.histograms[tag], from_s, to_s).sum() for tag in ("effective", "censored"))
    calm = CLIENTS * 5
    assert due == pytest.approx(calm * (to_s - from_s + 3 * BURST_S), rel=0.1)
    assert total(run, "ticks", 28, 33) > 2 * 3 * calm, "a calm feed has three seconds of ticks by then"
    assert min(row["ticks"] or 0 for row in run.between(31, 36)) == 0
    assert_only_who_was_away_missed_any(run, 27, 36)  # what came due in a stall is sent after it


def test_nobody_is_taken_for_having_missed_ticks_that_were_never_due(run: Run) -> None:
    received, sent = total(run, "ticks", 0, 86), total(run, "ticks_sent", 0, 86)
    assert 0 < received <= sent + 2 * CLIENTS * 20
    assert_only_who_was_away_missed_any(run, 28, 36)


def test_a_limit_in_mid_run_is_in_nginx_after_the_change_and_not_before(run: Run) -> None:
    before = (run.directory / "nginx" / "gateway.conf.before").read_text(encoding="utf-8")
    after = (run.directory / "nginx" / "gateway.conf").read_text(encoding="utf-8")
    assert "limit_req_zone" not in before
    assert "limit_req_zone" in after


def test_the_trigger_is_over_when_the_last_fault_is(run: Run) -> None:
    assert run.info.trigger_s == 2
    # Two pods, one at a time: a new one starts, and then the old one drains for a second.
    end_s = ended(run, "deploy")["t_s"]
    assert end_s > 64
    assert run.info.trigger_end_s == pytest.approx(end_s, abs=1)


PROBES = '{at_s=0, do="probes", conflated=%s, period_s=0.5, timeout_s=1.5, failures=2, grace_s=1}'


def paused_under_probes(tmp_path: Path, conflated: str) -> list[str]:
    """What an orchestrator did to a pod that stood still for much longer than others do on a busy host."""
    pause = '{at_s=1, do="pause_pod", pod=1, for_s=8}'
    event = f"event=[{PROBES % conflated}, {pause}]"
    sets = ("fleet.clients=10", "phases.duration_s=14", "phases.during_s=4")
    run = played(tmp_path, event, *sets)
    return [
        line["event"]
        for line in run.events
        if line["event"].startswith("pod_") and line["pod"] == 1 and line["t_s"] >= 1
    ]


def test_probes_that_are_told_apart_take_a_pod_out_and_back_in(tmp_path: Path) -> None:
    deeds = paused_under_probes(tmp_path, "false")
    assert deeds[:2] == ["pod_ejected", "pod_readmitted"]
    assert "pod_killed" not in deeds


def test_conflated_probes_kill_a_pod_that_would_have_come_back(tmp_path: Path) -> None:
    deeds = paused_under_probes(tmp_path, "true")
    assert deeds[:4] == ["pod_ejected", "pod_killed", "pod_restarted", "pod_readmitted"]


def test_two_fixes_in_one_second_do_not_end_the_run(tmp_path: Path) -> None:
    both = '{at_s=2, do="scale", pods=4}, {at_s=2, do="set_limit", limit="lag-shed"}'
    later = '{at_s=2.8, do="feed_stall", for_s=0.5}, {at_s=3, do="drop_share", share=0.5}'
    event = f'event=[{{at_s=1, do="drop_all"}}, {both}, {later}]'
    run = played(tmp_path, event, "fleet.stale_after_s=0", "phases.duration_s=14", "phases.during_s=4")
    assert ended(run, "scale")["added"] == 2
    assert {row["pod"] for row in run.pods if (row["t_s"] or 0) > 2} == {0, 1, 2, 3}
    assert last_known(run, "connected") == CLIENTS


def test_two_kills_of_one_pod_may_overlap(tmp_path: Path) -> None:
    first = '{at_s=3, do="kill_pod", pod=0, restart_after_s=5}'
    second = '{at_s=5, do="kill_pod", pod=0, restart_after_s=1}'
    frozen = '{at_s=5.5, do="pause_pod", pod=0, for_s=1}'
    event = f"event=[{first}, {second}, {frozen}]"
    run = played(tmp_path, event, "fleet.stale_after_s=0", "phases.duration_s=14", "phases.during_s=4")
    kills = [line["clients"] for line in run.events if line["event"] == "kill_pod" and line["phase"] == "end"]
    assert min(kills) == 0, "it was dead already"
    assert max(kills) > 0
    assert last_known(run, "connected") == CLIENTS
