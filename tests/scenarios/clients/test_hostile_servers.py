"""Our real clients against servers that misbehave: every way ends in the outcome or disconnect that fits.

All servers live in this process, each case with its own port. The clients, one for each case, share a hub
in a process of their own, patched as under Locust: `drive` below is what runs there.
"""

import asyncio
import contextlib
import itertools
import os
import re
import resource
import socket as sockets
import ssl
import struct
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Any

import msgspec
import pytest
from engineio import packet as engineio
from msgspec import Struct, field
from socketio import packet as socketio
from websockets.frames import Opcode

from reports.rundir.columns import OUTCOMES
from scenarios.scenario.model import Fleet, Scenario, Target
from scenarios.wire.interval import DISCONNECTS, Interval
from scenarios.wire.orders import Finalise, GeneratorSettings
from tests.support.server_bytes import (
    HANDSHAKE,
    HEAD,
    JOIN,
    body,
    engine,
    frame,
    open_packet,
    response,
    socket,
    socket_packets,
)

POLICY = {"name": "socketio-js", "min_ms": 100.0, "max_ms": 100.0, "jitter": 0.0}
TIRELESS = {**POLICY, "name": "incident"}
"""The same delays for a client that stops after nothing."""
TICK_S = 0.05
DEADLINE_S = 120.0
STAY_S = 1.2
PINGS = {"pingInterval": 250_000}
"""Good servers send ticks here, and no pings; a slow machine takes longer than the usual 25 s."""
OPEN = engine(engineio.OPEN, {**HANDSHAKE, **PINGS})


# -- what a server can do ---------------------------------------------------------------------------


class Peer(Struct):
    """A connection as a server has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> tuple[str, str]:
        """(method, target) of the next request; its body is read, too."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        await self.reader.readexactly(int(length[1]) if length else 0)
        method, target, *_ = head.decode().split()
        return method, target


Step = Callable[[Peer], Awaitable[object]]
Serve = Callable[[Peer], Awaitable[None]]


def send(data: bytes) -> Step:
    async def step(peer: Peer) -> None:
        peer.writer.write(data)
        await peer.writer.drain()

    return step


def drip(data: bytes) -> Step:
    """A byte every few milliseconds."""

    async def step(peer: Peer) -> None:
        for place in range(len(data)):
            await send(data[place : place + 1])(peer)
            await asyncio.sleep(0.002)

    return step


def again(data: bytes) -> Step:
    """The same bytes for ever, at a pace that hurts nobody."""

    async def step(peer: Peer) -> None:
        while True:
            await send(data)(peer)
            await asyncio.sleep(0.05)

    return step


def heard(data: bytes) -> Step:
    """Waits until the client has said this."""

    async def step(peer: Peer) -> None:
        said = b""
        while data not in said:
            more = await peer.reader.read(65_536)
            if not more:
                raise EOFError
            said += more

    return step


def beneath_tls(data: bytes) -> Step:
    """Goes out as it is, on a connection that has TLS."""

    async def step(peer: Peer) -> None:
        os.write(peer.writer.get_extra_info("socket").fileno(), data)

    return step


async def asked(peer: Peer) -> None:
    await peer.request()


async def silence(peer: Peer) -> None:
    """Says nothing until the client has gone."""
    while await peer.reader.read(65_536):
        pass


async def deaf(peer: Peer) -> None:
    """Reads nothing any more."""
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]


async def pause(peer: Peer) -> None:
    """Lets the client read what has been sent."""
    await asyncio.sleep(0.1)


async def sulk(peer: Peer) -> None:
    """Does nothing at all."""
    await asyncio.sleep(DEADLINE_S)


async def reset(peer: Peer) -> None:
    peer.writer.get_extra_info("socket").setsockopt(
        sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0)
    )
    peer.writer.transport.abort()


