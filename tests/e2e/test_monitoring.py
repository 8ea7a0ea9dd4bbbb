"""A storm as Prometheus sees it: pods, nginx and generator are scraped, and every panel shows it."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reports.alerts.detections import detections
from reports.alerts.rules import ALERT_RULES
from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.e2e.agents import BEGINS_S, EDGE, PODS, Agents, agents
from tests.e2e.command_line import GOOD_OR_INVALID, wait_for
from tests.e2e.prometheus import prometheus
from tests.repo.test_monitoring import FOLDER, PANELS
from tests.support.prometheus import Prometheus, programs

pytestmark = [pytest.mark.e2e, pytest.mark.needs_loopback_range, pytest.mark.needs_prometheus]

STORM = (
    # A few are disconnected, are back at once, and less than 5 s later are disconnected again with all
    # others. Then all retry for ever: a pod needs longer for them than they wait, for half of them as well.
    # In the end it turns away who comes a second time.
    "fleet.policy=naive",
    "fleet.connect_timeout_s=0.5",
    "fleet.stale_after_s=3",
    # The same time on a busy machine.
    'gateway.cpu="occupy"',
    "gateway.handshake_cpu_ms=60",
    'event=[{at_s=2, do="drop_share", share=0.1}, {at_s=6, do="drop_all"}, '
    '{at_s=19, do="set_limit", limit={name="pod-window", connections=1}}]',
    # A worker that is killed is given up after five seconds, and on a busy machine everything is seen later.
    "phases.duration_s=31",
)
KILL_AT_S = 9

MAY_BE_0 = "sum(rate(gateway_join_races_total[10s]))"
"""A race inside python-socketio that nobody can bring about; some storms have one."""


def configuration(made: Agents) -> dict[str, Any]:
    """That of the containers, with other addresses."""
    shared = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        "gateway": [f"{address}:{made.control_port}" for address in PODS[:2]],
        "generator": [f"127.0.0.1:{made.web_port}"],
        "proxy": [f"{EDGE}:{made.port}"],
    }
    assert {job["job_name"] for job in shared["scrape_configs"]} == {*targets}
    return {
        **shared,
        "rule_files": [str(FOLDER / name) for name in shared["rule_files"]],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": addresses}]}
            for name, addresses in targets.items()
        ],
    }


def test_every_panel_shows_a_storm_and_alerts_fire_as_its_report_says(tmp_path: Path) -> None:
    with agents(workers=2) as made, contextlib.ExitStack() as ends:
        asked = [
            ends.enter_context(watching(made, tmp_path / str(number), program))
            for number, program in enumerate(programs())
        ]
        from_s = time.time()
        storm(made, tmp_path / "runs")
        to_s = time.time()
        shown = [
            {
                (panel["title"], target["expr"]): one.highest(target["expr"], from_s, to_s)
                for panel in PANELS
                for target in panel["targets"]
            }
            for one in asked
        ]
        fired = [
            {
                name: one.highest(f'ALERTS{{alertname="{name}",alertstate="firing"}}', from_s, to_s)
                for name in ALERT_RULES
            }
            for one in asked
        ]
    for values in shown:
        assert not [where for where, value in values.items() if math.isnan(value)]
        assert {expression for (_, expression), value in values.items() if value == 0} <= {MAY_BE_0}
    (path,) = find_runs([tmp_path / "runs" / "latest"])
    for one in detections(Run.load(path)):
        if one.latest_s is not None:
            assert [alerts[one.rule] for alerts in fired] == [1] * len(asked), one


@contextlib.contextmanager
def watching(made: Agents, folder: Path, program: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes pods, nginx and generator."""
    folder.mkdir()
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration(made)), encoding="utf-8")
    with prometheus(program, file) as one:
        wait_for("four targets", lambda: one.healthy_targets() == 4)
        yield one


def storm(made: Agents, runs: Path) -> None:
    """A run in which a worker is killed."""
    with made.storm("run", "--retries", "0", sets=STORM, runs=runs) as process:
        wait_for("the storm", lambda: _seconds(runs) >= KILL_AT_S, BEGINS_S)
        made.workers[0].kill()
        output, _ = process.communicate(timeout=180)
    assert process.returncode in GOOD_OR_INVALID, output


def _seconds(runs: Path) -> int:
    """The last one that has been written of the run under way; its line may not be whole yet."""
    lines = [
        line for path in runs.rglob("series.csv") for line in path.read_text(encoding="utf-8").splitlines()
    ]
    last = lines[-1].partition(",")[0] if len(lines) > 1 else ""
    return int(float(last)) if last.lstrip("-").replace(".", "", 1).isdigit() else -1
