"""The channel by which a run takes a standing Locust master: one storm at a time, for whoever has the token.

run ── Hello(token), Begin(settings) ──►  master   waits for its workers, starts a test
    ◄── Begun ── seconds ──
    ── orders ──►
    ── closes ──►                                  stops the test, waits until its workers are ready again
    ◄── closes ──
"""

import contextlib
import hmac
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event
from gevent.server import StreamServer
from locust.runners import STATE_MISSING, STATE_RUNNING, STATE_SPAWNING, MasterRunner

from scenarios.clients.population import cap_of
from scenarios.wire.framing import LONGEST_MESSAGE, FrameError, Unframer, frame
from scenarios.wire.orders import Begin, GeneratorSettings, Hello, Message, Refused
from scenarios.wire.vanishing import notice_when_it_vanishes

log = logging.getLogger("reconnect_storm")

_GREETING_S = 5.0
_LONGEST_GREETING = 4_096
_WORKERS_S = 60.0
_LEAVE_S = 20.0
_BEGIN_S = 10.0
_READY_AGAIN_S = 10.0


class RefusedError(Exception):
    """Why a storm may not begin."""


class Storm:
    """A test that a run has asked for, until either side ends it."""

    def __init__(self, settings: GeneratorSettings, connection: Any) -> None:
        self.settings = settings
        self.connection = connection
        self.reason = ""
        """Why it was not the run that ended it."""
        self.begun = False
        """Whether the run has been told that it begins."""
        self.over = Event()
        """Set when the test is to be stopped."""
        self.closed = Event()
        """Set when all has been said to the run."""

    def end(self, reason: str = "") -> None:
        """Has the test stopped; the first reason counts."""
        if not self.over.is_set():
            self.reason = reason
            self.over.set()


class StormChannel:
    """Listens for runs, and starts and stops tests for them.

    check: raises ValueError where settings cannot be used. expect_workers: how many have to be ready.
    """

    def __init__(
        self,
        runner: MasterRunner,
        address: tuple[str, int],
        token: str,
        *,
        check: Callable[[GeneratorSettings], object],
        expect_workers: int,
    ) -> None:
        self.storm: Storm | None = None
        """The one that is under way, or is being cleared away."""
        self._runner = runner
        self._token = token
        self._check = check
        self._expect_workers = expect_workers
        self._server = StreamServer(address, self._serve)

    def start(self) -> None:
        """Begins to listen. Raises OSError where the address is taken."""
        self._server.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.address
        return host, port

    def stop(self) -> None:
        """Listens no more."""
        self._server.stop()

    def _serve(self, connection: Any, peer: object) -> None:
        notice_when_it_vanishes(connection)
        try:
            with gevent.Timeout(_GREETING_S, RefusedError(f"nothing was said within {_GREETING_S:g} s")):
                settings = greeted(_messages(connection), self._token)
            self._check(settings)
            with self._taken(Storm(settings, connection)) as storm:
                self._play(storm)
        except (RefusedError, FrameError, ValueError) as error:
            log.warning("storm from %s refused: %s", peer, error)
            with contextlib.suppress(OSError):
                _refuse(connection, str(error))
        except OSError as error:
            log.warning("storm from %s: %s", peer, error)

    @contextlib.contextmanager
    def _taken(self, storm: Storm) -> Iterator[Storm]:
        """The master is this storm's. Raises RefusedError where somebody else has it."""
        if self.storm is not None and self.storm.over.is_set():
            _wait_until(lambda: self.storm is None, _LEAVE_S)
        if self.storm is not None:
            raise RefusedError("another storm is running: expected one at a time")
        if self._runner.state in {STATE_SPAWNING, STATE_RUNNING}:
            raise RefusedError("a test started in the web UI is running: stop it first")
        self.storm = storm
        try:
            yield storm
        finally:
            self.storm = None

    def _play(self, storm: Storm) -> None:
        runner, fleet = self._runner, storm.settings.scenario.fleet
        forget_missing(runner)
        self._await_workers(storm)
        workers = [worker.id for worker in runner.clients.ready]
        if _has_gone(storm.connection):
            raise RefusedError("the run has gone before its test began")
        if len(workers) < self._expect_workers:
            raise RefusedError(f"{len(workers)} workers are ready: expected {self._expect_workers}")
        cap_of(fleet, 0, max(1, len(workers)))
        log.info("storm: %d clients on %d workers", fleet.clients, len(workers))
        # The test's start makes the head, which answers for the storm from then on.
        starting = gevent.spawn(runner.start, fleet.clients, fleet.ramp_per_s)
        try:
            if not _wait_until(lambda: storm.begun or storm.over.is_set(), _BEGIN_S):
                storm.end("the test could not be started, the master's log says why")
            storm.over.wait()
        finally:
            starting.kill()
            staying = {name for name in workers if _is_there(runner, name)}
            runner.stop()
            if storm.begun:
                storm.closed.wait(_LEAVE_S)
            forget_missing(runner)
            _wait_until(lambda: staying <= {worker.id for worker in runner.clients.ready}, _READY_AGAIN_S)
            log.info("storm ended: %d workers are ready", len(runner.clients.ready))
        if not storm.begun:
            raise RefusedError(storm.reason)

    def _await_workers(self, storm: Storm) -> None:
        """Returns once there are enough of them, after the longest wait, or once the run has gone."""
        clients, expected = self._runner.clients, self._expect_workers
        if (ready := len(clients.ready)) < expected:
            log.info(
                "storm: waits for %d workers, %d %s ready", expected, ready, "is" if ready == 1 else "are"
            )
        _wait_until(lambda: len(clients.ready) >= expected or _has_gone(storm.connection), _WORKERS_S)


