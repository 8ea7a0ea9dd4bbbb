"""Parts on hosts of their own, with delay, loss, other clocks, partitions, and workers that come late."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.e2e.apart import DELAY_MS, GATEWAY_AHEAD_S, LOSS, PODS, PROXY, SECOND_AHEAD_S, Site, site
from tests.e2e.command_line import (
    GOOD_OR_INVALID,
    PATIENCE_S,
    assert_whole,
    last_known,
    nothing_left_behind,
    wait_for,
)

pytestmark = [pytest.mark.e2e, pytest.mark.needs_namespaces]

CLIENTS, RATE_HZ = 60, 5
BEGINS_S = 3 * PATIENCE_S
"""For a storm to begin: a dozen processes have to be there first, over slow links."""
WORKERS = 3
ONE_WAY_MS = 4 * DELAY_MS
"""From a pod through nginx to a client, at least."""
SETS = (
    *('fleet.policy="full-jitter"', "gateway.handshake_cpu_ms=1"),
    # A packet that is lost makes nobody try again.
    *("fleet.connect_timeout_s=20", "fleet.stale_after_s=0"),
)
"""Of all storms here: one that ends soon, on a busy machine too."""


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_behind(_mark: None) -> Iterator[None]:
    """As for every test, but for all of these together: they share one site."""
    with nothing_left_behind():
        yield


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), workers={"generators": 2, "second": 1}) as made:
        yield made


@pytest.fixture(autouse=True)
def _everything_is_ready_again(apart: Site) -> Iterator[None]:
    yield
    apart.heal()
    wait_for("a site that is ready again", lambda: apart.ready(WORKERS), BEGINS_S)
    assert "Traceback" not in apart.log.read_text()


def played(apart: Site, runs: Path, *sets: str, with_master: bool = True) -> tuple[Run, str]:
    """A run that nobody disturbs, and what its command printed."""
    with apart.storm((*SETS, *sets), runs=runs, with_master=with_master) as storm:
        output, _ = storm.communicate(timeout=BEGINS_S + 60)
    assert storm.returncode in GOOD_OR_INVALID, output
    run = the_run(runs)
    assert_whole([run])
    return run, output


def the_run(runs: Path) -> Run:
    (path,) = find_runs([runs / "latest"])
    return Run.load(path)


def counts(run: Run) -> dict[str, float]:
    """What does not depend on chance."""
    total = {name: sum(filter(None, run.column(name))) for name in ("attempts", "joined", "disconnects")}
    ticks = {
        f"ticks due in second {second}": sum(
            found[second].total
            for found in (run.histograms["effective"], run.histograms["censored"])
            if second in found
        )
        for second in range(run.info.phases[-1].to_s - 1)
    }
    return {**total, **ticks, "missing": max(filter(None, run.column("missing")), default=0.0)}


def test_the_seconds_of_many_workers_come_to_those_of_one_process(apart: Site, tmp_path: Path) -> None:
    merged, _ = played(apart, tmp_path / "merged")
    alone, _ = played(apart, tmp_path / "alone", with_master=False)
    assert counts(merged) == counts(alone)
    assert counts(merged)["joined"] == 2 * CLIENTS
    assert counts(merged)["disconnects"] == CLIENTS
    assert counts(merged)["ticks due in second 0"] == CLIENTS * RATE_HZ
    for run in (merged, alone):
        error_ms = max(clock.error_ns for clock in run.info.clocks) / 1e6
        medians_ms = [found_ms for row in run.between(0, 3) if (found_ms := row["fanout_p50_ms"]) is not None]
        assert medians_ms
        # However long it takes: no tick arrives before the links let it, and no clock is taken for another.
        assert all(ONE_WAY_MS - error_ms <= found_ms < SECOND_AHEAD_S * 100 for found_ms in medians_ms)
    assert apart.hosts.link("proxy", up_ms=DELAY_MS, down_ms=DELAY_MS, loss=LOSS).lost > 0

    clocks = {clock.process.partition("_")[0]: clock for clock in merged.info.clocks}
    assert set(clocks) == {"generators", "second", *(f"gateway host {pod}" for pod in PODS)}
    ahead_s = {"generators": 0, "second": -SECOND_AHEAD_S}
    for name, clock in clocks.items():
        true_ns = ahead_s.get(name, GATEWAY_AHEAD_S) * 10**9
        assert abs(clock.offset_ns - true_ns) <= clock.error_ns + 2_000_000, name


def test_clocks_that_are_set_or_not_known_well_enough_make_the_run_invalid(
    apart: Site, tmp_path: Path
) -> None:
    # Half a second for both ways: a clock may be off by half of that.
    apart.hosts.link("second", up_ms=400, down_ms=100)
    with apart.storm((*SETS, "event=[]", "phases.duration_s=14"), runs=tmp_path) as storm:
        wait_for("a storm", lambda: seconds(tmp_path) > 2, BEGINS_S)
        apart.set_wall_clock(3_600)
        output, _ = storm.communicate(timeout=BEGINS_S + 60)
    # The kernel, which stamps what it receives, does not know of this clock.
    apart.set_wall_clock(0)
    assert storm.returncode == 3, output
    run = the_run(tmp_path)
    assert_whole([run])
    (second,) = (clock for clock in run.info.clocks if clock.process.startswith("second_"))
    assert 250e6 <= second.error_ns < 5e9
    assert abs(second.offset_ns + SECOND_AHEAD_S * 10**9) <= second.error_ns + 20_000_000
    problems = run.info.validity["problems"]
    assert any(f"clock uncertainty of {second.process}" in said for said in problems)
    assert any(f"a wall clock was set by +3600.00 s ({second.process})" in said for said in problems)


def test_a_worker_that_is_cut_off_is_missing_and_one_that_joins_waits(apart: Site, tmp_path: Path) -> None:
    with apart.storm((*SETS, "phases.duration_s=40"), runs=tmp_path / "cut") as storm:
        wait_for("a storm", lambda: seconds(tmp_path / "cut") > 4, BEGINS_S)
        lost_before = apart.metric("workers_lost_total")
        apart.cut("second")
        late = apart.worker("generators")
        given_up = partial(apart.metric, "workers_lost_total")
        wait_for("a worker that is given up", lambda: given_up() > lost_before, BEGINS_S)
        apart.heal()
        output, _ = storm.communicate(timeout=BEGINS_S + 60)
    assert storm.returncode == 3, output
    assert "Traceback" not in output
    run = the_run(tmp_path / "cut")
    assert_whole([run])
    of_each = CLIENTS // WORKERS
    (lost,) = (line for line in run.events if line["event"] == "worker_lost")
    assert lost["worker"].startswith("second_")
    assert lost["clients"] == of_each
    joined = {line["worker"] for line in run.events if line["event"] == "worker_joined"}
    assert {name.partition("_")[0] for name in joined} == {"generators", "second"}
    # It is back, and nobody counts its clients: it was told to stop them.
    assert lost["worker"] in joined
    assert f"worker {lost['worker']} is back after it was given up" in apart.log.read_text()
    assert run.rows[-1]["missing"] == of_each
    assert last_known(run, "connected") == CLIENTS - of_each
    (problem,) = (said for said in run.info.validity["problems"] if "load generator process" in said)
    assert f"{of_each} clients" in problem

    # Both take part in the next run.
    wait_for("all workers", lambda: apart.ready(WORKERS + 1), BEGINS_S)
    again, _ = played(apart, tmp_path / "again")
    assert counts(again)["missing"] == 0
    assert last_known(again, "connected") == CLIENTS
    # A pod that stood still has no row of that second.
    of_pods = {row["pod"]: row["clients"] or 0 for row in again.pods if -1 <= (row["t_s"] or 0) <= 2}
    assert sum(of_pods.values()) == CLIENTS, "nobody else's clients are there"
    late.terminate()
    late.wait(PATIENCE_S)


def test_a_proxy_that_is_cut_off_ends_the_run_by_name(apart: Site, tmp_path: Path) -> None:
    output = cut_off(apart, "proxy", tmp_path)
    assert f"nginx is unreachable: lost the host agent at {PROXY}:8100" in output


def test_a_runner_that_is_cut_off_ends_its_run_and_everybody_is_free_again(
    apart: Site, tmp_path: Path
) -> None:
    output = cut_off(apart, "runner", tmp_path)
    assert "lost" in output or "broke" in output


def cut_off(apart: Site, host: str, runs: Path) -> str:
    """What is printed where that host is cut off in the middle of a long run."""
    with apart.storm((*SETS, "phases.duration_s=300"), runs=runs) as storm:
        wait_for("a storm", lambda: seconds(runs) > 4, BEGINS_S)
        apart.cut(host)
        output, _ = storm.communicate(timeout=BEGINS_S)
    assert storm.returncode == 5, output
    assert "Traceback" not in output
    assert the_run(runs).info.status == "failed"
    return output


def seconds(runs: Path) -> int:
    """Of the run under way, as far as they have been written."""
    return max((len(path.read_text().splitlines()) - 1 for path in runs.rglob("series.csv")), default=0)
