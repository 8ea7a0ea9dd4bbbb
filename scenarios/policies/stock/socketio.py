"""Clients of Socket.IO in the languages that have one."""

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import ClassVar

from scenarios.policies.backoff import (
    Milliseconds,
    Seconds,
    Share,
    backo2_ms,
    capped_backo2_ms,
    times_power_of_two,
)
from scenarios.policies.outcome import OutcomeKind
from scenarios.policies.stock.client import REFUSED_BY_THE_NAMESPACE, Attempts, StockClient, at_most


class Manager(StockClient, frozen=True, kw_only=True):
    """The options that the JavaScript client and its translations share."""

    reconnection: bool = True
    """Whether it reconnects at all."""
    reconnectionAttempts: Attempts | None = None
    """Attempts after which it gives up; left out: never."""
    reconnectionDelay: Milliseconds = 1000.0
    """Delay before attempt 0, without jitter, in milliseconds."""
    reconnectionDelayMax: Milliseconds = 5000.0
    """Cap of the delay, in milliseconds."""
    randomizationFactor: Share = 0.5
    """Largest deviation, as a share of the delay before its cap."""

    stops_on = REFUSED_BY_THE_NAMESPACE

    def curve(self, rng: random.Random) -> Iterator[float]:
        delays = (self.delay_ms(n, rng.random()) / 1000 for n in itertools.count())
        return at_most(self.reconnectionAttempts if self.reconnection else 0, delays)

    def delay_ms(self, n: int, draw: float) -> float:
        """The delay before attempt n, where `draw` is the random number."""
        raise NotImplementedError


class SocketIoJs(Manager, frozen=True, kw_only=True):
    """socket.io-client for JavaScript caps the delay after the jitter, so the cap has no jitter.

        ms = reconnectionDelay·2ⁿ; r = random(); dev = ⌊r·randomizationFactor·ms⌋
        ms -= dev where ⌊10·r⌋ is even, else ms += dev
        delay(n) = ⌊min(ms, reconnectionDelayMax)⌋ ms

    One random number gives both sign and size, so the multipliers form a comb over [0.55, 1.5). An option of
    0 milliseconds means its default. After about a thousand attempts the arithmetic overflows, and half of
    the delays are 0. The attempts start over at the transport's open, before the namespace has answered; an
    HTTP status, a time-out and a closed transport all lead to the next attempt.
    Source: socketio/socket.io, packages/socket.io-client/lib/contrib/backo2.ts, manager.ts and socket.ts.
    """

    library = "socket.io-client (JavaScript)"
    version = "4.8.4"
    package = "npm:socket.io-client"
    sees = "browser"
    former: ClassVar[Mapping[str, str]] = {
        "min_ms": "reconnectionDelay",
        "max_ms": "reconnectionDelayMax",
        "jitter": "randomizationFactor",
    }

    def delay_ms(self, n: int, draw: float) -> float:
        bounds_ms = (self.reconnectionDelay or 1000, self.reconnectionDelayMax or 5000)
        return capped_backo2_ms(*bounds_ms, self.randomizationFactor, n, draw)


class SocketIoJava(Manager, frozen=True, kw_only=True):
    """socket.io-client for Java caps after the jitter, and never waits less than its first delay.

        ms = reconnectionDelay·2ⁿ ± ⌊r·randomizationFactor·reconnectionDelay·2ⁿ⌋
        delay(n) = max(reconnectionDelay, min(ms, reconnectionDelayMax)) ms

    Sign and size come from one random number, as in JavaScript. The lower bound makes half of the clients
    wait exactly the first delay before their first attempt.
    Source: socketio/socket.io-client-java, src/main/java/io/socket/backo/Backoff.java.
    """

    library = "socket.io-client (Java)"
    version = "2025.02"

    def delay_ms(self, n: int, draw: float) -> float:
        # Big integers: no overflow, however many attempts there have been.
        ms = backo2_ms(self.reconnectionDelay, self.randomizationFactor, min(n, 900), draw)
        return max(int(min(ms, self.reconnectionDelayMax)), self.reconnectionDelay)


class SocketIoDart(Manager, frozen=True, kw_only=True):
    """socket_io_client for Dart and Flutter caps the delay after the jitter, so the cap has no jitter.

        ms = reconnectionDelay·2ⁿ; r = random(); dev = ⌊r·randomizationFactor·ms⌋
        ms -= dev where ⌊10·r⌋ is even, else ms += dev
        delay(n) = min(ms, reconnectionDelayMax) ms, or reconnectionDelayMax where that is 0

    Integers of 64 bits overflow after some fifty attempts; the delay is then the cap.
    Source: rikulo/socket.io-client-dart, lib/src/manager.dart.
    """

    library = "socket_io_client (Dart)"
    version = "3.1.6"

    def delay_ms(self, n: int, draw: float) -> float:
        ms = backo2_ms(self.reconnectionDelay, self.randomizationFactor, min(n, 900), draw)
        return min(ms, self.reconnectionDelayMax) or self.reconnectionDelayMax


