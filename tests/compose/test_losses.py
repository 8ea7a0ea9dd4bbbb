"""Containers and pods that come and go, while a storm runs and between two."""

import pytest

from tests.compose.stack import (
    CLIENTS,
    GOOD_OR_INVALID,
    SMALL_STORM,
    WORKERS,
    Stack,
    containers,
    docker,
)

pytestmark = [pytest.mark.compose, pytest.mark.needs_docker]


def test_a_pod_that_is_killed_and_a_worker_that_is_lost_are_in_the_record(stack: Stack) -> None:
    stack.up()
    faults = 'event=[{at_s=3, do="kill_pod", pod=1}, {at_s=4, do="nginx_reload"}]'
    before = stack.event_files()
    with stack.start_storm("run", "--retries", "0", sets=(*SMALL_STORM, faults)) as process:
        stack.await_event("kill_pod", before=before)
        docker("kill", containers("locust-worker")[0])
        output, _ = process.communicate(timeout=120)
    assert process.returncode in GOOD_OR_INVALID, output
    (run,) = stack.latest()
    assert run.info.status == "complete"
    events = {line["event"]: line for line in run.events if line.get("phase") != "begin"}
    assert events["kill_pod"]["clients"] > 0
    assert events["worker_lost"]["clients"] == CLIENTS / WORKERS
    assert run.column("useful")[-1] == CLIENTS / WORKERS, "the other worker's clients are all back"


def test_a_gateway_container_that_is_lost_fails_the_run_by_its_name_and_only_that_run(stack: Stack) -> None:
    stack.up()
    before = stack.event_files()
    with stack.start_storm("run", "--retries", "0", sets=(*SMALL_STORM, "phases.duration_s=60")) as process:
        stack.await_event("drop_all", before=before)
        docker("kill", containers("gateway")[0])
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 5, output
    assert "is unreachable: lost the host agent at" in " ".join(output.split())
    (run,) = stack.latest()
    assert run.info.status == "failed"
    stack.up()
    status, output = stack.storm("run", "--retries", "0")
    assert status in GOOD_OR_INVALID, output
    (run,) = stack.latest()
    assert run.column("connected")[-1] == CLIENTS


def test_more_containers_are_more_pods_for_the_next_storm(stack: Stack) -> None:
    stack.up(gateways=3, workers=1)
    scale = 'event=[{at_s=3, do="drop_all"}, {at_s=4, do="scale", pods=3}]'
    status, output = stack.storm("run", "--retries", "0", sets=(*SMALL_STORM, scale))
    assert status in GOOD_OR_INVALID, output
    (run,) = stack.latest()
    assert run.info.status == "complete"
    assert {row["pod"] for row in run.pods} == {0, 1, 2}
    assert len(run.info.clocks) == 1
    assert run.column("connected")[-1] == CLIENTS
    stack.up()
    assert (len(containers("gateway")), len(containers("locust-worker"))) == (2, WORKERS)
