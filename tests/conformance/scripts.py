"""What a hostile server does to a client, attempt by attempt, and what the model of that client does then."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from scenarios.policies.following import Course
from scenarios.policies.orders import Stop
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.stock.client import StockClient

Step = dict[str, Any]

ABNORMAL = 1006
"""The close code of a connection that breaks, in a browser."""

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


def join(session_s: float, *, code: int = ABNORMAL, reason: str = "") -> Step:
    """The client joins; after `session_s` the transport closes."""
    return {"do": "join", "session_ms": session_s * 1000, "end": "drop", "code": code, "reason": reason}


def ends(how: str, session_s: float = 600.0) -> Step:
    """The client joins; after `session_s` the server ends the session in its own protocol."""
    return {"do": "join", "session_ms": session_s * 1000, "end": how}


FIRST = join(600)
"""The session before the outage."""


class Script(Struct, frozen=True):
    """What happens to each of some clients. The first step is the first connection, before any outage."""

    steps: tuple[Step, ...]
    clients: int = 20


SCRIPTS: Mapping[str, Script] = {
    "refused": Script((FIRST, *[REFUSE] * 12), clients=400),
    "refused for long": Script((FIRST, *[REFUSE] * 1_200), clients=2),
    "dropped before it has joined": Script((FIRST, *[REFUSE] * 5, OPEN, REFUSE, REFUSE), clients=60),
    "dropped after a second": Script((FIRST, *[REFUSE] * 5, join(1), REFUSE, REFUSE), clients=60),
    "dropped after two minutes": Script((FIRST, *[REFUSE] * 5, join(120), REFUSE, REFUSE), clients=60),
    "going away": Script((join(600, code=1001), REFUSE, REFUSE)),
    "normal closure": Script((join(600, code=1000), REFUSE, REFUSE)),
    "try again later": Script((join(600, code=1013), REFUSE, REFUSE)),
    "connect error": Script((FIRST, REFUSE, CONNECT_ERROR, REFUSE)),
    "namespace disconnect": Script((ends("namespace-disconnect"), REFUSE, REFUSE)),
    "no answer": Script((FIRST, SILENT, REFUSE)),
    **{f"status {code}": Script((FIRST, REFUSE, status(code), REFUSE)) for code in (401, 429, 503)},
}
"""What every client is put through, as far as its protocol has it."""


_FAILURES = {
    "refuse": OutcomeKind.REFUSED,
    "silent": OutcomeKind.TIMEOUT,
    "status": OutcomeKind.HTTP_STATUS,
    "connect-error": OutcomeKind.CONNECT_ERROR,
    "open": OutcomeKind.CLOSED,
}


def outcome_of(step: Step) -> Outcome:
    """How a step ends, in truth."""
    if step["do"] != "join":
        return Outcome(kind=_FAILURES[step["do"]], status=step.get("status"))
    if step["end"] == "namespace-disconnect":
        return Outcome(kind=OutcomeKind.NAMESPACE_DISCONNECT)
    code = None if step["code"] == ABNORMAL else step["code"]
    return Outcome(kind=OutcomeKind.CLOSED, close_code=code, reason=step["reason"])


def session_s(step: Step) -> float:
    """How long the client was joined."""
    return float(step.get("session_ms", 0.0)) / 1000


def starts_over(client: StockClient, step: Step) -> bool:
    """Whether the client's attempts start over with this step."""
    joined: bool = step["do"] == "join"
    match client.reset:
        case "open":
            return joined or step["do"] in {"open", "connect-error"}
        case "joined":
            return joined
        case "never":
            return False
        case stable_s:
            return joined and session_s(step) >= float(stable_s)


def modelled(client: StockClient, script: Script, clients: int, seed: int) -> list[list[float]]:
    """The delays of each client in milliseconds, as the model has them."""
    return [list(_chain(client, script.steps, random.Random((seed << 32) + n))) for n in range(clients)]


def _chain(client: StockClient, steps: tuple[Step, ...], rng: random.Random) -> Iterator[float]:
    course = Course(client.for_clients()(), rng)
    for number, step in enumerate(steps[:-1]):
        if number and starts_over(client, step):
            course.start_over()
        order = course.after(outcome_of(step), session_s(step), 0.0)
        if not isinstance(order, float):
            assert isinstance(order, Stop)
            return
        yield order * 1000
