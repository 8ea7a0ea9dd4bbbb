"""Which handshakes a pod takes on, and which it gives up: the rules, and a pod on real connections."""

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import pytest
import uvloop
from aiohttp import ClientSession, ClientWebSocketResponse, web
from hypothesis import given
from hypothesis import strategies as st

from gateway_stub.admission import SLOT_LIFETIME_NS, Admitter
from gateway_stub.app import Pod
from gateway_stub.connections import waited_ms
from gateway_stub.cost import Cost
from gateway_stub.protocol import LIVENESS_PATH, Admission, Controls, Settings


@pytest.mark.parametrize(
    ("above_ms", "lag_ms", "admitted"),
    [(0, 60_000, True), (250, 249.9, True), (250, 250, True), (250, 250.1, False)],
    ids=["rule off", "below", "at the limit", "above"],
)
def test_new_clients_are_turned_away_while_the_loop_lags(
    above_ms: float, lag_ms: float, admitted: bool
) -> None:
    admitter = Admitter(Admission(shed_above_lag_ms=above_ms))
    assert admitter.admit("a", lag_ms=lag_ms, now_ns=0) is admitted


def test_without_limited_slots_nobody_holds_one() -> None:
    admitter = Admitter(Admission())
    assert all(admitter.admit(client, lag_ms=0, now_ns=0) for client in range(100))
    assert admitter.slots_held(0) == 0


def test_a_slot_is_free_again_once_its_handshake_has_ended_however_often_that_is_said() -> None:
    admitter = Admitter(Admission(handshake_slots=1))
    assert admitter.admit("a", lag_ms=0, now_ns=0)
    assert not admitter.admit("b", lag_ms=0, now_ns=1)
    admitter.release("b")
    assert not admitter.admit("b", lag_ms=0, now_ns=2)
    admitter.release("a")
    admitter.release("a")
    assert admitter.admit("b", lag_ms=0, now_ns=3)
    assert not admitter.admit("c", lag_ms=0, now_ns=4)


def test_who_is_turned_away_for_lag_takes_no_slot() -> None:
    admitter = Admitter(Admission(shed_above_lag_ms=10, handshake_slots=1))
    assert not admitter.admit("a", lag_ms=11, now_ns=0)
    assert admitter.slots_held(0) == 0


def test_a_slot_expires_so_that_silent_clients_cannot_close_the_pod() -> None:
    admitter = Admitter(Admission(handshake_slots=1))
    assert admitter.admit("silent", lag_ms=0, now_ns=7)
    assert not admitter.admit("b", lag_ms=0, now_ns=7 + SLOT_LIFETIME_NS - 1)
    assert admitter.admit("b", lag_ms=0, now_ns=7 + SLOT_LIFETIME_NS)
    admitter.release("silent")
    assert not admitter.admit("c", lag_ms=0, now_ns=7 + SLOT_LIFETIME_NS)


def test_rules_may_change_while_handshakes_are_under_way() -> None:
    admitter = Admitter(Admission(handshake_slots=3))
    assert all(admitter.admit(client, lag_ms=0, now_ns=0) for client in "abc")
    admitter.rules = Admission(handshake_slots=2)
    admitter.release("a")
    assert not admitter.admit("d", lag_ms=0, now_ns=0)
    admitter.rules = Admission()
    assert admitter.admit("d", lag_ms=0, now_ns=0)


