"""The commands in a container: a comparison, a gate and a rehearsal against the services."""

from xml.etree import ElementTree as ET

import pytest

from tests.compose.stack import CLIENTS, GATEWAYS, GOOD_OR_INVALID, SMALL_STORM, USER, Stack

pytestmark = [pytest.mark.compose, pytest.mark.needs_docker]


def test_a_comparison_of_two_by_two_runs_against_the_containers(stack: Stack) -> None:
    stack.up()
    status, output = stack.storm("compare", "--retries", "0")
    assert status in GOOD_OR_INVALID, output
    # A control that others on the machine have disturbed has been played once more.
    runs = [run for run in stack.latest() if not run.info.control]
    assert len(runs) < len(stack.latest())
    assert [run.info.arm for run in runs] == [
        f"{policy} + {limit}" for policy in ("naive", "incident") for limit in ("none", "per-ip")
    ]
    for run in runs:
        assert run.info.status == "complete"
        assert max(value or 0 for value in run.column("useful")) == CLIENTS


def test_a_gate_checks_the_objectives_of_a_scenario(stack: Stack) -> None:
    stack.up()
    once = ("--rounds", "1", "--max-rounds", "1", "--retries", "0")
    status, output = stack.storm("gate", "gate-quick", *once, "--junit", "runs/gate.xml", sets=())
    # A machine that is too busy to measure, or to decide, says so.
    assert status in {*GOOD_OR_INVALID, 4}, output
    (run,) = stack.latest()
    assert run.info.status == "complete"
    assert {row["pod"] for row in run.pods} == {0}
    report = stack.runs / "gate.xml"
    assert report.stat().st_uid == USER
    assert ET.parse(report).getroot().findall(".//testcase")


def test_a_rehearsal_leaves_its_record(stack: Stack) -> None:
    stack.up()
    hypothesis = 'hypothesis={metric="availability", operator=">=", bound=0, statement="Some are served."}'
    status, output = stack.storm("rehearse", "mass-drop", "--force", sets=(*SMALL_STORM, hypothesis))
    assert status in GOOD_OR_INVALID, output
    (run,) = stack.latest()
    assert run.info.status == "complete"
    assert run.info.rehearsal is not None
    for kind in ("html", "md", "json", "pdf", "svg"):
        assert (run.directory / f"rehearsal.{kind}").stat().st_size > 0, kind


def test_more_pods_than_containers_are_refused_before_anything_starts(stack: Stack) -> None:
    stack.up()
    status, output = stack.storm("run", sets=('event=[{at_s=3, do="scale", pods=5}]',))
    assert status == 2, output
    assert f"needs 5 gateway hosts, {GATEWAYS} are running" in " ".join(output.split())
    assert "set GATEWAYS=5 in .env" in " ".join(output.split())
