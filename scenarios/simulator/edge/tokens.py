"""Which token or cookie each client shows to a limit that counts by one.

Clients of a run show what `[target]` says. A value without placeholders is the same for all of them. One with
a placeholder is filled by what issues credentials: each client is taken to have tokens of its own, kept for
good with `when = "start"`, and another one at each attempt with `when = "attempt"`.
"""

import numpy as np
import numpy.typing as npt

from scenarios.credentials.answers import names_in
from scenarios.scenario.model import Target

NOT_COUNTED = -1
"""Of a client without the header or cookie; and of one that never shows the same token twice, for the bucket
of a key that is new lets a request in."""

_BY_HTTP = frozenset({"host", "connection", "upgrade", "origin", "user-agent", "x-forwarded-for"})
"""Headers that requests may have although the scenario does not name them."""


def value_shown(by: str, target: Target) -> str:
    """The value, perhaps with placeholders, that clients show; empty where they show none.

    by: `header:NAME` or `cookie:NAME`.
    """
    kind, _, name = by.partition(":")
    headers = {key.lower(): value for key, value in target.headers.items()}
    if kind == "header":
        return headers.get(name.lower(), "")
    pairs = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
    sent = {key.strip(): value.strip() for key, _, value in pairs}
    return {**target.cookies, **sent}.get(name, "")


def token_complaint(by: str, target: Target) -> str:
    """What a scenario has to have so that the model knows the tokens; empty where it does."""
    kind, _, name = by.partition(":")
    own = name.lower() in _BY_HTTP or name.lower().startswith(("sec-", "accept"))
    if kind == "header" and own and not value_shown(by, target):
        return "a header that target.headers has: the model does not know what HTTP puts into this one"
    if kind == "header" and name.lower() == "cookie":
        return "cookie:NAME: the model does not put the whole header together"
    return ""


def tokens_shown(by: str, target: Target, clients: int) -> npt.NDArray[np.int64]:
    """The number of the token that each client shows, of shape (clients,); NOT_COUNTED where none counts."""
    value = value_shown(by, target)
    if not value:
        return np.full(clients, NOT_COUNTED, np.int64)
    if not names_in(value) or target.credentials is None:
        return np.zeros(clients, np.int64)
    if target.credentials.when == "start":
        return np.arange(clients, dtype=np.int64)
    return np.full(clients, NOT_COUNTED, np.int64)