steps = st.tuples(
    st.sampled_from(["begin", "end"]), st.integers(0, 30), st.integers(0, SLOT_LIFETIME_NS // 3)
)


@given(st.integers(1, 5), st.lists(steps, max_size=60))
def test_never_more_than_the_limit_are_under_way_and_nobody_is_refused_a_free_slot(
    limit: int, taken: list[tuple[str, int, int]]
) -> None:
    admitter, under_way, now_ns = Admitter(Admission(handshake_slots=limit)), dict[int, int](), 0
    for number, (step, client, pause_ns) in enumerate(taken):
        now_ns += pause_ns
        under_way = {k: end_ns for k, end_ns in under_way.items() if end_ns > now_ns}
        if step == "begin":
            free = len(under_way) < limit
            assert admitter.admit(number, lag_ms=0, now_ns=now_ns) is free
            if free:
                under_way[number] = now_ns + SLOT_LIFETIME_NS
        else:
            admitter.release(client)
            under_way.pop(client, None)
        assert admitter.slots_held(now_ns) == len(under_way) <= limit


# -- handshakes on real connections -------------------------------------------------------------------

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: pod\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
JOIN = b"\x81\x82\0\0\0\x0040"
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class SpentCost(Cost):
    """Notes stages instead of paying for them."""

    def __init__(self) -> None:
        super().__init__("burn", handshake_cpu_ms=0, tick_cpu_us=0)
        self.stages: list[str] = []

    def upgrade(self) -> None:
        self.stages.append("upgrade")

    def join(self) -> None:
        self.stages.append("join")

    def deliver(self, clients: int) -> None:
        self.stages.append(f"deliver to {clients}")


class Served:
    """A pod that serves clients on loopback, without feed and statistics."""

    def __init__(self, pod: Pod, port: int, sockets: contextlib.ExitStack) -> None:
        self.pod, self.port, self.sockets = pod, port, sockets
        self.url = f"http://127.0.0.1:{port}"
        self.open_url = f"{self.url}/socket.io/?EIO=4&transport=polling"
        self.cost = pod.cost = SpentCost()
        self.websockets: list[ClientWebSocketResponse] = []
        """Kept, because whoever forgets one closes it."""

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        *,
        cancel_gone: bool = False,
        shed_above_lag_ms: float = 0,
        handshake_slots: int = 0,
        window_connections: int = 0,
        close_1013: bool = False,
    ) -> AsyncIterator[Self]:
        admission = Admission(
            shed_above_lag_ms=shed_above_lag_ms,
            handshake_slots=handshake_slots,
            window_connections=window_connections,
            window_s=60,
            close_1013=close_1013,
        )
        controls = Controls(admission=admission)
        pod = Pod(Settings(name="served", token="t", cancel_gone=cancel_gone, controls=controls))
        runner = web.AppRunner(pod.public_app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            with contextlib.ExitStack() as sockets:
                yield cls(pod, runner.addresses[0][1], sockets)
        finally:
            pod.drop(1, random.Random(0))
            await runner.cleanup()

    def connect(self) -> socket.socket:
        """Kernels make connections by themselves; the pod's loop need not have come to it."""
        return self.sockets.enter_context(socket.create_connection(("127.0.0.1", self.port)))

    async def upgrade(self) -> tuple[str, socket.socket]:
        """Asks for a WebSocket; returns the beginning of the answer."""
        client = self.connect()
        client.sendall(UPGRADE)
        client.setblocking(False)
        answer = await asyncio.get_running_loop().sock_recv(client, 65_536)
        return answer.decode(errors="replace"), client

    async def until(self, **totals: int) -> None:
        """Waits until the pod has counted so much."""
        await eventually(lambda: totals.items() <= self.pod.totals.items())

    def slots_held(self) -> int:
        return self.pod.admitter.slots_held(time.monotonic_ns())


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits for what is bound to happen."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def drive(scenario: Callable[[], Awaitable[None]], loop: str = "uvloop") -> None:
    """Runs it on one of the loops."""

    async def main() -> None:
        await scenario()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "not cancelled"])
def test_an_upgrade_is_not_paid_for_once_its_client_has_left(
    loop: str, cancel: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with Served.start(cancel_gone=cancel) as served:
            # By the time the loop comes to the request, the client has been and gone.
            with served.connect() as client:
                client.sendall(UPGRADE)
            await served.until(handshakes=1, **({"gone_early": 1} if cancel else {}))
            assert served.cost.stages == ([] if cancel else ["upgrade"])
            assert served.pod.totals["joined"] == 0

    drive(scenario, loop)
    assert caplog.text == ""


def test_a_client_that_resets_while_it_is_paid_for_leaves_neither_a_slot_nor_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with Served.start(handshake_slots=1) as served:

            def reset() -> None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()

            served.cost.upgrade = reset  # type: ignore[method-assign]
            client = served.connect()
            client.sendall(UPGRADE)
            await served.until(handshakes=1)
            await eventually(lambda: served.slots_held() == 0)

    drive(scenario)
    assert caplog.text == ""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("farewell", [b"", CLOSE], ids=["silently", "politely"])
def test_a_join_is_not_paid_for_once_its_client_has_left(loop: str, farewell: bytes) -> None:
    async def scenario() -> None:
        async with Served.start(cancel_gone=True) as served:
            answer, client = await served.upgrade()
            assert answer.startswith("HTTP/1.1 101 ")
            client.sendall(JOIN + farewell)
            client.close()
            await served.until(gone_early=1)
            assert served.cost.stages == ["upgrade"]
            assert served.pod.totals["joined"] == 0

    drive(scenario, loop)


async def _left_after_the_upgrade(served: Served) -> None:
    _, client = await served.upgrade()
    client.close()


async def _left_politely(served: Served) -> None:
    _, client = await served.upgrade()
    client.sendall(CLOSE)
    client.close()


async def _left_with_a_reset(served: Served) -> None:
    _, client = await served.upgrade()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def _left_before_the_upgrade(served: Served) -> None:
    with served.connect() as client:
        client.sendall(UPGRADE)


async def _left_while_it_joined(served: Served) -> None:
    _, client = await served.upgrade()
    client.sendall(JOIN)
    client.close()


async def _left_after_polling(served: Served) -> None:
    async with ClientSession() as http:
        sid = await open_by_polling(served, http)
        async with http.post(f"{served.open_url}&sid={sid}", data="1") as answer:
            assert answer.status == 200


async def _left_between_polling_and_the_join(served: Served) -> None:
    async with ClientSession() as http:
        sid = await open_by_polling(served, http)
        url = served.open_url.replace("polling", "websocket")
        websocket = await http.ws_connect(f"{url}&sid={sid}")
        await websocket.send_str("2probe")
        assert await websocket.receive_str() == "3probe"
        await websocket.send_str("5")
        await websocket.close()


@pytest.mark.parametrize(
    "leave",
    [
        _left_before_the_upgrade,
        _left_after_the_upgrade,
        _left_politely,
        _left_with_a_reset,
        _left_while_it_joined,
        _left_after_polling,
        _left_between_polling_and_the_join,
    ],
)
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "not cancelled"])
def test_a_handshake_is_either_joined_or_gone_early_and_counted_once(
    leave: Callable[[Served], Awaitable[None]], cancel: bool
) -> None:
    async def scenario() -> None:
        async with Served.start(cancel_gone=cancel) as served, ClientSession() as http:
            totals = served.pod.totals
            await leave(served)
            await eventually(lambda: totals["joined"] + totals["gone_early"] == 1)
            await leave(served)
            await eventually(lambda: totals["joined"] + totals["gone_early"] == 2)
            await join_by_websocket(served, http)
            await eventually(lambda: totals["joined"] + totals["gone_early"] == 3)
            assert totals["handshakes"] == 3
            assert totals["joined"] == 1 or leave is _left_while_it_joined

    drive(scenario)


