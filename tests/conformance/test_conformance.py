"""The models of stock clients do what the real libraries do, under virtual time at a hostile server."""

from collections.abc import Mapping

import pytest

from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.policies.stock.client import StockClient
from tests.conformance.comparison import differences
from tests.conformance.conftest import Record, Recording
from tests.conformance.scripts import (
    CONNECT_ERROR,
    FIRST,
    OPEN,
    REFUSE,
    SCRIPTS,
    Script,
    join,
    modelled,
    status,
)

MODEL_CLIENTS = 1_000
FEW = 20
LEAST_ATTEMPTS = 2_000
SEED = 7

NO_REFUSAL = {"connect error", "namespace disconnect"}
"""Of clients whose protocol has no handshake of its own, or no message that ends a session."""
NEVER = {"sockjs"}
"""Clients that make no attempt at all."""
STATUSES = {key for key in SCRIPTS if key.startswith("status ")}
"""Of clients that do not begin with HTTP."""

WITHOUT: Mapping[str, set[str]] = {
    "socketio-python": {"no answer"},
    "phoenix": NO_REFUSAL,
    "supabase-realtime": NO_REFUSAL,
    "graphql-ws": {"namespace disconnect"},
    "subscriptions-transport-ws": NO_REFUSAL,
    "reconnecting-websocket": NO_REFUSAL,
    "partysocket": NO_REFUSAL,
    "stompjs": {"namespace disconnect"},
    # An attempt that gets no answer lasts 20 s, even if the connection closes; the next one follows at once.
    "nats-js": {"namespace disconnect", "dropped before it has joined", "no answer"},
    # These count a delay from the start of an attempt: one that has lasted leaves nothing of it.
    "firebase-database": NO_REFUSAL | {"no answer"},
    "pusher": {"namespace disconnect", "no answer"},
    # A suspended client whose transport opens is a disconnected one again.
    "ably": {"namespace disconnect", "dropped before it has joined"},
    # Its monitor looks at fixed times, which a short session does not move.
    "actioncable": {"dropped after a second", "no answer"},
    # Its delay has no cap: the fortieth is a century.
    "anycable": {"refused for long"},
    "mqtt-js": {"namespace disconnect", *STATUSES},
    "livekit": NO_REFUSAL,
    "websockets-python": NO_REFUSAL,
    "nats-python": {"namespace disconnect", "no answer", *STATUSES},
    "paho-python": {"namespace disconnect", "no answer", *STATUSES},
    "eventsource-npm": NO_REFUSAL,
    "fetch-event-source": NO_REFUSAL,
    "sockjs": NO_REFUSAL,
    "liveview": {"namespace disconnect"},
    "launchdarkly-eventsource": NO_REFUSAL,
}
"""Scripts that make no sense for a client, by its name."""
CENTRIFUGO_CODES = {
    f"close code {code} {reason}": Script((join(1, code=code, reason=reason), REFUSE, REFUSE))
    for code in (1009, 3000, 3499, 3500, 3999, 4000, 4499, 4500, 4999)
    for reason in ("", "no")
}
MORE: Mapping[str, Mapping[str, Script]] = {
    "graphql-ws": {
        "opened and dropped": Script((FIRST, *[OPEN] * 8), clients=500),
        **{
            f"close code {code}": Script((FIRST, OPEN, join(1, code=code), OPEN, OPEN))
            for code in (1002, 1011, 4400, 4401, 4403, 4429, 4500)
        },
    },
    "centrifuge": CENTRIFUGO_CODES,
    "centrifuge-python": CENTRIFUGO_CODES,
    "liveview": {
        "refused joins": Script(
            (FIRST, *[CONNECT_ERROR] * 13, join(60), CONNECT_ERROR, REFUSE, OPEN, CONNECT_ERROR, REFUSE),
            clients=100,
        )
    },
    "pusher": {
        f"close code {code}": Script((join(1, code=code), REFUSE, REFUSE))
        for code in (1002, 4001, 4100, 4199, 4200, 4299, 4300)
    },
    "phoenix": {"close code 4000": Script((join(1, code=4000), REFUSE, REFUSE))},
    "launchdarkly-eventsource": {
        f"status {code}": Script((FIRST, REFUSE, status(code), REFUSE)) for code in (403, 500, 502, 504)
    },
    "websockets-python": {
        f"status {code}": Script((FIRST, REFUSE, status(code), REFUSE)) for code in (403, 500, 502, 504)
    },
}
"""Scripts about what only this client does."""

NODE = [name for name, kind in STOCK.items() if kind.package.startswith("npm:")]
PYTHON = [name for name, kind in STOCK.items() if kind.package.startswith("pypi:")]


def scripts_of(name: str) -> dict[str, Script]:
    without = WITHOUT.get(name, set())
    return {key: script for key, script in SCRIPTS.items() if key not in without} | dict(MORE.get(name, {}))


def complaints(name: str, scripts: Mapping[str, Script], found: Recording) -> list[str]:
    """What differs between the real client and its model, a line each."""
    client = policy(name)
    assert isinstance(client, StockClient)
    said = []
    if found.version != client.version:
        said.append(f"version {found.version} is installed, the model is of {client.version}")
    for key, script in scripts.items():
        # Long chains have enough attempts; elsewhere many clients make the model's side precise.
        clients = FEW if len(script.steps) > 100 else MODEL_CLIENTS
        model = modelled(client, script, clients, SEED)
        said += [f"{key}: {line}" for line in differences(found.chains[key], model)]
    return said


def conforms(name: str, record: Record) -> None:
    scripts = scripts_of(name)
    found = record(name, scripts)
    assert found.package == STOCK[name].package.partition(":")[2]
    said = complaints(name, scripts, found)
    assert not said, "\n".join([f"{name} and {found.package} {found.version} differ:", *said])
    attempts = sum(len(chain) for chains in found.chains.values() for chain in chains)
    assert (attempts == 0) if name in NEVER else (attempts >= LEAST_ATTEMPTS), attempts


@pytest.mark.conformance
@pytest.mark.needs_node
@pytest.mark.parametrize("name", NODE)
def test_the_model_of_a_client_in_javascript_is_what_the_library_does(
    name: str, node_clients: Record
) -> None:
    conforms(name, node_clients)


@pytest.mark.conformance
@pytest.mark.parametrize("name", PYTHON)
def test_the_model_of_a_client_in_python_is_what_the_library_does(name: str, python_clients: Record) -> None:
    conforms(name, python_clients)


def test_a_version_that_has_drifted_is_named_with_what_it_does_differently() -> None:
    scripts = {"refused": SCRIPTS["refused"]}
    other = policy({"name": "stompjs", "reconnectDelay": 4000})
    assert isinstance(other, StockClient)
    chains = modelled(other, scripts["refused"], 40, 1)
    found = Recording(package="@stomp/stompjs", version="99.0.0", chains={"refused": chains})
    first, second, *_ = complaints("stompjs", scripts, found)
    assert first == f"version 99.0.0 is installed, the model is of {STOCK['stompjs'].version}"
    assert second == "refused: attempt 0: 4000 to 4000 ms, exactly 5000 ms in the model"


def test_every_script_that_is_left_out_or_added_belongs_to_a_client() -> None:
    assert {*WITHOUT, *MORE} <= {*NODE, *PYTHON}
    assert {key for keys in WITHOUT.values() for key in keys} <= {*SCRIPTS}
