"""What a scenario may say about the numbers and the due times of ticks."""

from typing import Any

import pytest

from scenarios.scenario.model import Feed, Gateway, Scenario
from scenarios.scenario.validate import ScenarioError, build

OWN = {"command": "node server.js"}
EXTERNAL = {"url": "http://127.0.0.1:3000"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a schedule without stamps": (
        {"gateway": OWN, "feed": {"due": "schedule", "due_field": ""}},
        "feed.due_field: invalid value '': expected a path, or left out",
    ),
    "a schedule without numbers": (
        {"target": EXTERNAL, "feed": {"due": "schedule", "seq_field": ""}},
        "feed.seq_field: invalid value '': expected a path, or left out",
    ),
    "a schedule of the stub": (
        {"feed": {"due": "schedule"}},
        "feed.due: invalid value 'schedule': expected stamp; ticks of the built-in stub carry the due times",
    ),
    "pods of the stub that number their own ticks": (
        {"feed": {"numbering": "per-pod"}},
        "feed.numbering: invalid value 'per-pod': expected auto or shared; the pods of the built-in stub",
    ),
    "pods that nobody can tell apart": (
        {"target": EXTERNAL, "feed": {"numbering": "per-pod"}},
        "feed.numbering: invalid value 'per-pod': expected auto or shared; the target is external",
    ),
}


@pytest.mark.parametrize(("table", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_measured_is_refused(table: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        build(table, source="x.toml")
    assert str(error.value).startswith(f"x.toml: {complaint}")


@pytest.mark.parametrize("due", ["stamp", "schedule"])
@pytest.mark.parametrize("table", [{"gateway": OWN}, {"target": EXTERNAL}], ids=["own", "external"])
def test_other_gateways_may_have_either_reference(table: dict[str, Any], due: str) -> None:
    assert build({**table, "feed": {"due": due, "seq_field": "n"}}, source="test").feed.due == due


@pytest.mark.parametrize(
    ("gateway", "feed", "per_pod"),
    [
        pytest.param(Gateway(), Feed(), False, id="the stub"),
        pytest.param(Gateway(command="node s.js"), Feed(), True, id="an own gateway"),
        pytest.param(Gateway(command="node s.js"), Feed(command="node p.js"), False, id="with a publisher"),
        pytest.param(Gateway(command="node s.js"), Feed(numbering="shared"), False, id="said to be shared"),
        pytest.param(
            Gateway(command="node s.js"),
            Feed(command="node p.js", numbering="per-pod"),
            True,
            id="said to be per pod",
        ),
    ],
)
def test_pods_without_a_publisher_number_their_own_ticks(gateway: Gateway, feed: Feed, per_pod: bool) -> None:
    assert Scenario(gateway=gateway, feed=feed).numbered_per_pod is per_pod
