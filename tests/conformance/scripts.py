"""What a hostile server does to a client, attempt by attempt, and what the model of that client does then."""

import random
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.stock.client import StockClient

Step = dict[str, Any]

REFUSE: Step = {"do": "refuse"}
"""No connection."""
OPEN: Step = {"do": "open"}
"""The transport opens, and closes before the client has joined."""
SILENT: Step = {"do": "silent"}
"""No answer, until the client gives the attempt up."""
CONNECT_ERROR: Step = {"do": "connect-error"}
"""The transport opens, and the server refuses the client."""


def status(code: int, **headers: str) -> Step:
    """An HTTP status instead of the upgrade."""
    return {"do": "status", "status": code, "headers": headers}


def join(session_s: float = 1.0, *, code: int = 1006, reason: str = "") -> Step:
    """The client joins; after `session_s` the transport closes."""
    return {"do": "join", "session_ms": session_s * 1000, "end": "drop", "code": code, "reason": reason}


def ends(how: str, session_s: float = 1.0) -> Step:
    """The client joins; after `session_s` the server ends the session in its own protocol."""
    return {"do": "join", "session_ms": session_s * 1000, "end": how}


class Script(Struct, frozen=True):
    """What happens to each of some clients. The first step is the first connection, before any outage."""

    steps: tuple[Step, ...]
    clients: int = 20


SCRIPTS: Mapping[str, Script] = {
    "refused": Script((join(), *[REFUSE] * 12), clients=200),
    "refused for long": Script((join(), *[REFUSE] * 1_200), clients=2),
    "dropped before it has joined": Script((join(), *[REFUSE] * 5, OPEN, REFUSE, REFUSE), clients=60),
    "dropped after a second": Script((join(), *[REFUSE] * 5, join(1), REFUSE, REFUSE), clients=60),
    "dropped after two minutes": Script((join(), *[REFUSE] * 5, join(120), REFUSE, REFUSE), clients=60),
    "going away": Script((join(code=1001), REFUSE, REFUSE)),
    "normal closure": Script((join(code=1000), REFUSE, REFUSE)),
    "try again later": Script((join(code=1013), REFUSE, REFUSE)),
    "connect error": Script((join(), REFUSE, CONNECT_ERROR, REFUSE)),
    "namespace disconnect": Script((ends("namespace-disconnect"), REFUSE, REFUSE)),
    "no answer": Script((join(), SILENT, REFUSE)),
    **{f"status {code}": Script((join(), REFUSE, status(code), REFUSE)) for code in (401, 429, 503)},
}
"""What every client is put through, as far as its protocol has it."""


def outcome_of(step: Step) -> Outcome:
    """What a client can see of a step."""
    match step["do"]:
        case "refuse":
            return Outcome(kind=OutcomeKind.REFUSED)
        case "silent":
            return Outcome(kind=OutcomeKind.TIMEOUT)
        case "status":
            return Outcome(kind=OutcomeKind.HTTP_STATUS, status=step["status"])
        case "connect-error":
            return Outcome(kind=OutcomeKind.CONNECT_ERROR)
        case "open":
            return Outcome(kind=OutcomeKind.CLOSED, close_code=1006)
    kind = {"namespace-disconnect": OutcomeKind.NAMESPACE_DISCONNECT}.get(step["end"], OutcomeKind.CLOSED)
    return Outcome(
        kind=kind,
        close_code=step.get("code"),
        reason=step.get("reason", ""),
        session_s=step["session_ms"] / 1000,
    )


def starts_over(client: StockClient, step: Step) -> bool:
    """Whether the client's attempts start over with this step."""
    opened = step["do"] in {"open", "connect-error", "join"}
    match client.reset:
        case "open":
            return opened
        case "joined":
            return bool(step["do"] == "join")
        case "never":
            return False
        case stable_s:
            return bool(step["do"] == "join") and step["session_ms"] / 1000 >= stable_s


def modelled(client: StockClient, script: Script, clients: int, seed: int) -> list[list[float]]:
    """The delays of each client in milliseconds, as the model has them."""
    return [_chain(client, script.steps, random.Random((seed << 32) + number)) for number in range(clients)]


def _chain(client: StockClient, steps: tuple[Step, ...], rng: random.Random) -> list[float]:
    found: list[float] = []
    iterator = client.delays(rng)
    last = next(iterator, None)
    for number, step in enumerate(steps[:-1]):
        outcome = outcome_of(step)
        if client.stops(outcome):
            break
        if number:
            try:
                last = iterator.send(outcome)
            except StopIteration:
                break
            if starts_over(client, step):
                iterator = client.delays(rng)
                last = next(iterator, None)
        if last is None:
            break
        found.append(last * 1000)
    return found
