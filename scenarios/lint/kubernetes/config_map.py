"""Rules about the ConfigMap of ingress-nginx, which holds for every Ingress."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.clients import LONG_LIFE_S, Clients
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.quantities import nginx_seconds
from scenarios.lint.quiet import too_short
from scenarios.lint.values import Node

_KEYS = "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/configmap/"
_OWN_KEYS = frozenset({
    "use-forwarded-headers", "proxy-real-ip-cidr", "worker-shutdown-timeout", "proxy-read-timeout",
    "proxy-send-timeout", "proxy-body-size", "max-worker-connections", "worker-processes",
    "use-proxy-protocol",
    "limit-req-status-code", "keep-alive", "upstream-keepalive-connections", "ssl-protocols", "use-gzip",
})  # fmt: skip

SHUTDOWN = Rule(
    name="kubernetes-shutdown-timeout",
    severity=Severity.WARNING,
    happens="that long after each reload, nginx closes all sockets of the old workers at once, and a change"
    " of any Ingress of the cluster is a reload",
    change='worker-shutdown-timeout: "4h", and a terminationGracePeriodSeconds above it',
    source=f"{_KEYS}#worker-shutdown-timeout: 240 s by default; kubernetes/ingress-nginx#2461, #8977",
)
TRUSTED = Rule(
    name="kubernetes-trusted-proxies",
    severity=Severity.WARNING,
    happens="a client that sends X-Forwarded-For itself chooses its address, so a limit per address does not"
    " hold it back, and a hash by address goes where it likes",
    change='proxy-real-ip-cidr: "<networks of the load balancer>"',
    source=f"{_KEYS}#proxy-real-ip-cidr: everybody is trusted by default",
)
READ = Rule(
    name="kubernetes-default-read-timeout",
    severity=Severity.WARNING,
    happens=effects.NGINX_CUTS,
    change='proxy-read-timeout: "3600"',
    source=f"{_KEYS}#proxy-read-timeout",
)
RULES = (SHUTDOWN, TRUSTED, READ)


def concerns(document: Node, _clients: Clients, _said: bool) -> bool:
    """Whether it is the ConfigMap of ingress-nginx: it has at least two keys of that."""
    data = document.get("data").value
    of_map = document.get("kind").text == "ConfigMap" and isinstance(data, dict)
    return of_map and len(_OWN_KEYS & {*data}) > 1


def check(document: Node, _clients: Clients) -> Iterator[Finding]:
    """The keys of the ConfigMap."""
    data = document.get("data")
    stop = data.get("worker-shutdown-timeout")
    limit_s = nginx_seconds(stop.text)
    if not stop.there:
        yield SHUTDOWN.at(data.place, "worker-shutdown-timeout is 240 s by default", severity=Severity.NOTE)
    elif limit_s is not None and limit_s < LONG_LIFE_S:
        yield SHUTDOWN.at(stop.place, f"worker-shutdown-timeout {stop.text}")
    trusting = data.get("use-forwarded-headers")
    if trusting.true and not data.get("proxy-real-ip-cidr").there:
        yield TRUSTED.at(trusting.place, "use-forwarded-headers without proxy-real-ip-cidr")
    quiet = data.get("proxy-read-timeout")
    quiet_s = nginx_seconds(quiet.text)
    if quiet_s is not None and (short := too_short(quiet_s, engine_io=False)):
        yield READ.at(quiet.place, f"proxy-read-timeout {quiet.text} {short.why}", severity=short.severity)
