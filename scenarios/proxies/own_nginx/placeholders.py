"""The placeholders of a user's nginx configuration: two pairs of braces, which nginx itself never has."""

import re
from collections.abc import Sequence

from msgspec import Struct

from scenarios.host.machine import MachineError

LISTEN, PODS, CERTIFICATE, KEY = "listen", "pods", "certificate", "certificate_key"
EXPECTED = {
    LISTEN: "`listen {{ listen }};` in the server that clients reach",
    PODS: "`server {{ pods }};` in the upstream of the pods",
    CERTIFICATE: "`ssl_certificate {{ certificate }};` with [edge.tls]",
    KEY: "`ssl_certificate_key {{ certificate_key }};` with [edge.tls]",
}
"""How each is used, by its name."""

# Or a comment, which may say anything.
_PLACEHOLDER = re.compile(r"(?:(?<=[\s;{}])|^)#[^\n]*|\{\{([^{}\n]*)\}\}")
# Within one line, so that line numbers stay as they are.
_EACH_POD = re.compile(r"([^;{}\n]*)\{\{\s*pods\s*\}\}([^;{}\n]*;)")


class OwnNginxError(MachineError):
    """A configuration that cannot be used; the message names file, line and what is expected."""


class Values(Struct, frozen=True, kw_only=True):
    """What stands for the placeholders."""

    listen: str
    """Address and port."""
    pods: Sequence[str]
    """Address and port of each."""
    certificate: str = ""
    """File of certificate and key; empty without TLS."""


def filled(text: str, values: Values, source: str) -> str:
    """The text with every placeholder filled in; each of its lines stays where it is.

    A directive with `{{ pods }}` is repeated for each pod, with all its parameters. source: what an error
    names. Raises OwnNginxError.
    """

    def each_pod(found: re.Match[str]) -> str:
        before, behind = found.groups()
        return "".join(f"{before}{pod}{behind}" for pod in values.pods)

    known = {LISTEN: values.listen, CERTIFICATE: values.certificate, KEY: values.certificate}

    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        name, line = found[1].strip(), found.string.count("\n", 0, found.start()) + 1
        if name not in EXPECTED:
            names = ", ".join(f"{{{{ {one} }}}}" for one in EXPECTED)
            raise OwnNginxError(f"{source}:{line}: unknown placeholder {found[0]}: expected one of {names}")
        if name == PODS:
            raise OwnNginxError(f"{source}:{line}: {found[0]} stands alone: expected {EXPECTED[PODS]}")
        if not known[name]:
            raise OwnNginxError(f"{source}:{line}: {found[0]} needs [edge.tls] in the scenario")
        return known[name]

    return _PLACEHOLDER.sub(value, _EACH_POD.sub(each_pod, text))