async def join_by_websocket(served: Served, http: ClientSession) -> None:
    """Opens and joins on one connection."""
    websocket = await http.ws_connect(served.open_url.replace("polling", "websocket"))
    served.websockets.append(websocket)
    await websocket.send_str("40")


async def join_by_polling(served: Served, http: ClientSession) -> None:
    """Opens by one request and joins by another."""
    sid = await open_by_polling(served, http)
    async with http.post(f"{served.open_url}&sid={sid}", data="40") as answer:
        assert answer.status == 200


async def join_after_the_upgrade(served: Served, http: ClientSession) -> None:
    """Opens by polling and joins on the WebSocket that takes over."""
    sid = await open_by_polling(served, http)
    websocket = await http.ws_connect(served.open_url.replace("polling", "websocket") + f"&sid={sid}")
    served.websockets.append(websocket)
    await websocket.send_str("2probe")
    assert await websocket.receive_str() == "3probe"
    await websocket.send_str("5")
    await websocket.send_str("40")


async def open_by_polling(served: Served, http: ClientSession) -> str:
    """The Engine.IO session that the pod opens."""
    async with http.get(served.open_url) as answer:
        assert answer.status == 200
        return str(json.loads((await answer.text())[1:])["sid"])


@pytest.mark.parametrize("join", [join_by_websocket, join_by_polling, join_after_the_upgrade])
@pytest.mark.parametrize("loop", LOOPS)
def test_clients_that_stay_get_in_one_after_the_other_with_everything_switched_on(
    loop: str, join: Callable[[Served, ClientSession], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        async with (
            Served.start(cancel_gone=True, handshake_slots=1, shed_above_lag_ms=60_000) as served,
            ClientSession() as http,
        ):
            for count in (1, 2):
                await join(served, http)
                await served.until(joined=count)
                assert served.slots_held() == 0
            assert served.cost.stages == ["upgrade", "join"] * 2
            assert (served.pod.totals["shed"], served.pod.totals["gone_early"]) == (0, 0)
            assert served.pod.drop(0.5, random.Random(0)) == 1

    drive(scenario, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_join_by_polling_is_not_paid_for_once_its_client_has_left(loop: str) -> None:
    async def scenario() -> None:
        async with Served.start(cancel_gone=True) as served, ClientSession() as http:
            sid = await open_by_polling(served, http)
            with served.connect() as client:
                client.sendall(
                    f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: pod\r\n"
                    "Content-Length: 2\r\n\r\n40".encode()
                )
            await served.until(gone_early=1)
            assert served.cost.stages == ["upgrade"]
            assert served.pod.totals["joined"] == 0

    drive(scenario, loop)


def test_a_broadcast_is_paid_for_every_client_that_has_joined() -> None:
    async def scenario() -> None:
        async with Served.start() as served, ClientSession() as http:
            for count in (1, 2, 3):
                await join_by_websocket(served, http)
                await served.until(joined=count)
            await served.pod._broadcast({"seq": 0})
            assert served.cost.stages[-1] == "deliver to 3"
            assert served.pod.totals["ticks_sent"] == 3

    drive(scenario)


def test_a_full_pod_refuses_before_it_pays_and_opens_again_when_a_handshake_ends() -> None:
    async def scenario() -> None:
        async with Served.start(handshake_slots=1) as served:
            _, holder = await served.upgrade()
            answer, _ = await served.upgrade()
            head, _, body = answer.partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 503 ")
            assert "\r\nRetry-After: 1\r\n" in head
            assert body == ""
            assert (served.pod.totals["shed"], served.pod.totals["handshakes"]) == (1, 1)
            assert served.cost.stages == ["upgrade"]
            holder.close()
            await eventually(lambda: served.slots_held() == 0)
            answer, client = await served.upgrade()
            assert answer.startswith("HTTP/1.1 101 ")
            client.sendall(JOIN)
            await served.until(joined=1)
            answer, _ = await served.upgrade()
            assert answer.startswith("HTTP/1.1 101 ")

    drive(scenario)


def test_a_request_that_is_answered_otherwise_holds_no_slot_and_a_silent_poll_holds_one_for_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with Served.start(handshake_slots=1) as served, ClientSession() as http:
            for version, status in ((3, 400), (4, 200), (4, 503)):
                async with http.get(served.open_url.replace("EIO=4", f"EIO={version}")) as answer:
                    assert answer.status == status
            now_ns = time.monotonic_ns()
            monkeypatch.setattr("gateway_stub.app.time.monotonic_ns", lambda: now_ns + 11_000_000_000)
            async with http.get(served.open_url) as answer:
                assert answer.status == 200

    drive(scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_that_has_waited_at_the_door_is_shed_however_fast_the_loop_turns(loop: str) -> None:
    async def scenario() -> None:
        async with Served.start(shed_above_lag_ms=100) as served:
            client = served.connect()
            client.sendall(UPGRADE)
            time.sleep(0.15)  # noqa: ASYNC251
            await served.until(shed=1)
            assert served.pod.monitor.current_lag_ms() == 0
            assert client.recv(65_536).startswith(b"HTTP/1.1 503 ")

    drive(scenario, loop)


def test_who_has_no_connection_or_one_that_tells_nothing_has_not_waited() -> None:
    class Told(asyncio.Transport):
        """A connection on which the kernel answers so."""

        def __init__(self, answer: bytes | None, *, closing: bool = False) -> None:
            super().__init__({"socket": self})
            self.answer, self.closing = answer, closing

        def is_closing(self) -> bool:
            return self.closing

        def getsockopt(self, *_: int) -> bytes:
            if self.answer is None:
                raise OSError
            return self.answer

    seven_ms = bytes(52) + (7).to_bytes(4, sys.byteorder)
    assert waited_ms(None) == 0
    assert [waited_ms(Told(answer)) for answer in (seven_ms, None, b"short")] == [7, 0, 0]
    assert waited_ms(Told(seven_ms, closing=True)) == 0


def test_a_lagging_pod_sheds_newcomers_and_only_those() -> None:
    async def scenario() -> None:
        async with (
            Served.start(shed_above_lag_ms=60_000) as served,
            ClientSession() as http,
        ):
            sid = await open_by_polling(served, http)
            served.pod.monitor.current_lag_ms = lambda: 60_000.5  # type: ignore[method-assign]
            async with http.get(served.open_url) as answer:
                assert (answer.status, await answer.read()) == (503, b"")
            async with http.post(f"{served.open_url}&sid={sid}", data="40") as answer:
                assert answer.status == 200
            async with http.get(served.url + LIVENESS_PATH) as answer:
                assert answer.status == 200
            assert {"shed": 1, "handshakes": 1, "joined": 1}.items() <= served.pod.totals.items()

    drive(scenario)


def test_an_address_that_connects_too_often_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        async with Served.start(window_connections=1) as served:
            assert (await served.upgrade())[0].startswith("HTTP/1.1 101 ")
            answer, _ = await served.upgrade()
            assert answer.startswith("HTTP/1.1 429 ")
            assert "\r\nRetry-After: 60\r\n" in answer
            assert served.pod.totals["shed"] == 1

    drive(scenario)


def test_a_websocket_may_be_accepted_and_closed_with_1013_in_place_of_a_status() -> None:
    async def scenario() -> None:
        async with Served.start(window_connections=1, close_1013=True) as served:
            await served.upgrade()
            answer, client = await served.upgrade()
            assert answer.startswith("HTTP/1.1 101 ")
            loop = asyncio.get_running_loop()
            while "try again later" not in answer:
                answer += (await loop.sock_recv(client, 65_536)).decode(errors="replace")
            assert answer.encode(errors="replace").endswith(b"try again later")
            await loop.sock_sendall(client, CLOSE)
            await served.until(shed=1)
            async with ClientSession() as polling, polling.get(served.open_url) as response:
                assert response.status == 429

    drive(scenario)
