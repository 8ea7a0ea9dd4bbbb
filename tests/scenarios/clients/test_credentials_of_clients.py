"""When a client asks for credentials, and what becomes of an attempt without them."""

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import pytest

from scenarios.clients.addresses import Seat
from scenarios.clients.client import Client
from scenarios.clients.clock import Clock
from scenarios.clients.polling_client import PollingClient
from scenarios.clients.population import AttemptsCap, Population
from scenarios.clients.protocol.identity import Identity
from scenarios.clients.protocol.packets import Rejected, Subscription
from scenarios.clients.protocol.schedule import ObservedSchedule
from scenarios.clients.protocol.target import resolve
from scenarios.clients.protocol.ticks import TickReader
from scenarios.clients.recorder import Recorder
from scenarios.clients.timers import LoopTimers
from scenarios.policies.registry import policy
from scenarios.scenario.model import Feed, Fleet, Part, Target
from tests.scenarios.clients.test_population import Loop
from tests.support.server_bytes import HEAD, OPEN


class Issuer:
    """Answers when the test says so."""

    def __init__(self, *, once: bool = False, timeout_s: float = 60.0) -> None:
        self.once = once
        self.timeout_s = timeout_s
        self.open: list[tuple[int, Callable[[Identity | None], None]]] = []
        self.asked: list[int] = []

    def ask(self, client: int, take: Callable[[Identity | None], None]) -> None:
        self.asked.append(client)
        self.open.append((client, take))

    def answer(self, token: str | None) -> None:
        _, take = self.open.pop(0)
        headers = {"Authorization": f"Bearer {token}"}
        take(None if token is None else Identity(headers, {"token": token}))


class Wire:
    """A connection that opens at once, and keeps what is sent."""

    is_open = True

    def __init__(self) -> None:
        self.sent = b""

    def open(self, _dial: Any) -> int:
        return 0

    def send(self, data: bytes) -> None:
        self.sent += data

    def drain(self) -> None:
        pass

    def close(self) -> None:
        self.is_open = False


class Scene:
    """One client, its issuer, and the connections that it has opened."""

    def __init__(self, issuer: Issuer, kind: type[Client] = Client) -> None:
        schedule = ObservedSchedule()
        self.issuer = issuer
        self.wires: list[Wire] = []
        loop = Loop()
        self.population = Population(
            loop=loop,
            timers=LoopTimers(loop),
            part=Part(name="", share=1.0, fleet=Fleet(rtt_ms=0, connect_timeout_s=60)),
            policy=policy("naive"),
            endpoint=resolve(Target(url="http://127.0.0.1:3000")),
            source="same",
            subscription=Subscription(TickReader(Feed(), schedule)),
            recorder=Recorder(0, schedule),
            attempts_cap=AttemptsCap(0),
            clock=Clock(),
            first_index=300,
            issuer=issuer,
        )
        vars(self.population)["connection"] = self._connection
        self.client = kind(self.population, self.population.recorder.add_client(), Seat("127.0.0.1", 1))
        self.client.start()
        self.go_on()

    def _connection(self, *_: Any) -> Any:
        self.wires.append(Wire())
        return self.wires[-1]

    def go_on(self) -> None:
        """Everything happens that is due."""
        self.population.timers.run_due(monotonic_ns())

    def request(self) -> bytes:
        """What the client sends first on its latest connection."""
        self.client._on_open()
        return self.wires[-1].sent

    def refuse(self) -> None:
        """The server refuses the client, whose next attempt begins at once."""
        self.client._handle((Rejected(),), monotonic_ns())
        self.go_on()

    @property
    def outcomes(self) -> dict[str, int]:
        return self.population.recorder.take_interval(0).outcomes


@pytest.mark.parametrize("kind", [Client, PollingClient])
def test_a_client_connects_once_it_has_credentials_and_shows_them(kind: type[Client]) -> None:
    scene = Scene(Issuer(), kind)
    assert (scene.issuer.asked, scene.wires) == ([300], [])
    scene.issuer.answer("first")
    assert b"\r\nAuthorization: Bearer first\r\n" in scene.request()


def test_credentials_go_into_the_packet_by_which_a_client_joins() -> None:
    scene = Scene(Issuer())
    scene.issuer.answer("first")
    scene.request()
    session = scene.client._session
    assert session is not None
    session.receive(HEAD + OPEN)
    assert _unmasked(session.take_to_send()) == b'40{"token":"first"}'


def _unmasked(frame: bytes) -> bytes:
    length = frame[1] & 0x7F
    mask, payload = frame[2:6], frame[6 : 6 + length]
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


ASKED = {"at each attempt": (False, [300, 300, 300], "third"), "once": (True, [300], "first")}


@pytest.mark.parametrize(("once", "asked", "shown"), ASKED.values(), ids=ASKED)
def test_a_client_asks_before_each_attempt_or_once(once: bool, asked: list[int], shown: str) -> None:
    scene = Scene(Issuer(once=once))
    for token in ("first", "second", "third"):
        if scene.issuer.open:
            scene.issuer.answer(token)
        request = scene.request()
        if token != "third":
            scene.refuse()
    assert scene.issuer.asked == asked
    assert f"Bearer {shown}\r\n".encode() in request
    assert scene.outcomes == {"rejected": 2}


def test_a_client_that_asks_once_asks_again_as_long_as_it_has_no_answer() -> None:
    scene = Scene(Issuer(once=True))
    scene.issuer.answer(None)
    scene.go_on()
    assert scene.issuer.asked == [300, 300]
    scene.issuer.answer("second")
    assert len(scene.wires) == 1


def test_an_attempt_without_credentials_opens_no_connection_and_is_counted() -> None:
    scene = Scene(Issuer())
    scene.issuer.answer(None)
    scene.go_on()
    assert scene.wires == []
    assert scene.outcomes == {"no_credentials": 1}


def test_an_attempt_ends_when_the_answer_is_overdue_and_a_late_answer_is_not_used() -> None:
    scene = Scene(Issuer(timeout_s=1e-9))
    scene.go_on()
    scene.go_on()
    assert scene.issuer.asked == [300, 300]
    scene.issuer.answer("late")
    assert scene.wires == []
    scene.issuer.answer("in time")
    assert b"Bearer in time" in scene.request()


def test_a_client_that_has_left_does_not_connect_when_the_answer_comes() -> None:
    scene = Scene(Issuer())
    scene.client.stop()
    scene.issuer.answer("late")
    scene.go_on()
    assert scene.wires == []
