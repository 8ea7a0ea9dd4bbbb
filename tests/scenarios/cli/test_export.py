"""`export`: a run arrives at a receiver, whole, and nobody else gets anything."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from reports.otlp.logs import log_requests
from reports.otlp.metrics import metric_requests
from reports.rundir.reader import Run
from scenarios.cli.commands.exporting.receiver import (
    ATTEMPTS,
    HEADERS_VARIABLE,
    AddressError,
    Receiver,
    ReceiverError,
)
from scenarios.cli.main import main
from tests.support.rehearsals import rehearsed, saved

SECRET = "Bearer a-very-secret-token"


class Collected(ThreadingHTTPServer):
    """A receiver. answers: status, headers and body of the first answers; then it takes everything."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, path: str) -> list[bytes]:
        return [body for where, _, body in self.got if where == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collected

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        status, headers, answer = self.server.answers.pop(0) if self.server.answers else (200, {}, b"")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextlib.contextmanager
def collecting() -> Iterator[Collected]:
    with Collected() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def collected() -> Iterator[Collected]:
    with collecting() as server:
        yield server


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(rehearsed(30), tmp_path_factory.mktemp("runs") / "run")


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def test_a_run_arrives_whole_and_the_command_says_how_much_that_was(collected: Collected, run: Path) -> None:
    done = export("--otlp", collected.url, run)
    assert done.exit_code == 0, done.output
    found = Run.load(run)
    metrics = [ExportMetricsServiceRequest.FromString(body) for body in collected.bodies("/v1/metrics")]
    assert metrics == [*metric_requests(found)]
    logs = [ExportLogsServiceRequest.FromString(body) for body in collected.bodies("/v1/logs")]
    assert logs == [*log_requests(found)]
    assert {headers["Content-Type"] for _, headers, _ in collected.got} == {"application/x-protobuf"}
    assert "data points and" in done.output


def test_events_can_be_left_out_for_a_receiver_of_metrics(collected: Collected, run: Path) -> None:
    done = export("--otlp", collected.url, "--metrics-only", run)
    assert done.exit_code == 0, done.output
    assert {path for path, _, _ in collected.got} == {"/v1/metrics"}
    assert "data points sent" in done.output


def test_headers_come_from_the_environment_and_are_shown_nowhere(
    collected: Collected, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HEADERS_VARIABLE, f"Authorization={SECRET.replace(' ', '%20')},X-Tenant=storms")
    collected.answers = [(403, {}, SECRET.encode())]
    refused = export("--otlp", collected.url, run)
    assert refused.exit_code == 5
    assert "/v1/metrics: the receiver answered with status 403: expected 200" in refused.output
    assert "secret" not in refused.output
    sent = export("--otlp", collected.url, run)
    assert sent.exit_code == 0
    for _, headers, _ in collected.got:
        assert (headers["Authorization"], headers["X-Tenant"]) == (SECRET, "storms")
    assert "secret" not in sent.output
    assert not [path for path in run.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()]


@pytest.mark.parametrize("text", ["secret", "=secret", "a b=secret", "a=sec%0Aret", "a=sec%C3%A9ret"])
def test_headers_that_cannot_be_sent_are_refused_without_being_shown(
    collected: Collected, run: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(HEADERS_VARIABLE, text)
    done = export("--otlp", collected.url, run)
    assert done.exit_code == 2
    assert f"{HEADERS_VARIABLE}: invalid value (hidden): expected name=value,name=value" in done.output
    assert "sec" not in done.output.replace("invalid", "")
    assert collected.got == []


def test_a_busy_receiver_is_asked_again_when_it_wants_to_be(collected: Collected) -> None:
    collected.answers = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), (502, {"Retry-After": "900"}, b"")]
    waited_s: list[float] = []
    with Receiver(collected.url, sleep=waited_s.append) as made:
        made.send("logs", b"body")
    assert waited_s == [7.0, 2.0, 30.0]
    assert collected.bodies("/v1/logs") == [b"body"] * 4


def test_a_receiver_that_stays_busy_is_left_alone(collected: Collected) -> None:
    collected.answers = [(503, {}, b"")] * (ATTEMPTS + 1)
    with (
        Receiver(collected.url, sleep=lambda _: None) as made,
        pytest.raises(ReceiverError, match="status 503: expected 200"),
    ):
        made.send("metrics", b"")
    assert len(collected.got) == ATTEMPTS


def test_a_redirect_is_not_followed(collected: Collected, run: Path) -> None:
    with collecting() as elsewhere:
        collected.answers = [(307, {"Location": f"{elsewhere.url}/v1/metrics"}, b"")]
        done = export("--otlp", collected.url, run)
    assert done.exit_code == 5
    assert "status 307" in done.output
    assert elsewhere.got == []


def test_a_proxy_of_the_environment_gets_nothing(
    collected: Collected, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert export("--otlp", collected.url, run).exit_code == 0
    assert proxy.got == []


def test_what_the_receiver_rejects_is_an_error(collected: Collected, run: Path) -> None:
    partly = ExportMetricsPartialSuccess(rejected_data_points=1200, error_message="too old")
    answer = ExportMetricsServiceResponse(partial_success=partly).SerializeToString()
    collected.answers = [(200, {}, answer)]
    done = export("--otlp", collected.url, run)
    assert done.exit_code == 5
    assert "the receiver rejected 1,200 data points: too old" in done.output


def test_nobody_there_is_an_error_in_one_line(run: Path) -> None:
    with collecting() as gone:
        url = gone.url
    done = export("--otlp", url, run)
    assert done.exit_code == 5
    assert "--otlp: /v1/metrics: no answer from the receiver" in done.output


def test_a_path_in_front_of_the_receiver_is_kept(collected: Collected) -> None:
    with Receiver(f"{collected.url}/otlp/") as made:
        made.send("logs", b"")
    assert [path for path, _, _ in collected.got] == ["/otlp/v1/logs"]


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]"])
def test_a_receiver_elsewhere_has_to_be_allowed(host: str) -> None:
    with pytest.raises(AddressError, match=r"is outside this host's loopback: expected --allow-remote"):
        Receiver(f"http://{host}:4318")
    Receiver(f"https://{host}:4318", allow_remote=True)


def test_a_name_with_one_address_elsewhere_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (address, 4318)) for address in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressError, match=r"collector \(192\.0\.2\.1\) is outside"):
        Receiver("http://collector:4318")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("collector:4318", "collector:4318"),
        ("grpc://127.0.0.1:4317", "grpc://127.0.0.1:4317"),
        ("http://user:secret@127.0.0.1:4318", "http://(hidden)@127.0.0.1:4318"),
        ("http://127.0.0.1:4318/?token=secret", "http://127.0.0.1:4318/?(hidden)"),
        ("http://127.0.0.1:99999", "http://127.0.0.1:99999"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secrets(
    run: Path, url: str, shown: str
) -> None:
    done = export("--otlp", url, run)
    assert done.exit_code == 2
    assert f"--otlp: invalid value {shown!r}: expected http://host:port" in done.output
    assert "secret" not in done.output


def test_without_a_run_or_a_receiver_the_command_says_what_it_needs(tmp_path: Path) -> None:
    nothing = export("--otlp", "http://127.0.0.1:1", tmp_path)
    assert (nothing.exit_code, "no run directory" in nothing.output) == (2, True)
    assert export(tmp_path).exit_code == 2
