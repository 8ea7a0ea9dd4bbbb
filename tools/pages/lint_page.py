"""The page of the rules that `reconnect-storm lint` has."""

from scenarios.lint import validation
from scenarios.lint.lint import KINDS
from tools.pages.rendering import rendered

_NAMES = {"nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy", "kubernetes": "Kubernetes"}


def page() -> str:
    """The page in Markdown."""
    kinds = {_NAMES[name]: kind.rules for name, kind in KINDS.items()}
    return rendered("lint.md.j2", kinds={**kinds, "With --validate": validation.RULES})
