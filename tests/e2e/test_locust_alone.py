"""The locustfile works by itself: headless with CSV files, and with the web UI."""

import csv
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scenarios.stack.machine import free_ports

pytestmark = pytest.mark.e2e

LOCUST = [sys.executable, "-m", "locust", "-f", "scenarios/clients/locustfile.py"]


def get(url: str, form: dict[str, str] | None = None) -> Any:
    body = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(url, body, timeout=5) as answer:
        return answer.read().decode()


def eventually(url: str, form: dict[str, str] | None = None) -> Any:
    for _ in range(100):
        try:
            return get(url, form)
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")


@pytest.fixture
def pod() -> Iterator[str]:
    port, control = free_ports(2)
    options = ["--port", str(port), "--control-port", str(control), "--token", "t"]
    process = subprocess.Popen([sys.executable, "-m", "gateway_stub", *options], stdout=subprocess.DEVNULL)
    try:
        eventually(f"http://127.0.0.1:{port}/healthz/readiness")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def test_headless_with_csv(pod: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(*LOCUST, "--host", pod, "--headless", "-u", "20", "-r", "20", "-t", "5s"),
            *("--csv", str(tmp_path / "storm"), "--only-summary"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "storm_stats.csv").open() as stream:
        rows = {row["Name"]: row for row in csv.DictReader(stream)}
    assert int(rows["attempt"]["Request Count"]) == 20
    assert int(rows["attempt"]["Failure Count"]) == 0
    assert int(rows["tick"]["Request Count"]) >= 20 * 5 * 2
    assert float(rows["tick"]["Min Response Time"]) > 0


def test_without_a_host_it_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [*LOCUST, "--headless", "-u", "1", "-t", "2s"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--host: found None, allowed: http://host:port" in done.stderr


def test_the_web_interface_starts_clients_and_shows_deliveries(pod: str) -> None:
    (port,) = free_ports(1)
    web = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*LOCUST, "--host", pod, "--web-host", "127.0.0.1", "--web-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(f"{web}/")
        get(f"{web}/swarm", {"user_count": "10", "spawn_rate": "10", "host": pod})
        time.sleep(4)
        stats = json.loads(get(f"{web}/stats/requests"))
        assert stats["user_count"] == 10
        by_name = {entry["name"]: entry for entry in stats["stats"]}
        assert by_name["attempt"]["num_requests"] == 10
        assert by_name["tick"]["num_requests"] > 0
        get(f"{web}/stop", {"now": "1"})
        time.sleep(3)  # the web UI remembers its answer for two seconds
        assert json.loads(get(f"{web}/stats/requests"))["state"] == "stopped"
    finally:
        process.terminate()
        process.wait(timeout=15)