class SocketIoGo(Manager, frozen=True, kw_only=True):
    """The Socket.IO client for Go caps the delay, adds jitter, and bounds it again on both sides.

        ms = min(reconnectionDelay·2ⁿ, reconnectionDelayMax)
        ms += randomizationFactor·ms·U(-1, 1)
        delay(n) = ⌊max(reconnectionDelay, min(ms, reconnectionDelayMax))⌋ ms

    Half of the clients wait exactly the first delay before their first attempt. At the cap, half wait exactly
    the cap, and half are spread below it.
    Source: zishang520/socket.io, pkg/utils/backo2.go and clients/socket/manager.go.
    """

    library = "zishang520/socket.io (Go)"
    version = "2026.04"

    def delay_ms(self, n: int, draw: float) -> float:
        least, most = sorted((self.reconnectionDelay, self.reconnectionDelayMax))
        ms = min(max(times_power_of_two(least, n), least), most)
        ms += self.randomizationFactor * ms * (2 * draw - 1)
        return int(max(least, min(ms, most)))


class SocketIoSwift(StockClient, frozen=True, kw_only=True):
    """socket.io-client for Swift makes its first attempt immediately, and loses its jitter at the cap.

        delay(0) = 0
        v = reconnectWait·1.5ⁿ·(1 + U(0, randomizationFactor))
        delay(n) = max(reconnectWait, min(v, reconnectWaitMax)) for n ≥ 1

    The library counts a delay from the start of the last attempt; here it counts from its end.
    Source: socketio/socket.io-client-swift, Source/SocketIO/Manager/SocketManager.swift.
    """

    library = "socket.io-client-swift"
    version = "16.1.1"
    stops_on = REFUSED_BY_THE_NAMESPACE

    reconnects: bool = True
    """Whether it reconnects at all."""
    reconnectAttempts: Attempts | None = None
    """Attempts after which it gives up; left out: never."""
    reconnectWait: Seconds = 10.0
    """Shortest delay after the first attempt, in seconds."""
    reconnectWaitMax: Seconds = 30.0
    """Cap of the delay, in seconds."""
    randomizationFactor: Share = 0.5
    """Largest jitter, as a share of the delay before its cap."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        return at_most(self.reconnectAttempts if self.reconnects else 0, self._endless(rng))

    def _endless(self, rng: random.Random) -> Iterator[float]:
        yield 0.0
        for n in itertools.count(1):
            delay_s = self.reconnectWait * 1.5 ** min(n, 900)
            delay_s += rng.random() * self.randomizationFactor * delay_s
            yield max(self.reconnectWait, min(delay_s, self.reconnectWaitMax))


class SocketIoCpp(StockClient, frozen=True, kw_only=True):
    """socket.io-client for C++ has no jitter: clients that are disconnected together stay together.

        delay(n) = ⌊min(reconnect_delay·1.5ⁿ, reconnect_delay_max)⌋ ms

    A close that the server starts with code 1000 is final. A refused namespace leaves the transport open, and
    makes no attempt either.
    Source: socketio/socket.io-client-cpp, src/internal/sio_client_impl.cpp.
    """

    library = "socket.io-client-cpp"
    version = "2025.05"
    stops_on = REFUSED_BY_THE_NAMESPACE

    reconnect_attempts: Attempts | None = None
    """Attempts after which it gives up; left out: never (2³² - 1)."""
    reconnect_delay: Milliseconds = 5000.0
    """First delay, in milliseconds."""
    reconnect_delay_max: Milliseconds = 25_000.0
    """Cap of the delay, in milliseconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return at_most(self.reconnect_attempts, self._endless())

    def _endless(self) -> Iterator[float]:
        for n in itertools.count():
            yield int(min(self.reconnect_delay * 1.5 ** min(n, 32), self.reconnect_delay_max)) / 1000


class PythonSocketIO(StockClient, frozen=True, kw_only=True):
    """python-socketio adds a jitter of a fixed number of seconds after the cap, so it is never lost.

        delay(n) = max(0, min(reconnection_delay·2ⁿ, reconnection_delay_max) + randomization_factor·(2·u - 1))
        u = random()

    The jitter is in seconds, whatever the delay: with reconnection_delay = 0.2, 30 % of the clients reconnect
    immediately. A refused namespace is a failed attempt like any other; the attempts start over once the
    namespace has been joined. A client whose namespace the server disconnects stays disconnected.
    Source: miguelgrinberg/python-socketio, AsyncClient._handle_reconnect.
    """

    library = "python-socketio"
    version = "5.18.1"
    package = "pypi:python-socketio"
    former: ClassVar[Mapping[str, str]] = {
        "min_s": "reconnection_delay",
        "max_s": "reconnection_delay_max",
        "jitter_s": "randomization_factor",
    }
    reset = "joined"
    stops_on = frozenset({OutcomeKind.NAMESPACE_DISCONNECT})

    reconnection: bool = True
    """Whether it reconnects at all."""
    reconnection_attempts: Attempts = 0
    """Attempts after which it gives up; 0: never."""
    reconnection_delay: Seconds = 1.0
    """Delay before attempt 0, without jitter, in seconds."""
    reconnection_delay_max: Seconds = 5.0
    """Cap of the delay, without jitter, in seconds."""
    randomization_factor: Seconds = 0.5
    """Largest deviation, in seconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        return at_most((self.reconnection_attempts or None) if self.reconnection else 0, self._endless(rng))

    def _endless(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            delay_s = min(times_power_of_two(self.reconnection_delay, n), self.reconnection_delay_max)
            yield max(0.0, delay_s + self.randomization_factor * (2 * rng.random() - 1))
