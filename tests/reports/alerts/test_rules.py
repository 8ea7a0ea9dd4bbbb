"""Alert rules on recorded seconds: when they would have fired, and that Prometheus says the same."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from reports.alerts.detections import Detection, detections, firing
from reports.alerts.rules import ALERT_RULES, AlertRule
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row
from tests.support.histories import TRIGGER_S, history, second, seconds
from tools import alerts_file

ATTEMPTS, LOOP, STALE = ALERT_RULES


def stormy(change: Callable[[int], Mapping[str, float | None]], to_s: int = 40) -> list[Row]:
    """Ten good seconds before those of a history, and from the trigger on `change` of the second after it."""
    calm = seconds(-10, TRIGGER_S)
    return [*calm, *(second(t, **change(t - TRIGGER_S)) for t in range(TRIGGER_S, to_s))]


def naive(after_s: int) -> dict[str, float]:
    """All clients are dropped, and retry five times a second; the newest tick gets older all the time."""
    return {
        "attempts": 500.0,
        "disconnects": 100.0 if after_s == 0 else 0.0,
        "pod_loop_max": 1.0,
        "staleness_p99_ms": 250.0 + 1000.0 * (after_s + 1),
    }


def gentle(after_s: int) -> dict[str, float]:
    """All clients are dropped, and come back with one attempt each within five seconds."""
    return {
        "attempts": 20.0 if after_s < 5 else 0.0,
        "disconnects": 100.0 if after_s == 0 else 0.0,
        "pod_loop_max": 0.8,
        "staleness_p99_ms": 2000.0 if after_s < 2 else 250.0,
    }


def detected(rows: list[Row], **info: Any) -> dict[str, Detection]:
    return {found.rule: found for found in detections(history(rows, **info))}


def test_a_storm_is_detected_as_soon_as_the_condition_has_held_long_enough() -> None:
    found = detected(stormy(naive))
    # True at the end of the first second, then 4 s; Prometheus may scrape and evaluate up to 4 s later.
    assert found[LOOP] == Detection(rule=LOOP, earliest_s=5, latest_s=9)
    assert found[STALE] == Detection(rule=STALE, earliest_s=5, latest_s=9)
    assert found[ATTEMPTS] == Detection(rule=ATTEMPTS, earliest_s=5, latest_s=9)


def test_clients_that_come_back_gently_are_never_detected() -> None:
    for found in detected(stormy(gentle)).values():
        assert found == Detection(rule=found.rule)


def test_a_storm_that_ends_between_two_looks_may_be_missed() -> None:
    found = detected(stormy(lambda after_s: {"pod_loop_max": 1.0 if after_s < 5 else 0.1}))
    assert found[LOOP] == Detection(rule=LOOP, earliest_s=5, latest_s=None)


def test_an_alert_that_was_firing_before_the_trigger_detects_nothing() -> None:
    rows = [{**row, "pod_loop_max": 1.0} for row in stormy(naive)]
    assert detected(rows)[LOOP] == Detection(rule=LOOP, before=True)


def test_an_alert_that_has_ended_before_the_trigger_detects_the_storm() -> None:
    rows = stormy(naive)
    for row in rows[:8]:
        row["pod_loop_max"] = 1.0
    assert detected(rows)[LOOP] == Detection(rule=LOOP, earliest_s=5, latest_s=9)


def test_nothing_is_said_of_what_was_not_recorded() -> None:
    rows: list[Row] = [{**row, "pod_loop_max": None} for row in stormy(naive)]
    assert detected(rows)[LOOP] == Detection(rule=LOOP, known=False)


def test_what_fires_only_after_the_rescue_does_not_count() -> None:
    rows = stormy(lambda after_s: naive(after_s) if after_s > 20 else {})
    assert detected(rows)[LOOP].earliest_s == 26
    assert detected(rows, rescued_at_s=TRIGGER_S + 22)[LOOP] == Detection(rule=LOOP)


def test_without_a_trigger_there_is_nothing_to_detect() -> None:
    assert detections(history(seconds(0, 20), trigger_s=None)) == ()


def test_clients_that_are_being_started_are_no_storm() -> None:
    rows = [second(t, clients=float(10 * (t + 1)), attempts=10.0) for t in range(12)]
    assert not ALERT_RULES[ATTEMPTS].holds(ALERT_RULES[ATTEMPTS], rows).any()


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11])
@pytest.mark.parametrize("rule", ALERT_RULES.values(), ids=ALERT_RULES)
def test_a_run_may_be_shorter_than_any_window(rule: AlertRule, length: int) -> None:
    assert len(rule.holds(rule, seconds(0, length))) == length


def shaky(after_s: int) -> dict[str, float]:
    """Attempts come in waves, the loop is saturated in some seconds, and ticks are late now and then."""
    return {
        "attempts": 60.0 if after_s % 7 < 4 else 5.0,
        "disconnects": 100.0 if after_s in {0, 14} else 0.0,
        "pod_loop_max": 1.0 if after_s % 9 < 7 else 0.5,
        "staleness_p99_ms": 1500.0 if after_s % 6 or after_s > 15 else 900.0,
    }


def every_second(run: Run) -> dict[str, list[float]]:
    """Of each rule, the seconds since the first row at which it fires, if looked at every second."""
    found = {}
    for rule in ALERT_RULES.values():
        looks = firing(rule.holds(rule, run.rows), rule.for_s, scrape_interval_s=1, evaluation_interval_s=1)
        found[rule.name] = [now_s for now_s, fires in looks if fires]
    return found


def as_scraped(run: Run) -> list[dict[str, str]]:
    """The run's seconds as promtool reads series: one value a second, the first one before the first row."""

    def values(cells: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> str:
        return " ".join(f"{cell:g}" for cell in cells)

    def gauge(name: str, unit: float = 1.0) -> str:
        return f"_ {values(series.column(run.rows, name) / unit)}"

    def counter(name: str) -> str:
        return f"0 {values(np.cumsum(series.column(run.rows, name)))}"

    return [
        {"series": "generator_attempts_total", "values": counter("attempts")},
        {"series": 'generator_disconnects_total{reason="dropped"}', "values": counter("disconnects")},
        {"series": "generator_clients", "values": gauge("clients")},
        {"series": "gateway_loop_utilisation_ratio", "values": gauge("pod_loop_max")},
        {"series": 'generator_staleness_seconds{quantile="0.99"}', "values": gauge("staleness_p99_ms", 1000)},
    ]


@pytest.mark.needs_prometheus
@pytest.mark.parametrize("change", [naive, gentle, shaky])
def test_prometheus_fires_in_the_very_seconds_that_the_report_says(
    tmp_path: Path, change: Callable[[int], dict[str, float]]
) -> None:
    run = history(stormy(change))
    fires = every_second(run)
    assert change is not naive or all(fires.values())
    (tmp_path / "alerts.yml").write_text(alerts_file.text())
    asked = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
            "eval_time": f"{now_s}s",
            "exp_samples": [{"labels": "{}", "value": 1}] if now_s in fires[name] else [],
        }
        for name in ALERT_RULES
        # The window has to be full: before that, Prometheus extrapolates.
        for now_s in range(12, len(run.rows) + 1)
    ]
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1s",
        "tests": [{"interval": "1s", "input_series": as_scraped(run), "promql_expr_test": asked}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
