"""A client resumes its TLS session where it may, at a real nginx: which of its handshakes were full ones."""

import socket as sockets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import pytest

from scenarios.clients.clock import Clock
from scenarios.clients.connection import Dial, TlsConnection, TlsMemory
from scenarios.clients.protocol.target import resolve
from scenarios.host.machine import free_ports
from scenarios.proxies.certificates import Authority
from scenarios.proxies.nginx import executable
from scenarios.scenario.model import Target

_REQUEST = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"


class Server:
    """nginx with TLS, and what a client needs to talk to it."""

    def __init__(self, folder: Path, directives: str) -> None:
        self.authority = Authority(folder, key="ecdsa-p256", host="127.0.0.1")
        certificate = self.authority.issue()
        (self.port,) = free_ports(1)
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"""daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{}}
            http {{
                access_log off;
                server {{
                    listen 127.0.0.1:{self.port} ssl;
                    ssl_certificate {certificate};
                    ssl_certificate_key {certificate};
                    {directives}
                    return 200;
                }}
            }}""",
            encoding="utf-8",
        )
        self._process = subprocess.Popen([executable(), "-p", folder, "-c", configuration])
        while not self._listens():
            time.sleep(0.01)
        self._loop = gevent.get_hub().loop
        target = Target(url=f"https://127.0.0.1:{self.port}", ca_file=str(self.authority.file))
        self._endpoint = resolve(target)

    def _listens(self) -> bool:
        with sockets.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def visit(self, memory: TlsMemory) -> None:
        """A connection with one request, whose end the client waits for."""
        ended = gevent.event.Event()

        def on_data(data: bytes, _received_ns: int) -> None:
            if not data:
                ended.set()

        def on_error(error: int) -> None:
            raise AssertionError(error)

        connection: Any = TlsConnection(lambda: connection.send(_REQUEST), on_data, on_error)
        dial = Dial(
            loop=self._loop,
            family=self._endpoint.family,
            address=self._endpoint.address,
            clock=Clock(),
            tls=self._endpoint.tls,
            server_name=self._endpoint.server_name,
            memory=memory,
        )
        assert connection.open(dial) == 0
        assert ended.wait(timeout=60)
        connection.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    started = Server(tmp_path, request.param)
    yield started
    started.stop()


def handshakes(server: Server, *, resumes: bool, visits: int = 3) -> Counter[bool]:
    """Handshakes of one client by whether they resumed its session."""
    seen: list[bool] = []
    memory = TlsMemory(resumes=resumes, on_handshake=seen.append)
    for _ in range(visits):
        server.visit(memory)
    assert len(seen) == visits
    return Counter(seen)


RESUMABLE = [
    f"ssl_protocols TLSv{version}; ssl_session_cache {cache}; ssl_session_tickets {tickets};"
    for version in ("1.2", "1.3")
    for cache, tickets in (("off", "on"), ("shared:s:1m", "off"), ("shared:s:1m", "on"))
]


@pytest.mark.parametrize("server", RESUMABLE, indirect=True)
def test_a_client_that_keeps_its_session_makes_one_full_handshake(server: Server) -> None:
    assert handshakes(server, resumes=True) == {False: 1, True: 2}


@pytest.mark.parametrize("server", RESUMABLE[-1:], indirect=True)
def test_a_client_that_keeps_none_makes_full_handshakes_alone(server: Server) -> None:
    assert handshakes(server, resumes=False) == {False: 3}


@pytest.mark.parametrize("server", ["ssl_session_cache off; ssl_session_tickets off;"], indirect=True)
def test_nothing_is_resumed_where_the_server_offers_neither_cache_nor_tickets(server: Server) -> None:
    assert handshakes(server, resumes=True) == {False: 3}
