"""A recorded run in a receiver of OpenTelemetry that somebody else has written, and read back from it."""

from collections.abc import Iterable
from functools import reduce
from operator import add
from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.otlp.clock import at_ns, zero_ns
from reports.otlp.exponential import exponential
from reports.rundir.reader import Run
from reports.rundir.series import Row
from scenarios.cli.main import main
from scenarios.host.machine import free_ports
from tests.e2e.command_line import get, last_known, running, wait_for
from tests.support.prometheus import Prometheus
from tests.support.rehearsals import rehearsed, saved
from tests.support.victoriametrics import NAMING, program

pytestmark = [pytest.mark.e2e, pytest.mark.needs_victoriametrics]


def test_victoriametrics_has_what_a_run_recorded(tmp_path: Path) -> None:
    directory = saved(rehearsed(30), tmp_path / "run")
    run = Run.load(directory)
    end_s = at_ns(zero_ns(run), (run.rows[-1]["t_s"] or 0) + 1) / 1e9
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    # It speaks Prometheus' language.
    asked = Prometheus(url)

    def values(expression: str) -> list[float]:
        found = asked.api("query", query=expression, time=end_s)["result"]
        return [float(series["value"][1]) for series in found]

    command = [
        *(str(program()), "-httpListenAddr", f"127.0.0.1:{port}", NAMING, "-loggerLevel", "ERROR"),
        # The run is of a fixed day.
        *("-storageDataPath", str(tmp_path / "data"), "-retentionPeriod", "100y"),
    ]
    with running(command):
        wait_for("VictoriaMetrics", lambda: get(f"{url}/health") == "OK")
        sent = CliRunner().invoke(
            main, ["export", "--otlp", f"{url}/opentelemetry", "--metrics-only", str(directory)]
        )
        assert sent.exit_code == 0, sent.output
        get(f"{url}/internal/force_flush")
        assert values("reconnect_storm_connection_attempts_total") == [total(run.rows, "attempts")]
        joined = 'reconnect_storm_client_count{reconnect_storm_client_state="joined"}'
        assert values(joined) == [last_known(run, "connected")]
        assert sum(values("reconnect_storm_gateway_tick_sent_total")) == total(run.pods, "ticks_sent")
        fanout = exponential(reduce(add, run.histograms["fanout"].values()))
        durations = "reconnect_storm_tick_fanout_duration_seconds"
        assert values(f"{durations}_count") == [fanout.count]
        assert values(f"{durations}_sum") == [pytest.approx(fanout.sum_s)]
        assert sum(values(f"{durations}_bucket")) == fanout.count
        (highest_s,) = values(f"histogram_quantile(1, sum by (vmrange) ({durations}_bucket))")
        assert highest_s == pytest.approx(fanout.max_s, rel=0.05)


def total(rows: Iterable[Row], column: str) -> float:
    return sum(row[column] or 0 for row in rows)