def tick_now() -> list[Any]:
    now = monotonic_ns()
    return ["tick", {"seq": now // int(TICK_S * 1e9), "due_ns": now}]


async def ticks(peer: Peer) -> None:
    """A good server's feed."""
    while True:
        await send(socket(socketio.EVENT, tick_now()))(peer)
        await asyncio.sleep(TICK_S)


async def old_ticks(peer: Peer) -> None:
    """A feed whose times count from a day long ago, in the wrong unit."""
    for seq in itertools.count():
        await send(socket(socketio.EVENT, ["tick", {"seq": seq, "due_ns": 10 * seq}]))(peer)
        await asyncio.sleep(TICK_S)


STAGES: dict[str, list[Step]] = {
    "accepted": [asked],
    "asked": [send(HEAD)],
    "switched": [send(OPEN)],
    "opened": [heard(b"40"), send(JOIN)],
    "joined": [ticks],
}
"""A good server over WebSocket, by how far the client has come."""

UPGRADE_STAGES: dict[str, list[Step]] = {
    "upgrade": [send(HEAD)],
    "switched": [heard(b"2probe"), send(engine(engineio.PONG, "probe"))],
    "probed": [heard(b"5")],
    "upgraded": [ticks],
}
"""The same for a session that comes from polling."""


def script(stages: Mapping[str, list[Step]], at: str, steps: list[Step]) -> list[Step]:
    """What a server does that is good up to a stage and then takes these steps."""
    before = [
        step for number, name in enumerate(stages) if number < list(stages).index(at) for step in stages[name]
    ]
    return [*before, *steps]


async def perform(peer: Peer, steps: list[Step]) -> None:
    for step in steps:
        await step(peer)


def over_websocket(at: str, *steps: Step) -> Serve:
    return lambda peer: perform(peer, script(STAGES, at, list(steps)))


class Polling:
    """A server over polling, good but for some stages; those of `UPGRADE_STAGES` are on the WebSocket."""

    def __init__(
        self,
        instead: Mapping[str, list[Step]],
        *,
        upgrades: bool = True,
        close: bool = False,
        answer_by: Callable[[bytes], Step] = send,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self._instead = instead
        self._upgrades = ["websocket"] if upgrades else []
        self._headers = {"Connection": "close"} if close else {}
        self._answer_by = answer_by
        self._changes = changes or {}
        self._polls: Counter[str] = Counter()

    async def __call__(self, peer: Peer) -> None:
        if "accepted" in self._instead:
            await perform(peer, self._instead["accepted"])
            return
        while True:
            stage = self._stage(*await peer.request())
            if stage == "websocket":
                at = next((name for name in UPGRADE_STAGES if name in self._instead), "upgraded")
                await perform(peer, script(UPGRADE_STAGES, at, self._instead.get(at, [ticks])))
                return
            if stage in self._instead:
                await perform(peer, self._instead[stage])
                return
            await self._answer_by(response(await self._answer(stage), headers=self._headers))(peer)
            if self._headers:
                return

    def _stage(self, method: str, target: str) -> str:
        _, _, sid = target.partition("&sid=")
        if "transport=websocket" in target:
            return "websocket"
        if not sid:
            return "handshake"
        if method == "POST":
            return "post"
        self._polls[sid] += 1
        return "poll for the join" if self._polls[sid] == 1 else "poll"

    async def _answer(self, stage: str) -> bytes:
        if stage == "handshake":
            return body(open_packet(*self._upgrades, sid=f"s{monotonic_ns()}", **{**PINGS, **self._changes}))
        if stage == "post":
            return b"ok"
        if stage == "poll for the join":
            return body(*socket_packets(socketio.CONNECT, {"sid": "b"}))
        await asyncio.sleep(TICK_S)
        return body(*socket_packets(socketio.EVENT, tick_now()))


# -- the cases --------------------------------------------------------------------------------------


class Case(Struct, frozen=True):
    """A server, and what has to become of its client: the outcome of its tries, and how its sessions end."""

    serve: Serve | None
    """None refuses the connection."""
    outcome: str = "joined"
    disconnect: str = ""
    """Empty for a client that stays."""
    transport: str = "websocket"
    tls: bool | None = None
    """None for http://; False for a server that does not know of its https://."""
    target: dict[str, Any] = {}
    trusts: bool = False
    """The client is given the server's certificate."""
    policy: dict[str, Any] = field(default_factory=lambda: POLICY)
    stops: str = ""
    """After what it stops for good; empty for a client that comes back."""

    @property
    def needs_certificate(self) -> bool:
        """Whether its server speaks TLS."""
        return bool(self.tls)

    @property
    def ends(self) -> int:
        """How many tries and sessions have to end before all has been seen."""
        if self.stops:
            return 2 if self.disconnect else 1
        if self.outcome != "joined":
            return 3
        return 4 if self.disconnect else 1


def status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} No\r\nRetry-After: 1\r\nLocation: /\r\nContent-Length: 2\r\n\r\nno".encode()


def text(content: str) -> bytes:
    return frame(Opcode.TEXT, content.encode())


def opening(**changes: Any) -> str:
    return "0" + msgspec.json.encode({**HANDSHAKE, **changes}).decode()


FRAGMENT, EMPTY = frame(Opcode.TEXT, b"", final=False), frame(Opcode.CONT, b"", final=False)
BIG_PING = engine(engineio.PING, "x" * 1_500_000)
HALF_A_TICK = socket(socketio.EVENT, ["tick", {"seq": 1}])[:-3]
NO_LETTER = b"\xfc"
STATUSES = {
    429: "limited",
    503: "limited",
    502: "refused",
    504: "refused",
    404: "rejected",
    302: "rejected",
    500: "rejected",
}
NO_FRAMES = {
    "masks a frame": b"\x81\x81\0\0\0\x006",
    "sets a reserved bit": b"\xc1\x016",
    "takes an unknown opcode": b"\x83\x00",
    "announces a frame of 2**63 bytes": b"\x82\x7f\x80" + bytes(7),
    "announces a frame above the limit": b"\x82\x7f" + (16_000_001).to_bytes(8, "big"),
    "fragments a ping": b"\x09\x00",
    "continues a message that never began": b"\x80\x00",
    "sends no Engine.IO": text("hello"),
    "sends no Socket.IO": text("47[]"),
    "sends an empty message": text(""),
    "opens the session twice": OPEN,
}
NO_TICKS = {
    "breaks the JSON of a tick": '42["tick",{"seq":1,]',
    "nests a tick without end": '42["tick",' + "[" * 50_000,
    "numbers a tick beyond 64 bits": '42["tick",{"seq":9223372036854775808,"due_ns":1}]',
    "sends text instead of an attachment": '451-["image",{}]',
}
NO_OPENS = {
    "opens without content": "0",
    "opens with something else than JSON": "0{sid:a}",
    "opens without a session": '0{"pingInterval":1,"pingTimeout":1}',
    "opens with a ping interval beyond all numbers": opening().replace("25000", "9" * 400),
    "opens with a ping interval of 2**31 ms": opening(pingInterval=2**31),
    "opens with a negative ping time-out": opening(pingTimeout=-1),
    "opens nested without end": '0{"a":' + "[" * 50_000,
}

# Sentence: where, and what the server does there.
Tries = dict[str, tuple[str, list[Step]]]

LET_JOIN = [heard(b"40"), send(JOIN)]
FAILED_TRIES: dict[str, Tries] = {
    "timeout": {
        "accepts and says nothing": ("accepted", [silence]),
        "accepts and reads nothing": ("accepted", [deaf, sulk]),
        "drips a header without end": ("asked", [send(HEAD[:-2]), again(b"x")]),
        "switches and says nothing": ("switched", [silence]),
        "switches and only pings": ("switched", [again(frame(Opcode.PING, b"x"))]),
        "switches and sends empty fragments for ever": ("switched", [send(FRAGMENT), again(EMPTY * 500)]),
        "switches and stops in its open": ("switched", [send(OPEN[:-3]), silence]),
        "opens and never lets join": ("opened", [silence]),
        "opens and only pings": ("opened", [again(engine(engineio.PING))]),
        "opens and lets join another namespace": (
            "opened",
            [send(socket(socketio.CONNECT, {"sid": "b"}, "/other")), silence],
        ),
        "opens and sends ticks without a join": ("opened", [ticks]),
    },
    "reset": {
        "closes at once": ("accepted", []),
        "closes without an answer": ("asked", []),
        "closes in its header": ("asked", [send(HEAD[:50])]),
        "resets at once": ("accepted", [reset]),
        "resets instead of an answer": ("asked", [reset]),
        "switches and closes": ("switched", []),
        "switches and resets": ("switched", [reset]),
        "switches and says goodbye": ("switched", [send(frame(Opcode.CLOSE, b"\x03\xe9")), silence]),
        "switches and closes in its open": ("switched", [send(OPEN[:-3])]),
        "opens and closes": ("opened", []),
        "takes the namespace away before the join": (
            "opened",
            [heard(b"40"), send(socket(socketio.DISCONNECT)), silence],
        ),
        "opens and closes the session": ("opened", [send(engine(engineio.CLOSE)), silence]),
    },
    "broken": {
        "answers garbage": ("asked", [send(b"\0\xff\r\n\r\n"), silence]),
        "answers with another protocol": ("asked", [send(b"SSH-2.0-x\r\n\r\n"), silence]),
        "never ends its header": ("asked", [send(HEAD[:-2]), again(b"X: y\r\n" * 500)]),
        "switches with a wrong accept key": ("asked", [send(HEAD.replace(b"Accept: ", b"Accept: x"))]),
        "opens in another encoding": (
            "switched",
            [send(frame(Opcode.TEXT, b'0{"sid":"%b"}' % NO_LETTER)), silence],
        ),
        **{name: ("switched", [send(text(content)), silence]) for name, content in NO_OPENS.items()},
        **{f"{name} before the join": ("opened", [send(d), silence]) for name, d in NO_FRAMES.items()},
    },
    "rejected": {
        "refuses the namespace": (
            "opened",
            [heard(b"40"), send(socket(socketio.CONNECT_ERROR, {"message": "no"})), silence],
        ),
    },
}
BARELY_PATIENT = [send(text(opening(pingInterval=200, pingTimeout=200))), *LET_JOIN]
ENDED_SESSIONS: dict[str, Tries] = {
    "": {
        "drips its header": ("asked", [drip(HEAD), send(OPEN), *LET_JOIN, ticks]),
        "drips its open": ("switched", [drip(OPEN), *LET_JOIN, ticks]),
        "drips its join": ("opened", [heard(b"40"), drip(JOIN), ticks]),
        "drips everything": ("asked", [drip(HEAD + OPEN + JOIN), ticks]),
        "drips a tick": ("joined", [drip(socket(socketio.EVENT, tick_now())), ticks]),
        "sends everything at once": ("asked", [send(HEAD + OPEN + JOIN), ticks]),
        "stops reading, with its buffers full": ("joined", [deaf, send(BIG_PING * 3), ticks]),
        "sends ticks of long ago": ("joined", [old_ticks]),
    },
    "stale": {
        "goes silent": ("joined", [silence]),
        "goes silent and reads nothing": ("joined", [deaf, sulk]),
        "stops reading, with its buffers full, and goes silent": ("joined", [deaf, send(BIG_PING * 3), sulk]),
        "pings but sends no ticks": ("joined", [again(engine(engineio.PING))]),
        "sends empty fragments for ever": ("joined", [send(FRAGMENT), again(EMPTY * 500)]),
        "stops in the middle of a frame": ("joined", [send(HALF_A_TICK), silence]),
        "promises attachments for ever": (
            "joined",
            [send(text('45999999999-["tick",{"seq":1,"due_ns":2}]')), again(frame(Opcode.BINARY, b"x"))],
        ),
    },
    "ping_timeout": {
        "forgets its own pings": ("switched", [*BARELY_PATIENT, silence]),
        "forgets its own pings but sends ticks": ("switched", [*BARELY_PATIENT, ticks]),
        "forgets its own pings and reads nothing": ("switched", [*BARELY_PATIENT, deaf, sulk]),
        "allows no time for a ping": (
            "switched",
            [send(text(opening(pingInterval=0, pingTimeout=0))), *LET_JOIN, ticks],
        ),
    },
    "dropped": {
        "closes when joined": ("joined", []),
        "closes in the middle of a frame": ("joined", [send(HALF_A_TICK)]),
        "closes the session when joined": ("joined", [send(engine(engineio.CLOSE)), silence]),
        "says goodbye when joined": ("joined", [send(frame(Opcode.CLOSE, b"")), silence]),
        "takes the namespace away": ("joined", [send(socket(socketio.DISCONNECT)), silence]),
        "refuses the namespace that was joined": (
            "joined",
            [send(socket(socketio.CONNECT_ERROR, "no")), silence],
        ),
    },
    "reset": {
        "resets when joined": ("joined", [reset]),
        "pings and resets": ("joined", [send(engine(engineio.PING)), reset]),
        "resets in the middle of a frame": ("joined", [send(HALF_A_TICK), reset]),
        "stops reading, with its buffers full, and resets": (
            "joined",
            [deaf, send(BIG_PING * 3), pause, reset],
        ),
    },
    "broken": {
        "sends a tick that is not UTF-8": (
            "joined",
            [send(frame(Opcode.TEXT, b'42["tick","%b"]' % NO_LETTER)), silence],
        ),
        **{name: ("joined", [send(data), silence]) for name, data in NO_FRAMES.items()},
        **{name: ("joined", [send(text(c) + text("42[]")), silence]) for name, c in NO_TICKS.items()},
    },
}


def packets(*contents: bytes) -> list[Step]:
    return [send(response(b"\x1e".join(contents))), silence]


POLLING_FAILED: dict[str, dict[str, Polling]] = {
    "timeout": {
        "accepts and says nothing": Polling({"accepted": [silence]}),
        "does not answer the handshake": Polling({"handshake": [silence]}),
        "does not answer the join": Polling({"post": [silence]}),
        "does not answer the poll for the join": Polling({"poll for the join": [silence]}),
        "never ends its answer": Polling({"handshake": [send(response(opening().encode())[:-3]), silence]}),
        "sends chunks for ever": Polling(
            {
                "handshake": [
                    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                    again(b"1\r\n0\r\n"),
                ]
            }
        ),
        "hints for ever": Polling({"handshake": [again(b"HTTP/1.1 103 Early Hints\r\n\r\n")]}),
    },
    "reset": {
        "closes at once": Polling({"accepted": []}),
        "resets at once": Polling({"accepted": [reset]}),
        "closes instead of the handshake": Polling({"handshake": []}),
        "resets instead of the handshake": Polling({"handshake": [reset]}),
        "closes in its answer": Polling({"handshake": [send(response(opening().encode())[:-3])]}),
        "closes instead of the join": Polling({"post": []}),
        "closes instead of an answer to the poll": Polling({"poll for the join": []}),
        "closes the session": Polling({"poll for the join": packets(b"1")}),
    },
    "broken": {
        "answers garbage": Polling({"handshake": [send(b"\0\xff\r\n\r\n"), silence]}),
        "never ends its header": Polling(
            {"handshake": [send(b"HTTP/1.1 200 OK\r\n"), again(b"X: y\r\n" * 500)]}
        ),
        "sends a broken chunk": Polling(
            {
                "handshake": [
                    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
                    silence,
                ]
            }
        ),
        "answers with nothing": Polling({"handshake": packets(b"")}),
        "answers with a web page": Polling({"handshake": packets(b"<html></html>")}),
        "breaks base64": Polling({"poll for the join": packets(b'451-["a"]', b"b!")}),
        "opens in another encoding": Polling({"handshake": packets(b'0{"sid":"%b"}' % NO_LETTER)}),
        **{name: Polling({"handshake": packets(content.encode())}) for name, content in NO_OPENS.items()},
    },
    "rejected": {
        "refuses the namespace": Polling({"poll for the join": packets(b'44{"message":"no"}')}),
    },
}
for _status, _outcome in STATUSES.items():
    POLLING_FAILED.setdefault(_outcome, {}).update(
        {
            f"answers the {stage} with {_status}": Polling({stage: [send(status_line(_status)), silence]})
            for stage in ("handshake", "post", "poll for the join")
        }
    )
POLLING_ENDED: dict[str, dict[str, Polling]] = {
    "": {
        "is a good server": Polling({}),
        "offers no WebSocket": Polling({}, upgrades=False),
        "closes after each answer": Polling({}, close=True),
        "closes after each answer and offers no WebSocket": Polling({}, upgrades=False, close=True),
        "drips every answer": Polling({}, answer_by=drip),
        "drips every answer and offers no WebSocket": Polling({}, upgrades=False, answer_by=drip),
        **{
            f"answers {status} to the upgrade": Polling({"upgrade": [send(status_line(status))]})
            for status in STATUSES
        },
        "does not answer the upgrade": Polling({"upgrade": [silence]}),
        "does not read after the upgrade": Polling({"upgrade": [deaf, sulk]}),
        "closes instead of the upgrade": Polling({"upgrade": []}),
        "resets instead of the upgrade": Polling({"upgrade": [reset]}),
        "answers garbage to the upgrade": Polling({"upgrade": [send(b"\0\r\n\r\n"), silence]}),
        "drips the upgrade": Polling(
            {"upgrade": [drip(HEAD), *UPGRADE_STAGES["switched"], *UPGRADE_STAGES["probed"], ticks]}
        ),
        "switches and does not answer the probe": Polling({"switched": [silence]}),
        "switches and closes": Polling({"switched": []}),
        "switches and masks a frame": Polling({"switched": [send(NO_FRAMES["masks a frame"]), silence]}),
        "switches and sends ticks": Polling({"switched": [ticks]}),
    },
    "refused": {
        f"answers a later poll with {status}": Polling(
            {"poll": [send(status_line(status)), silence]}, upgrades=False
        )
        for status in STATUSES
    },
    "stale": {
        "answers no later poll": Polling({"poll": [silence]}, upgrades=False),
        "answers no poll during the upgrade": Polling({"poll": [silence]}),
        "goes silent when upgraded": Polling({"upgraded": [silence]}),
        "stops reading, with its buffers full": Polling({"upgraded": [deaf, send(BIG_PING * 3), sulk]}),
    },
    "ping_timeout": {
        "forgets its own pings": Polling(
            {}, upgrades=False, changes={"pingInterval": 200, "pingTimeout": 200}
        ),
        "forgets its own pings when upgraded": Polling({}, changes={"pingInterval": 200, "pingTimeout": 200}),
        "allows no time for a ping": Polling({}, changes={"pingInterval": 0, "pingTimeout": 0}),
        "allows no time for a ping and closes after each answer": Polling(
            {}, upgrades=False, close=True, changes={"pingInterval": 0, "pingTimeout": 0}
        ),
    },
    "dropped": {
        "closes instead of a later poll": Polling({"poll": []}, upgrades=False),
        "closes the session in a later poll": Polling({"poll": packets(b"1")}, upgrades=False),
        "closes when upgraded": Polling({"upgraded": []}),
        "closes in the middle of a frame": Polling({"upgraded": [send(HALF_A_TICK)]}),
    },
    "reset": {
        "resets instead of a later poll": Polling({"poll": [reset]}, upgrades=False),
        "resets when upgraded": Polling({"upgraded": [reset]}),
    },
    "broken": {
        "answers a later poll with garbage": Polling(
            {"poll": [send(b"\0\r\n\r\n"), silence]}, upgrades=False
        ),
        "breaks base64 in a later poll": Polling({"poll": packets(b'451-["a"]', b"b!")}, upgrades=False),
        "breaks the JSON of a tick": Polling({"poll": packets(b'42["tick",{]')}, upgrades=False),
        "masks a frame when upgraded": Polling({"upgraded": [send(NO_FRAMES["masks a frame"]), silence]}),
    },
}

NAMED = {"server_name": "gateway.test"}
TLS: dict[str, Case] = {
    "has a certificate that nobody knows": Case(over_websocket("joined", ticks), "tls", tls=True),
    "has the certificate that it should have": Case(
        over_websocket("joined", ticks), tls=True, target=NAMED, trusts=True
    ),
    "has a certificate for another name": Case(over_websocket("joined", ticks), "tls", tls=True, trusts=True),
    "has a certificate that does not matter": Case(
        over_websocket("joined", ticks), tls=True, target={"insecure": True}
    ),
    "polls over TLS": Case(Polling({}), tls=True, target=NAMED, trusts=True, transport="polling-upgrade"),
    "goes silent behind TLS": Case(
        over_websocket("joined", silence), disconnect="stale", tls=True, target=NAMED, trusts=True
    ),
    "closes behind TLS": Case(
        over_websocket("joined"), disconnect="dropped", tls=True, target=NAMED, trusts=True
    ),
    "resets behind TLS": Case(
        over_websocket("joined", reset), disconnect="reset", tls=True, target=NAMED, trusts=True
    ),
    "breaks TLS when joined": Case(
        over_websocket("joined", beneath_tls(b"garbage" * 9), silence),
        disconnect="broken",
        tls=True,
        target=NAMED,
        trusts=True,
    ),
    "stops reading, with its buffers full, behind TLS": Case(
        over_websocket("joined", deaf, send(BIG_PING * 3), sulk),
        disconnect="stale",
        tls=True,
        target=NAMED,
        trusts=True,
    ),
    "drips behind TLS": Case(
        over_websocket("asked", drip(HEAD + OPEN + JOIN), ticks), tls=True, target=NAMED, trusts=True
    ),
    "does not know of TLS": Case(
        over_websocket("accepted", send(status_line(400)), silence), "tls", tls=False
    ),
    "says nothing in the TLS handshake": Case(over_websocket("accepted", sulk), "timeout", tls=False),
    "closes in the TLS handshake": Case(over_websocket("accepted", heard(b"\x16\x03")), "reset", tls=False),
    "resets in the TLS handshake": Case(over_websocket("accepted", reset), "reset", tls=False),
    "refuses the connection for TLS": Case(None, "refused", tls=False),
}

STOPPING = {
    "refuses the namespace": "connect_error",
    "takes the namespace away": "namespace_disconnect",
    "takes the namespace away before the join": "namespace_disconnect",
    "refuses the namespace that was joined": "connect_error",
}
"""What socket.io-client makes no further attempt after, by what the server does."""

STOPPED: dict[str, Case] = {
    **{
        f"{name}, for good": Case(
            over_websocket(at, *steps),
            "joined" if disconnect else outcome,
            disconnect=disconnect,
            stops=STOPPING[name],
        )
        for tries, is_session in ((FAILED_TRIES, False), (ENDED_SESSIONS, True))
        for ended, servers in tries.items()
        for outcome, disconnect in ((("joined", ended) if is_session else (ended, "")),)
        for name, (at, steps) in servers.items()
        if name in STOPPING
    },
    "polling: refuses the namespace, for good": Case(
        POLLING_FAILED["rejected"]["refuses the namespace"],
        "rejected",
        transport="polling-upgrade",
        stops="connect_error",
    ),
    "polling: takes the namespace away, for good": Case(
        Polling({"poll": packets(b"41")}, upgrades=False),
        disconnect="dropped",
        transport="polling-upgrade",
        stops="namespace_disconnect",
    ),
}
"""The same servers for a client that stops then."""

CASES: dict[str, Case] = {
    "refuses the connection": Case(None, "refused"),
    "refuses the connection for polling": Case(None, "refused", transport="polling-upgrade"),
    **{
        f"answers the upgrade with {status}": Case(
            over_websocket("asked", send(status_line(status))), outcome
        )
        for status, outcome in STATUSES.items()
    },
    **{
        name: Case(over_websocket(at, *steps), outcome, policy=TIRELESS if name in STOPPING else POLICY)
        for outcome, tries in FAILED_TRIES.items()
        for name, (at, steps) in tries.items()
    },
    **{
        name: Case(
            over_websocket(at, *steps),
            disconnect=disconnect,
            policy=TIRELESS if name in STOPPING else POLICY,
        )
        for disconnect, tries in ENDED_SESSIONS.items()
        for name, (at, steps) in tries.items()
    },
    **{
        f"polling: {name}": Case(
            serve,
            outcome,
            transport="polling-upgrade",
            policy=TIRELESS if name in STOPPING else POLICY,
        )
        for outcome, servers in POLLING_FAILED.items()
        for name, serve in servers.items()
    },
    **{
        f"polling: {name}": Case(serve, disconnect=disconnect, transport="polling-upgrade")
        for disconnect, servers in POLLING_ENDED.items()
        for name, serve in servers.items()
    },
    **TLS,
}


# -- the clients, in a process of their own ---------------------------------------------------------


class Job(Struct):
    """One client, until so many of its tries and sessions have ended."""

    settings: GeneratorSettings
    ends: int


class Fate(Struct):
    """What became of a client, over all seconds."""

    attempts: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    disconnects: dict[str, int] = field(default_factory=dict)
    connected: int = 0
    gave_up: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, interval: Interval) -> None:
        """Takes a second, or a part of one."""
        self.attempts += sum(group.attempts for group in interval.shared_ips.values())
        self.outcomes = Counter(self.outcomes) + Counter(interval.outcomes)
        self.disconnects = Counter(self.disconnects) + Counter(interval.disconnects)
        self.connected = interval.connected
        self.gave_up = Counter(self.gave_up) + Counter(interval.gave_up_by_reason)

    @property
    def ends(self) -> int:
        return sum(self.outcomes.values()) + sum(self.disconnects.values())


class Report(Struct):
    """What the process of the clients has to say."""

    fates: dict[str, Fate]
    descriptors_before: int
    descriptors_after: int
    stderr: str = ""


def descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def drive() -> None:
    """Jobs on stdin, what became of them on stdout."""
    import gevent

    from scenarios.clients.protocol.target import resolve
    from scenarios.generator.process import Generator

    jobs = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, Job])
    # An array for all ticks since a day long ago must fail, not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    fates = {name: Fate() for name in jobs}
    generators = {
        name: Generator(job.settings, resolve(job.settings.scenario.target), fates[name].add)
        for name, job in jobs.items()
    }
    owners = {id(generator.populations[0]): fates[name] for name, generator in generators.items()}
    hub = gevent.get_hub()
    elsewhere = hub.handle_error

    def handle_error(
        context: Any, kind: type[BaseException], error: BaseException, trace: TracebackType
    ) -> None:
        for inner, _ in traceback.walk_tb(trace):
            known = inner.f_locals.get("self")
            fate = owners.get(id(getattr(known, "_population", known)))
            if fate is not None:
                fate.errors.append("".join(traceback.format_exception(error)))
                return
        elsewhere(context, kind, error, trace)

    hub.handle_error = handle_error
    gevent.sleep(0.01)
    before = descriptors()
    clients = [generator.add_client() for generator in generators.values()]
    for client in clients:
        client.start()
    began = monotonic()
    while (passed := monotonic() - began) < DEADLINE_S:
        if passed > STAY_S and all(fates[name].ends >= job.ends for name, job in jobs.items()):
            break
        gevent.sleep(0.2)
        for name, generator in generators.items():
            try:
                generator.obey(Finalise())
            except Exception:
                fates[name].errors.append(traceback.format_exc())
    for client in clients:
        client.stop()
    for generator in generators.values():
        generator.stop()
    while (after := descriptors()) > before and monotonic() - began < DEADLINE_S:
        gevent.sleep(0.05)
    sys.stdout.buffer.write(msgspec.json.encode(Report(fates, before, after)))


