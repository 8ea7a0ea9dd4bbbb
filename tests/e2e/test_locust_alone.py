"""The locustfile works by itself: headless with CSV files, and with the web UI."""

import csv
import http.client
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from scenarios.host.machine import free_ports
from tests.e2e.command_line import PATIENCE_S, get, lone_pod, running, wait_for

pytestmark = pytest.mark.e2e

LOCUST = [sys.executable, "-m", "locust", "-f", "scenarios/clients/locustfile.py"]
PATIENT = ("--set", "fleet.connect_timeout_s=15", "--set", "fleet.stale_after_s=0")
"""No client gives up on a pod that stands still: each joins once."""


@pytest.fixture
def pod() -> Iterator[str]:
    with lone_pod() as url:
        yield url


def carried_out(*words: str) -> "subprocess.CompletedProcess[str]":
    """A program that ends by itself."""
    return subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)


def test_headless_with_csv_and_the_tag_of_its_clients(pod: str, tmp_path: Path) -> None:
    done = carried_out(
        *(*LOCUST, "--host", f"{pod}/?t=open-sesame", "--headless", "-u", "20", "-r", "20", "-t", "8s"),
        *("--csv", str(tmp_path / "storm"), "--html", str(tmp_path / "storm.html"), "--only-summary"),
        *("--tags", "storm", *PATIENT),
    )
    assert done.returncode == 0, done.stderr
    assert "open-sesame" not in done.stdout + done.stderr
    assert not [path for path in tmp_path.iterdir() if "open-sesame" in path.read_text(encoding="utf-8")]
    with (tmp_path / "storm_stats.csv").open() as stream:
        rows = {row["Name"]: row for row in csv.DictReader(stream)}
    assert int(rows["joined"]["Request Count"]) == 20
    assert int(rows["joined"]["Failure Count"]) == 0
    assert int(rows["tick"]["Request Count"]) >= 20 * 5 * 2
    assert float(rows["tick"]["Min Response Time"]) > 0
    assert (tmp_path / "storm.html").stat().st_size > 10_000


