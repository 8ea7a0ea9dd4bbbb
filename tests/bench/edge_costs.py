"""What TLS costs nginx, and what a refusal costs a pod: python tests/bench/edge_costs.py [--visits N]

One client makes one connection after the other; the CPU of the worker, or of the pod, is divided by their
number. Costs of TLS are on top of a connection without it. `scenarios/simulator/costs.py` has the results as
defaults of the model.
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil

from gateway_stub.protocol import SETTINGS_VARIABLE, Admission, Controls, Settings
from scenarios.clients.protocol.session import Upgrade
from scenarios.host.machine import free_ports
from scenarios.host.process import Watch
from scenarios.proxies.nginx import LocalNginx
from scenarios.proxies.proxy import Proxy
from scenarios.scenario.validate import build

ROUNDS = 5
_PATIENCE_S = 10.0


def main() -> None:
    """Prints one row for each cost: the median of the rounds, and their range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=1_000)
    visits = parser.parse_args().visits
    _say("cost", "µs", "range")
    _say("---", "---:", "---:")
    asyncio.run(_nginx(visits))
    _pods(visits)


async def _nginx(visits: int) -> None:
    """A request that nginx answers by itself, with and without TLS."""
    async with _proxy({}) as (port, _, worker):
        plain_s = await asyncio.to_thread(_per_visit, worker, visits, lambda: _ask(port))
    for key in ("ecdsa-p256", "rsa-2048"):
        async with _proxy({"tls": {"key": key}}) as (port, ca_file, worker):
            context = ssl.create_default_context(cafile=ca_file)
            full_s = await asyncio.to_thread(_per_visit, worker, visits, lambda: _ask(port, context))  # noqa: B023
            _show(f"full handshake, {key}", [each - min(plain_s) for each in full_s])
            session = await asyncio.to_thread(_ask, port, context)
            resumed_s = await asyncio.to_thread(
                _per_visit,
                worker,
                visits,
                lambda: _resume(port, context, session),  # noqa: B023
            )
            _show(f"resumed handshake, {key}", [each - min(plain_s) for each in resumed_s])


@contextlib.asynccontextmanager
async def _proxy(edge: dict[str, object]):  # type: ignore[no-untyped-def] # an asynchronous iterator of three
    """(port, certificates to trust, the worker) of an nginx."""
    scenario = build({"edge": edge}, source="edge_costs")
    port, pod = free_ports(2)
    async with contextlib.AsyncExitStack() as stops:
        folder = Path(stops.enter_context(TemporaryDirectory()))
        host = LocalNginx(port=port, directory=folder / "nginx")
        host.private = folder
        proxy = Proxy(scenario, host=host, pods=[f"127.0.0.1:{pod}"], watch=Watch())
        stops.push_async_callback(proxy.stop)
        await proxy.start()
        assert host.child is not None
        # The port answers as soon as the master listens on it.
        while not (workers := psutil.Process(host.child.pid).children()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield port, proxy.ca_file, workers[0]


def _ask(
    port: int, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
) -> ssl.SSLSession | None:
    """Makes one connection and one request to it; returns the TLS session."""
    with contextlib.ExitStack() as stops:
        plain = stops.enter_context(socket.create_connection(("127.0.0.1", port), _PATIENCE_S))
        connection: socket.socket = plain
        if context is not None:
            connection = stops.enter_context(
                context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
            )
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        while connection.recv(65_536):
            pass
        if not isinstance(connection, ssl.SSLSocket):
            return None
        if bool(connection.session_reused) != (session is not None):
            raise RuntimeError(f"session resumed: {connection.session_reused}")
        return connection.session


def _resume(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> None:
    _ask(port, context, session)


def _pods(visits: int) -> None:
    """An upgrade that a pod refuses, with a status and with a Close frame."""
    for name, close in (("refusal with 429", False), ("refusal by 1013", True)):
        admission = Admission(window_connections=1, window_s=3_600, window_by_peer=True, close_1013=close)
        with _pod(admission) as (port, process):
            _show(name, _per_visit(process, visits, lambda: _upgrade(port, close=close)))  # noqa: B023


@contextlib.contextmanager
def _pod(admission: Admission) -> Iterator[tuple[int, psutil.Process]]:
    """(port, process) of a pod that takes nobody any more."""
    port, control_port = free_ports(2)
    settings = Settings(
        port=port,
        control_port=control_port,
        token=secrets.token_hex(8),
        controls=Controls(admission=admission),
        rate_hz=1.001,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway_stub"],
        env={**os.environ, SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()},
        stdout=subprocess.DEVNULL,
    )
    try:
        give_up_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                _upgrade(port, close=False)
                break
            except OSError:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _upgrade(port: int, *, close: bool) -> None:
    """Asks for a WebSocket, and waits for the first bytes, or for the Close frame behind them."""
    request = Upgrade(f"127.0.0.1:{port}", "/socket.io/").request
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
        connection.sendall(request)
        found = b""
        while close and b"try again later" not in found:
            found += connection.recv(65_536)
        if close:
            # A client answers a Close frame with one of its own.
            connection.sendall(b"\x88\x82\x00\x00\x00\x00\x03\xf5")
            connection.recv(65_536)
        else:
            connection.recv(65_536)


def _per_visit(process: psutil.Process, visits: int, visit: Callable[[], object]) -> list[float]:
    """CPU-seconds of the process for one visit, of each round."""
    found = []
    for _ in range(ROUNDS):
        before_s = sum(process.cpu_times()[:2])
        for _ in range(visits):
            visit()
        found.append((sum(process.cpu_times()[:2]) - before_s) / visits)
    return found


def _show(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    low, middle, high = (each * 1e6 for each in (ordered[0], ordered[len(ordered) // 2], ordered[-1]))
    _say(name, f"{middle:.0f}", f"{low:.0f} to {high:.0f}")


def _say(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
