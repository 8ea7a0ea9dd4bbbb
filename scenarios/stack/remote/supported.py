"""What the hosts of a site do not support; a scenario that asks for it is refused with the reason."""

from collections.abc import Iterator

from scenarios.fields import invalid
from scenarios.scenario.model import Scenario


def site_complaints(scenario: Scenario) -> Iterator[str]:
    """Everything that no site can do, each beginning with the key."""
    if scenario.edge.proxy != "nginx":
        yield invalid("edge.proxy", scenario.edge.proxy, "'nginx', the only proxy of remote hosts")
    for key in ("tls", "nginx_conf"):
        if getattr(scenario.edge, key):
            yield f"edge.{key}: not supported by remote hosts: expected none"
    if scenario.own_gateway:
        yield "gateway.command: not supported by remote hosts: they run the built-in stub"
    if scenario.mesh.sidecar != "none":
        yield invalid("mesh.sidecar", scenario.mesh.sidecar, "'none': remote hosts run no sidecars")
    if scenario.fleet.source == "bind":
        expected = "auto, proxy-protocol or same: nginx is on another host than the clients"
        yield invalid("fleet.source", "bind", expected)
