"""What the harness itself gives nginx, Envoy and HAProxy passes its own rules."""

from pathlib import Path

import pytest

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Severity
from scenarios.lint.lint import lint
from scenarios.proxies import envoy, haproxy, nginx
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario

PODS = ["127.0.0.1:2", "127.0.0.1:3"]
LIMITS = ("none", "per-ip")


def bad(file: Path, text: str, scenario: Scenario) -> list[Finding]:
    file.write_text(text, encoding="utf-8")
    # Clients of that scenario are WebSockets from the start, and there are few of them.
    clients = Clients(websocket_only=True, number=scenario.fleet.clients)
    return [one for one in lint(file, None, clients) if one.severity > Severity.NOTE]


@pytest.mark.parametrize("limit", LIMITS)
def test_of_nginx(tmp_path: Path, limit: str) -> None:
    scenario = load("mass-drop", [f"edge.limit={limit}"])
    text = nginx.render(scenario, listen="127.0.0.1:1", pods=PODS, directory=tmp_path)
    assert bad(tmp_path / "gateway.conf", text, scenario) == []


@pytest.mark.parametrize("limit", LIMITS)
def test_of_envoy(tmp_path: Path, limit: str) -> None:
    scenario = load("mass-drop", [f"edge.limit={limit}", "edge.proxy=envoy"])
    files = envoy.render(scenario, listen="127.0.0.1:1", pods=PODS, directory=tmp_path)
    assert bad(tmp_path / "gateway.yaml", files[envoy.WHOLE], scenario) == []


@pytest.mark.parametrize("limit", LIMITS)
def test_of_haproxy(tmp_path: Path, limit: str) -> None:
    scenario = load("mass-drop", [f"edge.limit={limit}", "edge.proxy=haproxy"])
    text = haproxy.render(scenario, listen="127.0.0.1:1", pods=PODS)
    assert bad(tmp_path / "haproxy.cfg", text, scenario) == []
