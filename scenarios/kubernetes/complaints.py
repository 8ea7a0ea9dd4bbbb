"""What a storm in a cluster does not support; a scenario that asks for it is refused with the reason."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from scenarios.events.exec import commands_of
from scenarios.fields import invalid
from scenarios.host.dns import is_loopback
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact_text import shown_url
from scenarios.stack.remote.supported import site_complaints

NGINX_PORT = 8080
"""Where nginx listens in `deploy/kubernetes/nginx.yaml`."""


def cluster_complaints(scenario: Scenario, *, allow_remote: bool) -> Iterator[str]:
    """Everything that is wrong, each beginning with the key. allow_remote: whether the user said so."""
    for place, _ in commands_of(scenario.event):
        yield (
            f"event[{place}].do: exec not supported by k8s: the storm's job has neither the program nor"
            " rights in the cluster: expected a run from a machine that has both"
        )
    yield from _files(scenario)
    if scenario.target.url:
        yield from _target(scenario.target.url, allow_remote=allow_remote)
        return
    yield from site_complaints(scenario)
    if scenario.edge.port not in {0, NGINX_PORT}:
        yield invalid("edge.port", scenario.edge.port, f"0 or {NGINX_PORT}, where nginx listens there")


def _files(scenario: Scenario) -> Iterator[str]:
    """The job has the scenario file, and no other."""
    target, fleet = scenario.target, scenario.fleet
    asked = target.credentials
    if target.ca_file:
        yield invalid("target.ca_file", target.ca_file, "none: the storm's job has the scenario file alone")
    if asked is not None:
        key = "command" if asked.command else "function"
        yield (
            f"target.credentials.{key}: not supported by k8s: the storm's job has the scenario file alone:"
            " expected none"
        )
    for part in fleet.parts:
        policy = part.fleet.policy
        if ":" in str(policy if isinstance(policy, str) else policy.get("name")):
            expected = "a policy by name or table: the storm's job has the scenario file alone"
            yield invalid("fleet.policy", policy, expected)


def _target(url: str, *, allow_remote: bool) -> Iterator[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        yield invalid("target.url", shown_url(url), "http:// or https://, and a host")
    elif is_loopback(host) or host.endswith(".localhost"):
        expected = "an address that pods of the cluster reach: there, this is the storm's own pod"
        yield invalid("target.url", shown_url(url), expected)
    elif not allow_remote:
        yield (
            f"target.url: {host} would be stormed from the cluster: expected --allow-remote, and only with"
            " the owner's permission"
        )
