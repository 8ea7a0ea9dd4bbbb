"""Our clients at a real Node gateway: another path, namespace, credentials, event names and clocks."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import running, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs_node]

ALL_TICKS = pytest.approx(20 * 10, rel=0.6)
"""Twenty clients, ten ticks a second; a late timer of JavaScript leaves turns out on a busy machine."""
CREDENTIALS = (
    "target.namespace=/feed",
    'target.auth={token="secret"}',
    'target.headers={X-Tenant="blue"}',
    'target.cookies={session="42"}',
    # Nobody begins anew because a process stood still for a while.
    *("fleet.connect_timeout_s=20", "fleet.stale_after_s=20"),
)


class NodeGateway:
    """A running gateway."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def seen(self) -> dict[str, int]:
        """What the gateway has counted by now."""
        self.process.send_signal(signal.SIGUSR2)
        counts: dict[str, int] = json.loads(self._line())
        return counts


@contextlib.contextmanager
def node_gateway(modules: Path, *arguments: str) -> Iterator[NodeGateway]:
    program = ["node", str(modules / "gateway.js"), *arguments]
    with running(program, stdout=subprocess.PIPE) as process:
        yield NodeGateway(process)


@pytest.fixture(scope="module")
def gateway(node_modules: Path) -> Iterator[NodeGateway]:
    with node_gateway(node_modules) as started:
        yield started


def bench(url: str, *sets: str) -> subprocess.CompletedProcess[str]:
    overrides = [part for override in (*CREDENTIALS, *sets) for part in ("--set", override)]
    return subprocess.run(
        [
            *(sys.executable, "-m", "scenarios.cli", "bench", "--json", "--target", url),
            *("--clients", "20", "--seconds", "5", *overrides),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def reception(url: str, *sets: str) -> dict[str, Any]:
    done = bench(url, *sets)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["reception"]
    return found


FEEDS = {
    "milliseconds since 1970, in a nested field": (
        ("feed.event=price", "feed.due_field=meta.at", "feed.due_unit=ms", "feed.seq_field=meta.number"),
        "due",
    ),
    "seconds beside binary attachments": (
        ("feed.event=chart", "feed.due_field=at", "feed.due_unit=s"),
        "due",
    ),
    "no time at all": (("feed.event=bare",), "first receipt"),
    "the monotonic clock, as text": (
        ("feed.event=hr", "feed.due_field=0", "feed.due_clock=monotonic"),
        "due",
    ),
}


@pytest.mark.parametrize(("sets", "reference"), FEEDS.values(), ids=FEEDS)
def test_ticks_are_timed_by_whatever_the_gateway_sends(
    gateway: NodeGateway, sets: tuple[str, ...], reference: str
) -> None:
    clock = () if any("due_clock" in key for key in sets) else ("feed.due_clock=wall",)
    found = reception(f"http://127.0.0.1:{gateway.port}/realtime/?room=a", *clock, *sets)
    assert found["reference"] == reference
    assert found["ticks_per_s"] == ALL_TICKS
    # Seconds are long on one machine, and short for a clock that was misread.
    assert 0 <= found["p50_ms"] <= found["p99_ms"] < 20_000


def test_clients_that_begin_with_polling_are_upgraded(gateway: NodeGateway) -> None:
    before = gateway.seen()
    found = reception(
        f"http://127.0.0.1:{gateway.port}/realtime/?room=a",
        *("fleet.transport=polling-upgrade", "feed.event=price", "feed.due_field=meta.at"),
        *("feed.due_unit=ms", "feed.due_clock=wall"),
    )
    assert found["ticks_per_s"] == ALL_TICKS
    wait_for("all upgrades", lambda: gateway.seen()["upgrades"] - before["upgrades"] >= 20)
    after = gateway.seen()
    assert after["polling"] - before["polling"] == 20
    assert after["upgrades"] - before["upgrades"] == 20


def test_wrong_credentials_are_a_rejection_with_its_name(gateway: NodeGateway, tmp_path: Path) -> None:
    failures, said = tmp_path / "storm_failures.csv", tmp_path / "said"
    program = [
        *(sys.executable, "-m", "locust", "-f", "scenarios/clients/locustfile.py", "--headless"),
        *("--host", f"http://127.0.0.1:{gateway.port}/realtime/", "-u", "3", "--only-summary"),
        *("--set", "target.namespace=/feed", "--set", "fleet.policy=incident"),
        *("--csv", str(tmp_path / "storm")),
    ]
    with said.open("w") as output, running(program, stdout=output, stderr=output):
        # Locust writes it once a second.
        wait_for("a rejection", lambda: "CONNECT,rejected" in failures.read_text())
    assert "Traceback" not in said.read_text()


@pytest.mark.needs_openssl
def test_wss_with_a_ca_file_a_server_name_or_without_any_check(node_modules: Path, tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=gateway.test"),
            *("-addext", "subjectAltName=DNS:gateway.test", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    feed = ("feed.event=price", "feed.due_field=meta.at", "feed.due_unit=ms", "feed.due_clock=wall")
    with node_gateway(node_modules, str(key), str(cert)) as secure:
        url = f"https://127.0.0.1:{secure.port}/realtime/?room=a"
        trusted = (f"target.ca_file={cert}", "target.server_name=gateway.test")
        assert reception(url, *feed, *trusted)["ticks_per_s"] == ALL_TICKS
        assert reception(url, *feed, "target.insecure=true")["ticks_per_s"] == ALL_TICKS