@pytest.mark.parametrize("options", [["--headless", "-u", "1", "-t", "2s"], []], ids=["headless", "web UI"])
def test_without_a_host_it_says_what_is_missing(options: list[str]) -> None:
    done = carried_out(*LOCUST, *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--host: missing: expected http://host:port" in done.stderr


def shown(web: str) -> Any:
    """Locust's statistics, as the page asks for them."""
    return json.loads(get(f"{web}/stats/requests"))


def requests(web: str, name: str) -> int:
    """How many requests of that name the page shows."""
    return sum(entry["num_requests"] for entry in shown(web)["stats"] if entry["name"] == name)


def test_the_web_interface_starts_clients_and_shows_deliveries(pod: str) -> None:
    (port,) = free_ports(1)
    web = f"http://127.0.0.1:{port}"
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(
        [*LOCUST, "--host", pod, "--web-host", "127.0.0.1", "--web-port", str(port), *PATIENT], **silent
    ):
        wait_for("the web UI", lambda: get(f"{web}/"))
        form = {"user_count": "10", "spawn_rate": "10", "host": pod}
        get(f"{web}/swarm", urllib.parse.urlencode(form).encode())
        wait_for("ticks on the page", lambda: requests(web, "tick") > 0 and requests(web, "joined") == 10)
        assert shown(web)["user_count"] == 10
        get(f"{web}/stop", b"now=1")
        wait_for("a page that says so", lambda: shown(web)["state"] == "stopped")


def answered(web: str, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """(status, headers) of a request with exactly these headers."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(web).netloc, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        connection.close()


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
EVIL = {"Origin": "http://evil.test"}
HOW_MANY = "user_count=3&spawn_rate=3"
ATTACKS = [
    # From another page: whatever it hides of itself.
    *(
        ("POST", path, {**FORM, **headers}, HOW_MANY)
        for path in ("/swarm", "/stop", "/stats/reset", "/user")
        for headers in (
            EVIL,
            {"Origin": "null"},
            {"Origin": "http://localhost:3000"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "null"},
            {"Referer": "http://evil.test/"},
            {"Host": "evil.test:8089"},
            {"Host": "evil.test:8089", "Origin": "http://evil.test:8089", "Sec-Fetch-Site": "same-origin"},
        )
    ),
    *(("GET", path, EVIL, "") for path in ("/swarm", "/stop", "/stats/reset")),
    ("OPTIONS", "/swarm", {**EVIL, "Access-Control-Request-Method": "POST"}, ""),
    ("GET", "/stats/requests", {"Host": "evil.test"}, ""),
    # From a program: another target, by whatever way.
    *(
        ("POST", "/swarm", FORM, f"{HOW_MANY}&{more}")
        for more in (
            *("host=http://192.0.2.1", "host=", "host=OWN&host=http://192.0.2.1", "HOST=http://192.0.2.1"),
            *("scenario=/tmp/mine.toml", "overrides=target.url=http://192.0.2.1", "allow_remote=true"),
            *("own_target=http://192.0.2.1", "web_names=evil.test", "storm={}", "locustfile=/tmp/mine.py"),
            *("html_file=/tmp/written", "enable_rebalancing=true", "channel_port=1", "host%00=x", "users=3"),
        )
    ),
    ("POST", "/swarm?host=http://192.0.2.1", FORM, HOW_MANY),
    ("POST", "/swarm", {"Content-Type": "application/json"}, '{"user_count": 3, "host": "http://192.0.2.1"}'),
    ("POST", "/swarm", {"Content-Type": "text/plain"}, f"{HOW_MANY}&host=http://192.0.2.1"),
    ("POST", "/swarm", {"Content-Type": "multipart/form-data; boundary=b"}, "--b--"),
    ("POST", "/user", {"Content-Type": "application/json"}, '{"user_class_name": "StormUser", "host": "x"}'),
    *((method, "/swarm", FORM, HOW_MANY) for method in ("PUT", "DELETE", "PATCH")),
]


def test_the_web_interface_starts_nothing_for_others_and_aims_at_nobody_else(pod: str) -> None:
    (port,) = free_ports(1)
    web = f"http://127.0.0.1:{port}"
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running([*LOCUST, "--host", pod, "--web-host", "127.0.0.1", "--web-port", str(port)], **silent):
        wait_for("the web UI", lambda: get(f"{web}/"))
        for method, path, headers, text in ATTACKS:
            body = text.replace("OWN", pod).encode()
            status, answer = answered(web, method, path, headers, body or None)
            assert 400 <= status < 500, (method, path, headers, text)
            assert not [name for name in answer if name.lower().startswith("access-control")]
        _, answer = answered(web, "GET", "/stats/requests", EVIL)
        assert "Access-Control-Allow-Origin" not in answer
        assert answer["X-Frame-Options"] == "DENY"
        stats = shown(web)
        assert (stats["state"], stats["user_count"]) == ("ready", 0)
        # Its own page works: it posts what its form has, and says where it comes from.
        own = {**FORM, "Origin": web, "Sec-Fetch-Site": "same-origin", "Referer": f"{web}/"}
        form = urllib.parse.urlencode({"user_count": 3, "spawn_rate": 3, "host": pod, "run_time": ""})
        status, _ = answered(web, "POST", "/swarm", own, form.encode())
        assert status == 200
        wait_for("three clients", lambda: "generator_connected_clients 3" in get(f"{web}/metrics"))
        # Nor does anybody else end it.
        assert answered(web, "POST", "/stop", EVIL)[0] == 403
        assert "generator_running 1" in get(f"{web}/metrics")
        assert answered(web, "POST", "/stop", own)[0] == 200


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ["--own-target", "http://a", "--host", "http://b"],
            "--own-target: not supported together with --host",
        ),
        (["--host", "http://me:open-sesame@127.0.0.1:9"], "a URL without user name"),
        (
            ["--host", "http://192.0.2.1:9/?t=open-sesame"],
            "outside this host's loopback: expected --allow-remote",
        ),
        (["--host", "http://127.0.0.1", "--set", "target.header.A=open-sesame"], "unknown key"),
    ],
)
def test_what_cannot_be_used_is_refused_and_tells_no_secret(options: list[str], problem: str) -> None:
    done = carried_out(*LOCUST, "--headless", "-u", "1", "-t", "2s", *options)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "open-sesame" not in done.stderr + done.stdout


def test_a_run_that_its_targets_health_ends_leaves_no_secret_behind(pod: str, tmp_path: Path) -> None:
    sets = (
        "fleet.clients=10",
        'event=[{at_s=3, do="drop_all"}]',
        "abort.for_s=2",
        "abort.health_url=http://127.0.0.1:9/ok?token=open-sesame",
        'target.headers={Authorization="Bearer open-sesame"}',
        ' target."cookies".sid = open-sesame',
        "target.auth={token='open-sesame'}",
    )
    done = carried_out(
        *(sys.executable, "-m", "scenarios.cli", "run", "--runs", str(tmp_path), "--retries", "0"),
        *("--target", f"{pod}/?t=open-sesame", *(part for text in sets for part in ("--set", text))),
    )
    assert done.returncode == 3, done.stderr
    assert "http://127.0.0.1:9/ok?(hidden)" in done.stderr
    assert "open-sesame" not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "report.html" for path in files)
    assert not [path for path in files if b"open-sesame" in path.read_bytes()]


SHAPE = """
import csv
import os
from pathlib import Path

import locust.stats
import psutil
from locust import LoadTestShape
from scenarios.generator.hooks import register
from scenarios.generator.user import StormUser

register()
locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0
FOLDER = Path(os.environ["FOLDER"])


class UpAndDown(LoadTestShape):
    users = 12

    def tick(self):
        if self.get_run_time() > 90:
            return None
        if self.are_there():
            with (FOLDER / "seen").open("a") as stream:
                print(self.users, file=stream)
            if self.users == 4:
                return None
            self.users = 4
        return (self.users, 12)

    def are_there(self):
        # So many are connected, and there are rows that tell of them and of their ticks.
        port = self.runner.environment.host.rpartition(":")[2]
        sockets = psutil.Process().net_connections("tcp")
        connected = sum(bool(s.raddr) and str(s.raddr.port) == port for s in sockets)
        rows = csv.DictReader((FOLDER / "storm_stats_history.csv").read_text().splitlines())
        mine = [row for row in rows if (row["Name"], row["User Count"]) == ("Aggregated", str(self.users))]
        ticks = [int(row["Total Request Count"]) for row in mine]
        return connected == self.users and ticks and ticks[-1] >= ticks[0] + 5 * self.users
"""


def test_a_load_shape_adds_and_takes_away_clients(
    pod: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locustfile = tmp_path / "shape.py"
    locustfile.write_text(SHAPE)
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    done = carried_out(
        *(sys.executable, "-m", "locust", "-f", str(locustfile), "--host", pod, "--headless"),
        *("--csv", str(tmp_path / "storm"), "--csv-full-history", "--only-summary"),
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "seen").read_text() == "12\n4\n"
    with (tmp_path / "storm_stats_history.csv").open() as stream:
        users = [int(row["User Count"]) for row in csv.DictReader(stream) if row["Name"] == "Aggregated"]
    assert max(users) == 12
    assert users[-1] in {0, 4}


def test_clients_whose_tag_is_excluded_do_not_connect(pod: str, tmp_path: Path) -> None:
    done = carried_out(
        *(*LOCUST, "--host", pod, "--headless", "-u", "5", "-r", "5", "-t", "3s", "--only-summary"),
        *("--csv", str(tmp_path / "storm"), "--exclude-tags", "storm"),
    )
    assert "Traceback" not in done.stderr
    with (tmp_path / "storm_stats.csv").open() as stream:
        assert "joined" not in [row["Name"] for row in csv.DictReader(stream)]


def test_a_worker_that_dies_is_reported_and_the_others_go_on(pod: str, tmp_path: Path) -> None:
    port, master = free_ports(2)
    web = f"http://127.0.0.1:{port}"
    options = (
        *("--web-host", "127.0.0.1", "--web-port", str(port), "--autostart", "-u", "20", "-r", "20"),
        # Another master may be at Locust's own port.
        *("--master-bind-host", "127.0.0.1", "--master-bind-port", str(master)),
        *("--master-host", "127.0.0.1", "--master-port", str(master)),
    )
    log = tmp_path / "log"
    with (
        log.open("w") as stream,
        running(
            [*LOCUST, "--host", pod, *PATIENT, *options, "--processes", "2"],
            stdout=subprocess.DEVNULL,
            stderr=stream,
        ) as process,
    ):

        def with_clients() -> list[psutil.Process]:
            """The workers whose ten clients are all connected."""
            gateway = int(pod.rpartition(":")[2])
            return [
                worker
                for worker in psutil.Process(process.pid).children()
                if sum(bool(c.raddr) and c.raddr.port == gateway for c in worker.net_connections("tcp")) == 10
            ]

        def all_are_known() -> bool:
            """Whether the master has heard of all, in the workers' seconds and in their statistics."""
            known = "generator_connected_clients 20" in get(f"{web}/metrics")
            return known and requests(web, "joined") == 20

        wait_for("two workers with ten clients each", lambda: len(with_clients()) == 2 and all_are_known())
        with_clients()[0].kill()
        wait_for("a worker that is missing", lambda: "clients, which count as missing" in log.read_text())
        ticks = requests(web, "tick")
        wait_for("ticks of the others", lambda: requests(web, "tick") > ticks + 10 * 5)
        assert requests(web, "joined") == 20
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, log.read_text()
    said = log.read_text()
    assert "with 10 clients, which count as missing" in said
    assert "Traceback" not in said


def test_an_abort_condition_ends_the_test_and_says_why(pod: str) -> None:
    done = carried_out(
        *(*LOCUST, "--host", pod, "--headless", "-u", "5", "-r", "5", "-t", "90s", "--only-summary"),
        *("--set", "abort.fanout_p99_ms=0.001", "--set", "abort.for_s=2"),
    )
    assert done.returncode == 1
    assert "aborted: fan-out p99 was" in done.stderr
    assert "abort.fanout_p99_ms is 0.001, for 2 consecutive seconds" in done.stderr