# -- the servers, in this process -------------------------------------------------------------------


async def handle(serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await serve(Peer(reader, writer))
    except (OSError, EOFError, asyncio.CancelledError):
        writer.transport.abort()
    else:
        writer.close()


async def start(case: Case, certificate: Path, stack: contextlib.AsyncExitStack) -> int:
    """The port of a case's server."""
    listener = stack.enter_context(sockets.socket())
    listener.bind(("127.0.0.1", 0))
    serve = case.serve
    if serve is not None:
        context = None
        if case.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server = await asyncio.start_server(
            lambda reader, writer: handle(serve, reader, writer), sock=listener, ssl=context
        )
        stack.callback(server.close)
    port: int = listener.getsockname()[1]
    return port


def job(case: Case, port: int, certificate: Path) -> Job:
    fleet = Fleet(
        policy=case.policy,
        transport=case.transport,  # type: ignore[arg-type]
        # Short where they are waited for; where they are not, a slow machine must not make the difference.
        connect_timeout_s=0.3 if case.outcome == "timeout" else DEADLINE_S,
        stale_after_s={"stale": 0.3, "ping_timeout": 0.0}.get(case.disconnect, DEADLINE_S),
        rtt_ms=0,
    )
    scheme = "http" if case.tls is None else "https"
    ca_file = str(certificate) if case.trusts else ""
    target = Target(url=f"{scheme}://127.0.0.1:{port}", ca_file=ca_file, **case.target)
    scenario = Scenario(fleet=fleet, target=target)
    return Job(GeneratorSettings(scenario=scenario, epoch_ns=monotonic_ns()), case.ends)


async def conduct(cases: Mapping[str, Case], certificate: Path) -> Report:
    """Runs all servers, and their clients against them."""
    async with contextlib.AsyncExitStack() as stack:
        jobs = {
            name: job(case, await start(case, certificate, stack), certificate)
            for name, case in cases.items()
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "always::ResourceWarning", "-m", "gevent.monkey", __file__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        stdout, stderr = await process.communicate(msgspec.json.encode(jobs))
        assert process.returncode == 0, stderr.decode()
        report = msgspec.json.decode(stdout, type=Report)
        report.stderr = stderr.decode()
        return report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    from tests.support.needs import available  # not for the process of the clients

    certificate = tmp_path_factory.mktemp("tls") / "gateway.pem"
    if not available("openssl"):
        plain = {name: case for name, case in {**CASES, **STOPPED}.items() if not case.needs_certificate}
        return asyncio.run(conduct(plain, certificate))
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-subj", "/CN=gateway.test", "-addext", "subjectAltName=DNS:gateway.test", "-days", "2"),
            *("-keyout", str(certificate.with_suffix(".key")), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return asyncio.run(conduct({**CASES, **STOPPED}, certificate))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.needs_openssl] if case.needs_certificate else [])
        for name, case in CASES.items()
    ],
)
def test_a_client_ends_as_the_server_deserves_and_comes_back(report: Report, name: str) -> None:
    case, fate = CASES[name], report.fates[name]
    assert fate.errors == []
    assert (set(fate.outcomes), set(fate.disconnects)) == ({case.outcome}, {case.disconnect} - {""})
    assert fate.ends >= case.ends
    # Every try has ended, or is still going on; so has every session.
    assert fate.attempts - sum(fate.outcomes.values()) in {0, 1}
    assert fate.outcomes.get("joined", 0) - sum(fate.disconnects.values()) == fate.connected
    assert case.disconnect or case.outcome != "joined" or fate.connected == 1