def greeted(messages: Iterator[Message], token: str) -> GeneratorSettings:
    """What a run with the right token wants. Raises RefusedError."""
    hello = next(messages, None)
    if not isinstance(hello, Hello) or not hmac.compare_digest(hello.token.encode(), token.encode()):
        raise RefusedError("wrong or missing token")
    begin = next(messages, None)
    if not isinstance(begin, Begin):
        raise RefusedError("invalid message after the token: expected settings")
    return begin.settings


def forget_missing(runner: MasterRunner, silent_for_s: float = 0.0) -> None:
    """Strikes out workers that Locust misses for so long.

    Locust itself would do so after a minute, and then share out the lost clients to the other workers, as if
    nothing had been started yet.
    """
    for worker in runner.clients.missing:
        # Locust counts heartbeats down, one a second, and misses a worker below zero.
        if worker.heartbeat <= -silent_for_s:
            del runner.clients[worker.id]


class Strays:
    """Workers that are still there although the master has given them up, after a partition for example.

    Nobody counts their clients, which are a load all the same. Each is told once to stop them; it then comes
    back as a new worker.
    """

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._told: set[str] = set()

    def stop(self, name: str) -> None:
        """Has a worker stop its clients."""
        if name not in self._told:
            self._told.add(name)
            log.warning("worker %s is back after it was given up: it stops its clients", name)
            self._runner.send_message("stop", None, client_id=name)

    def came_back(self, name: str) -> None:
        """It is ready again."""
        self._told.discard(name)


def _messages(connection: Any) -> Iterator[Message]:
    """What a stranger says; the first message has to be short."""
    unframer = Unframer(longest=_LONGEST_GREETING)
    while data := connection.recv(65_536):
        for message in unframer.receive(data):
            unframer.longest = LONGEST_MESSAGE
            yield message


def _refuse(connection: Any, reason: str) -> None:
    connection.sendall(frame(Refused(reason)))
    # With something left unread the connection would be reset, and the reason lost on its way.
    connection.shutdown(socket.SHUT_WR)
    with gevent.Timeout(_GREETING_S, False):
        while connection.recv(65_536):
            pass


def _is_there(runner: MasterRunner, name: str) -> bool:
    worker = runner.clients.get(name)
    return worker is not None and worker.state != STATE_MISSING


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    with gevent.Timeout(seconds, False):
        while not condition():
            gevent.sleep(0.05)
    return condition()


def _has_gone(connection: Any) -> bool:
    """Whether the other side has closed the connection; what it has said stays to be read."""
    connection.settimeout(0)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(None)
