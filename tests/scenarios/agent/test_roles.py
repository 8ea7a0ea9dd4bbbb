"""What an agent does where it cannot have its ports."""

import asyncio
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway_stub.protocol import Controls
from scenarios.agent.__main__ import main
from scenarios.agent.roles import GatewayRole, idle_settings
from scenarios.host.machine import free_ports
from scenarios.host.process import StackError
from scenarios.host.token import TOKEN_VARIABLE


def test_a_pod_that_cannot_have_its_port_is_told_with_the_port(tmp_path: Path) -> None:
    (control_port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = idle_settings(Controls(), host="127.0.0.1", port=port, control_port=control_port)
        role = GatewayRole(settings, tmp_path)
        with pytest.raises(StackError, match=rf"ended by itself.*{port}.*address already in use"):
            asyncio.run(role.idle())
    assert not role.serving


def test_an_agent_that_cannot_have_its_own_port_ends_with_status_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "a token of these tests")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["gateway", "--host", "127.0.0.1", "--agent-port", str(port)])
    assert done.exit_code == 2
    assert f"address 127.0.0.1, port {port}: " in done.output
