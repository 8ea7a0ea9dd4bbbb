"""When the epoch was on a clock that is not the pods'."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import monotonic_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.generator.clock_sync import ClockError, Exchange, LocalEpoch, ask, local_epoch

EPOCH_NS = 5_000_000_000


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10**8), st.integers(0, 10**8)), min_size=1),
)
def test_the_error_bound_holds_whatever_the_network_does(
    true_epoch_ns: int, asked: list[tuple[int, int, int]]
) -> None:
    exchanges = [
        Exchange(at_ns, at_ns + there_ns - true_epoch_ns, at_ns + there_ns + back_ns)
        for at_ns, there_ns, back_ns in asked
    ]
    found = local_epoch(exchanges)
    assert abs(found.epoch_ns - true_epoch_ns) <= found.error_ns
    assert found.error_ns == min(-(-(there_ns + back_ns) // 2) for _, there_ns, back_ns in asked)


def test_the_quickest_exchange_counts() -> None:
    slow, quick = Exchange(0, 900, 1_000), Exchange(2_000, 2_040, 2_100)
    assert local_epoch([slow, quick, slow]) == LocalEpoch(10, 50)


@contextmanager
def server(status: int = 200, text: str | None = None) -> Iterator[tuple[str, list[tuple[str, object]]]]:
    """Says how long ago EPOCH_NS was, or `text`; yields its address, and who asked for what."""
    requests: list[tuple[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requests.append((self.path, self.client_address))
            body = (str(monotonic_ns() - EPOCH_NS) if text is None else text).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PREAMBLE(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/clock", requests
        finally:
            listening.shutdown()
            thread.join()


def test_one_connection_serves_all_exchanges() -> None:
    with server() as (url, requests):
        found = local_epoch(ask(url, exchanges=5))
    assert abs(found.epoch_ns - EPOCH_NS) <= found.error_ns
    assert [path for path, _ in requests] == ["/clock"] * 5
    assert len({peer for _, peer in requests}) == 1


def test_a_preamble_comes_before_anything_else() -> None:
    with server() as (url, requests), pytest.raises(ClockError):
        ask(url, preamble=b"NONSENSE\r\n\r\n", exchanges=1)
    assert requests == []


@pytest.mark.parametrize(
    ("status", "text", "problem"),
    [
        (503, "no", "answered with status 503"),
        (200, "noon", "cannot read the gateway's clock: invalid literal"),
    ],
)
def test_an_answer_that_tells_no_time_is_an_error(status: int, text: str, problem: str) -> None:
    with server(status, text) as (url, _), pytest.raises(ClockError, match=problem):
        ask(url)


def test_nobody_there_is_an_error() -> None:
    with server() as (url, _):
        pass
    with pytest.raises(ClockError, match=r"/clock: cannot read the gateway's clock: .*refused"):
        ask(url)
