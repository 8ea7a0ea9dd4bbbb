"""What Prometheus reads of a generator."""

from reports.rundir.columns import OUTCOMES
from scenarios.generator.metrics import Exposition
from scenarios.wire.interval import DISCONNECTS, Samples, WorkerChange
from tests.support.intervals import MS, interval

STORMY = interval(
    3,
    attempts=7,
    outcomes={"joined": 4, "limited": 2},
    disconnects={"stale": 5},
    ticks=100,
    missed=8,
    useful=None,
    fanout=Samples.of([20 * MS] * 98 + [500 * MS] * 2),
    cpu_ns=250 * MS,
    missing=3,
    worker_changes=(WorkerChange("b", "lost", 3), WorkerChange("c", "joined")),
)


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_before_any_test_there_is_who_is_there_and_every_count_is_0() -> None:
    assert samples(Exposition().text(workers=2, storm=False)) == {
        "generator_workers": 2,
        "generator_workers_lost_total": 0,
        "generator_running": 0,
        "generator_storm": 0,
        "generator_attempts_total": 0,
        "generator_ticks_total": 0,
        "generator_missed_ticks_total": 0,
        **{f'generator_outcomes_total{{outcome="{name}"}}': 0 for name in OUTCOMES},
        **{f'generator_disconnects_total{{reason="{name}"}}': 0 for name in DISCONNECTS},
    }


def test_counts_add_up_and_gauges_are_those_of_the_last_second() -> None:
    exposition = Exposition()
    exposition.take(STORMY)
    exposition.take(interval(4, attempts=1, outcomes={"joined": 1}, ticks=50, cpu_ns=100 * MS))
    exposition.take(STORMY)
    seen = samples(exposition.text(workers=1, storm=True))
    assert seen["generator_running"] == seen["generator_storm"] == 1
    assert seen["generator_attempts_total"] == 15
    assert seen['generator_outcomes_total{outcome="joined"}'] == 9
    assert seen['generator_outcomes_total{outcome="limited"}'] == 4
    assert seen['generator_disconnects_total{reason="stale"}'] == 10
    assert seen["generator_ticks_total"] == 250
    assert seen["generator_missed_ticks_total"] == 16
    assert seen["generator_workers_lost_total"] == 2
    assert seen["generator_clients"] == seen["generator_connected_clients"] == 10
    assert seen["generator_missing_clients"] == 3
    assert "generator_useful_clients" not in seen
    assert seen["generator_cpu_ratio"] == 0.25
    assert seen['generator_fanout_seconds{quantile="0.5"}'] == 0.02
    assert seen['generator_fanout_seconds{quantile="0.99"}'] == 0.499968
    assert seen['generator_loop_lag_seconds{quantile="0.99"}'] == 0.001


def test_after_a_test_its_counts_stay_and_its_gauges_go() -> None:
    exposition = Exposition()
    exposition.take(STORMY)
    exposition.end()
    seen = samples(exposition.text(workers=1, storm=False))
    assert seen["generator_running"] == 0
    assert seen["generator_attempts_total"] == 7
    assert "generator_connected_clients" not in seen


def test_every_metric_has_its_help_and_type_once() -> None:
    exposition = Exposition()
    exposition.take(STORMY)
    lines = exposition.text(workers=1, storm=False).splitlines()
    for kind in ("HELP", "TYPE"):
        names = [line.split()[2] for line in lines if line.startswith(f"# {kind} ")]
        assert len(names) == len(set(names)) > 15
    known = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    assert {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")} <= known
