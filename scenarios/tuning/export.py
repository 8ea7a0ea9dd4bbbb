"""Settings ready to paste: for socket.io's JavaScript client, for python-socketio's, and for the proxy.

What a client cannot be told by its options comes with the few lines of code that it takes. They rest on what
the clients do, as read in socketio/socket.io, packages/socket.io-client/lib/manager.ts and
contrib/backo2.ts, and in miguelgrinberg/python-socketio, AsyncClient._handle_reconnect.
"""

import json
from typing import Any

import msgspec
from msgspec import Struct

from reports.analysis.findings.registry import PROXIES
from scenarios.fields import NameOrTable
from scenarios.limits.registry import limit
from scenarios.policies.outcome import reset_in_words
from scenarios.policies.registry import policy
from scenarios.scenario.model import Fleet, Scenario
from scenarios.tuning.candidate import Candidate, policy_name, reset_of
from scenarios.tuning.snippets import (
    as_stock,
    has_formula,
    javascript_delay,
    javascript_snippet,
    python_snippet,
)

JS_OPTIONS = ("reconnectionDelay", "reconnectionDelayMax", "randomizationFactor")
"""Options of `io()`, and parameters of `socketio-js`."""
PYTHON_OPTIONS = ("reconnection_delay", "reconnection_delay_max", "randomization_factor")
"""Options of `socketio.AsyncClient()`, and parameters of `socketio-python`."""


_JITTER_DIES = (
    "socket.io-client caps the delay after the jitter: once min·2ⁿ is far above the maximum, all "
    "disconnected clients wait exactly the maximum. Older clients replace a randomizationFactor of 0 by 0.5."
)
_NOT_IN_PYTHON = (
    "python-socketio's back-off has only a jitter in seconds and, when it reconnects, waits at most one "
    "second for the namespace. The loop above replaces it."
)
_OTHER_FORMULA = "socket.io-client's options have no formula but min·2ⁿ, with a jitter as a share of it."
_NOT_IN_JS = {
    "spread": "socket.io-client's options have no first window of its own, apart from the later delays.",
    "full-jitter": "socket.io-client's options have no jitter that stays once the cap is reached.",
    "decorrelated-jitter": "socket.io-client's options have no delay that depends on the one before.",
    "socketio-python": "socket.io-client's options have no jitter in seconds, only in parts of the delay.",
    "naive": "socket.io-client's options have no retry at once: reconnectionDelay: 0 becomes 1000.",
}


class Settings(Struct, frozen=True, kw_only=True):
    """What to paste, and what to know about it."""

    javascript: str
    python: str
    function: str
    """For libraries in JavaScript that take one; empty where there is no formula to give."""
    proxy: str
    """Which one it is, as people write it."""
    proxy_lines: str
    """Empty where the proxy is not asked to refuse anything."""
    pods: str
    """Likewise for the pods."""
    cannot: tuple[str, ...]
    """What stock clients cannot express, in words."""


def settings(chosen: Candidate, scenario: Scenario, proxy_lines: str) -> Settings:
    """The settings of a candidate. proxy_lines: what its limit adds to the configuration of the proxy."""
    return Settings(
        javascript=_javascript(chosen, scenario.fleet),
        python=_python(chosen, scenario.fleet),
        function=javascript_delay(chosen.policy) if has_formula(chosen.policy) else "",
        proxy=PROXIES[scenario.edge.proxy],
        proxy_lines=proxy_lines,
        pods=_pods(chosen.limit),
        cannot=_cannot(chosen, scenario.fleet),
    )


def javascript_options(spec: NameOrTable) -> dict[str, float] | None:
    """The options of `io()` that make the stock client follow the policy; None where none do."""
    return _options(as_stock(spec), "socketio-js", JS_OPTIONS)


def python_options(spec: NameOrTable) -> dict[str, float] | None:
    """The options of `socketio.AsyncClient()`, likewise."""
    return _options(spec, "socketio-python", PYTHON_OPTIONS)


def text(found: Settings) -> str:
    """All of it, under headings."""
    parts = [
        ("socket.io-client (JavaScript)", found.javascript),
        ("python-socketio", found.python),
        ("Function for stock clients in JavaScript that take one", found.function),
        (found.proxy, found.proxy_lines),
        ("the pods", found.pods),
        ("What stock clients cannot express", "\n".join(f"- {line}" for line in found.cannot)),
    ]
    return "\n\n".join(f"{heading}:\n\n{_indented(body)}" for heading, body in parts if body)


def _options(spec: NameOrTable, name: str, options: tuple[str, ...]) -> dict[str, float] | None:
    if policy_name(spec) != name:
        return None
    fields = msgspec.to_builtins(policy(spec))
    return {option: _whole(fields[option]) for option in options}


def _whole(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _javascript(chosen: Candidate, fleet: Fleet) -> str:
    timeout_ms = _whole(round(fleet.connect_timeout_s * 1000, 3))
    options = javascript_options(chosen.policy)
    reset = reset_of(chosen, fleet)
    if options is None or reset != "open":
        return javascript_snippet(chosen.policy, reset, timeout_ms=timeout_ms)
    lines = [f"  {key}: {json.dumps(value)}," for key, value in {**options, "timeout": timeout_ms}.items()]
    return "\n".join(["const socket = io(url, {", *lines, "});"])


def _python(chosen: Candidate, fleet: Fleet) -> str:
    options = python_options(chosen.policy)
    reset = reset_of(chosen, fleet)
    if options is None or reset not in {"open", "joined"}:
        return python_snippet(chosen.policy, reset, timeout_s=fleet.connect_timeout_s)
    inside = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"client = socketio.AsyncClient({inside})"


def _pods(spec: NameOrTable) -> str:
    admission: dict[str, Any] = msgspec.structs.asdict(limit(spec).admission)
    lines = []
    if admission["shed_above_lag_ms"]:
        lines.append(
            "answer new connections with 503, before authentication, while the event loop is later than "
            f"{admission['shed_above_lag_ms']:g} ms"
        )
    if admission["handshake_slots"]:
        lines.append(
            f"allow at most {admission['handshake_slots']} concurrent handshakes per pod; answer the others "
            "with 503, before authentication"
        )
    return "\n".join(lines)


def _cannot(chosen: Candidate, fleet: Fleet) -> tuple[str, ...]:
    reset = reset_of(chosen, fleet)
    name = policy_name(chosen.policy)
    found = [
        _NOT_IN_JS.get(name, _OTHER_FORMULA) if javascript_options(chosen.policy) is None else _JITTER_DIES
    ]
    if python_options(chosen.policy) is None:
        found.append(_NOT_IN_PYTHON)
    if reset != "open":
        found.append(
            f"socket.io-client resets its back-off at the open. Here it is reset {reset_in_words(reset)}, so "
            "that clients that are dropped again do not reconnect at once."
        )
    return tuple(found)


def _indented(body: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in body.splitlines())
