"""A client that begins with HTTP polling: a second connection until the WebSocket has taken over."""

from typing import ClassVar

from scenarios.clients.addresses import Seat
from scenarios.clients.client import Client
from scenarios.clients.connection import EXHAUSTED, Connection
from scenarios.clients.population import Population
from scenarios.clients.protocol.packets import Event, Redial, Upgradable, Upgraded
from scenarios.clients.protocol.polling import PollingSession
from scenarios.policies.outcome import Transport


class PollingClient(Client):
    """`_connection` is the polling connection at first, and the WebSocket once that has taken over."""

    __slots__ = ("_redialled", "_websocket")

    _requests: ClassVar[Transport] = "polling"

    _session: PollingSession | None

    def __init__(self, population: Population, index: int, seat: Seat) -> None:
        super().__init__(population, index, seat)
        self._websocket: Connection | None = None
        self._redialled = False

    def _new_session(self) -> PollingSession:
        population = self._population
        return PollingSession(population.endpoint.upgrade, population.subscription, self._headers, self._join)

    # -- the polling connection ---------------------------------------------------------------------

    def _on_open(self) -> None:
        assert self._session is not None and self._connection is not None  # noqa: S101, PT018
        self._connection.send(self._session.take_http_to_send())

    def _on_data(self, data: bytes, received_ns: int) -> None:
        session = self._session
        assert session is not None  # noqa: S101
        self._redialled = False
        self._handle(session.receive_http(data, received_ns), received_ns)
        if self._session is not session:
            return
        if session.http_to_send and self._connection is not None and not self._redialled:
            self._connection.send(session.take_http_to_send())
        self._send_on_websocket(session)
        self._population.run_due_timers()

    def _on_event(self, event: Event, received_ns: int) -> None:
        match event:
            case Upgradable():
                self._websocket = websocket = self._population.connection(
                    self._on_websocket_open, self._on_websocket_data, self._on_websocket_error
                )
                dial = self._population.dial(self._index, self._seat, self._tls_memory)
                error = websocket.open(dial)
                if error:
                    self._on_websocket_error(error)
            case Upgraded():
                assert self._connection is not None  # noqa: S101
                self._connection.close()
                self._connection, self._websocket = self._websocket, None
            case Redial():
                assert self._connection is not None  # noqa: S101
                self._connection.close()
                self._redialled = True
                self._open_connection()
            case _:
                super()._on_event(event, received_ns)

    # -- the WebSocket ------------------------------------------------------------------------------

    def _on_websocket_open(self) -> None:
        assert self._session is not None  # noqa: S101
        self._send_on_websocket(self._session)

    def _on_websocket_data(self, data: bytes, received_ns: int) -> None:
        session = self._session
        assert session is not None  # noqa: S101
        self._handle(session.receive(data, received_ns), received_ns)
        if self._session is session:
            self._send_on_websocket(session)
        self._population.run_due_timers()

    def _on_websocket_error(self, error: int) -> None:
        if self._session is not None and self._session.polling:
            if error in EXHAUSTED:
                # It stays on polling, which is not what its gateway would see of a client with a machine.
                self._recorder.unopened += 1
            self._session.websocket_lost()
            self._close_websocket()
        else:
            self._on_error(error)

    def _send_on_websocket(self, session: PollingSession) -> None:
        connection = self._websocket if session.polling else self._connection
        if connection is not None and session.polling and not session.upgrading:
            if connection.is_open:
                connection.send(session.last_words)
            self._close_websocket()
        elif connection is not None and connection.is_open and session.to_send:
            connection.send(session.take_to_send())

    def _say_goodbye(self) -> None:
        if self._session is not None and not self._session.polling:
            super()._say_goodbye()

    def _drain(self) -> None:
        websocket = self._websocket
        super()._drain()
        # Unless what was just read has closed it, or made it the connection.
        if websocket is not None and websocket is self._websocket:
            websocket.drain()

    def _close_websocket(self) -> None:
        if self._websocket is not None:
            self._websocket.close()
            self._websocket = None

    def _close(self) -> None:
        self._close_websocket()
        super()._close()