@pytest.mark.parametrize("name", STOPPED)
def test_a_client_like_socketio_js_makes_no_further_attempt_after(report: Report, name: str) -> None:
    case, fate = STOPPED[name], report.fates[name]
    assert fate.errors == []
    assert (fate.attempts, fate.outcomes) == (1, {case.outcome: 1})
    assert fate.disconnects == ({case.disconnect: 1} if case.disconnect else {})
    assert fate.gave_up == {case.stops: 1}
    assert fate.connected == 0


def test_only_clients_that_stop_for_good_are_counted_as_such(report: Report) -> None:
    assert {name for name, fate in report.fates.items() if fate.gave_up} == STOPPED.keys()


def test_every_outcome_and_disconnect_that_a_server_can_bring_about_is_among_the_cases() -> None:
    ours = {"exhausted", "abandoned", "no_credentials"}
    assert {case.outcome for case in CASES.values()} == OUTCOMES.keys() - ours
    assert {case.disconnect for case in CASES.values()} - {""} == DISCONNECTS.keys() - {"cut"}


def test_nothing_stays_open_when_all_clients_have_been_stopped(report: Report) -> None:
    assert report.descriptors_after == report.descriptors_before


def test_the_clients_log_is_empty(report: Report) -> None:
    assert report.stderr == ""


if __name__ == "__main__":
    drive()
