"""The services as they are: reachable, limited, and at work for one storm, with any version of compose."""

import json
import urllib.parse
import urllib.request

import pytest

from tests.compose.stack import (
    CLIENTS,
    GATEWAYS,
    GOOD_OR_INVALID,
    PROJECT,
    USER,
    WORKERS,
    Stack,
    containers,
    docker,
    generator_metrics,
    wait_for,
)

pytestmark = [pytest.mark.compose, pytest.mark.needs_docker]

SERVICES = {"gateway": GATEWAYS, "nginx": 1, "locust-master": 1, "locust-worker": WORKERS}
MEMORY = 2 * 1024**3


def test_the_services_are_there_and_reachable_from_this_machine_alone(stack: Stack) -> None:
    stack.up()
    assert {name: len(containers(name)) for name in SERVICES} == SERVICES
    ports = docker("ps", "--format", "{{.Ports}}", "--filter", f"label=com.docker.compose.project={PROJECT}")
    published = [part for line in ports for part in line.split(", ") if "->" in part]
    assert published
    assert all(part.startswith("127.0.0.1:") for part in published), published


def test_the_engine_holds_every_container_to_its_limits(stack: Stack) -> None:
    stack.up()
    names = [name for service in SERVICES for name in containers(service)]
    for found in json.loads("\n".join(docker("inspect", *names))):
        limits, name = found["HostConfig"], found["Name"]
        assert (limits["Memory"], limits["PidsLimit"]) == (MEMORY, 256), name
        assert limits["NanoCpus"] == (500_000_000 if "gateway" in name else 0), name
        assert limits["ReadonlyRootfs"], name
        assert limits["CapDrop"] == ["ALL"], name
        assert not limits["Privileged"], name
        assert found["Config"]["User"] == f"{USER}:{USER}", name


def test_a_storm_leaves_its_report_on_the_volume_for_its_user(stack: Stack) -> None:
    stack.up()
    status, output = stack.storm("run", "--retries", "0")
    assert status in GOOD_OR_INVALID, output
    (run,) = stack.latest()
    assert run.info.status == "complete"
    assert run.column("connected")[-1] == CLIENTS
    assert run.info.machine["pod_cores"] == 0.5
    assert len(run.info.clocks) == WORKERS
    assert all(abs(clock.offset_ns) <= clock.error_ns for clock in run.info.clocks), "one kernel, one clock"
    assert "src=" not in (stack.runs / "latest" / "report.html").read_text(encoding="utf-8")
    assert {path.stat().st_uid for path in stack.runs.rglob("*")} == {USER}


def test_the_web_ui_starts_a_test_by_hand(stack: Stack) -> None:
    stack.up()
    form = {"user_count": "20", "spawn_rate": "20", "host": "http://nginx:8080"}
    with urllib.request.urlopen(
        "http://127.0.0.1:8089/swarm", urllib.parse.urlencode(form).encode()
    ) as answer:
        assert answer.status == 200
    try:
        wait_for("20 clients", lambda: "generator_useful_clients 20\n" in generator_metrics())
    finally:
        urllib.request.urlopen("http://127.0.0.1:8089/stop", b"").close()
