"""A storm through an nginx configuration of the user's own: its limit refuses, and the report knows it."""

from pathlib import Path

import pytest

from reports.analysis.judgement import judgement_of
from reports.rundir.reader import Run
from tests.e2e.command_line import SMALL_STORM, carried_out

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[2] / "examples" / "nginx"
CLIENTS = 60
CROWD = (
    *SMALL_STORM,
    *(f"fleet.clients_per_ip={CLIENTS}", "edge.tls={}"),
    # So slowly that the limit, which holds during the ramp as well, refuses nobody then.
    "fleet.ramp_per_s=6",
    'fleet.policy={name="spread", window_s=0.5, base_s=0.5, cap_s=1}',
    # Nobody gives up, or leaves, because a process stood still for a while.
    *("fleet.connect_timeout_s=20", "fleet.stale_after_s=0"),
)
"""All behind one IP, where the limit of the file bites."""


def refused(run: Run) -> tuple[int, int | None]:
    """By a limit, as clients and as nginx counted."""
    storm = judgement_of(run).summary.storm
    assert storm is not None
    assert storm.refusals is not None
    return storm.refusals.clients, storm.refusals.nginx


def test_the_example_of_production_is_stormed_and_its_refusals_are_counted(tmp_path: Path) -> None:
    file = str(EXAMPLE / "nginx.conf")
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", "--nginx-conf", file, sets=CROWD)
    clients, nginx = refused(run)
    assert nginx is not None
    assert nginx > 0
    assert nginx == pytest.approx(clients, rel=0.05, abs=3)
    kept = {path.name for path in (run.directory / "nginx").iterdir() if path.is_file()}
    assert kept >= {"configuration.json", "access.log", "error.log"}
    assert "nginx.conf" not in kept


def test_without_a_log_that_tells_the_refusals_of_nginx_are_unknown(tmp_path: Path) -> None:
    text = (EXAMPLE / "nginx.conf").read_text(encoding="utf-8")
    file = tmp_path / "nginx.conf"
    file.write_text(text.replace("access.log storm", "access.log"), encoding="utf-8")
    (tmp_path / "limits.conf").write_bytes((EXAMPLE / "limits.conf").read_bytes())
    printed, (run,) = carried_out(
        tmp_path / "runs", "run", "--retries", "0", "--nginx-conf", str(file), sets=CROWD
    )
    clients, nginx = refused(run)
    assert clients > 0
    assert nginx is None
    assert run.info.nginx_limited is None
    assert "refusals by a limit of nginx are unknown" in " ".join(printed.split())
    report = (tmp_path / "runs" / "latest" / "report.md").read_text(encoding="utf-8")
    assert "| unknown |" in report


def test_a_pod_that_is_started_is_in_the_users_upstream(tmp_path: Path) -> None:
    # A pod may take seconds to start.
    events = '[{at_s=1, do="scale", pods=3}, {at_s=10, do="drop_all"}]'
    sets = (*SMALL_STORM, f"event={events}", "phases.duration_s=14")
    file = tmp_path / "nginx.conf"
    file.write_text(
        """events {}
        http {
            map $http_upgrade $connection_upgrade { default upgrade; "" close; }
            upstream pods { least_conn; server {{ pods }}; }
            server {
                listen {{ listen }};
                location / {
                    proxy_pass http://pods;
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $connection_upgrade;
                }
            }
        }""",
        encoding="utf-8",
    )
    _, (run,) = carried_out(tmp_path / "runs", "run", "--retries", "0", "--nginx-conf", str(file), sets=sets)
    assert {row["pod"] for row in run.pods if row["clients"]} == {0.0, 1.0, 2.0}
