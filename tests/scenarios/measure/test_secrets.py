"""What a measurement says when a part of the stack fails."""

import asyncio
from typing import Any, NoReturn

import pytest

from scenarios.host.process import StackError
from scenarios.measure import driver
from scenarios.measure.driver import MeasurePlan, measure
from scenarios.scenario.validate import build

SECRET = "open-sesame"


@pytest.mark.parametrize("kind", [StackError, RuntimeError])
def test_a_part_that_fails_is_named_without_the_secrets_of_the_scenario(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> NoReturn:
        raise kind(f"pod-0 ended by itself: login failed with {SECRET}")

    monkeypatch.setattr(driver, "bed", failing)
    gateway = {"command": ["python3", "server.py"], "environment": {"DB_PASSWORD": SECRET}}
    scenario = build({"gateway": gateway}, source="test")
    plan = MeasurePlan(scenario=scenario, gateway="own", cycles=3, most_clients=10, retries=0)
    with pytest.raises(kind, match=r"login failed with \(hidden\)"):
        asyncio.run(measure(plan, lambda _: None))
