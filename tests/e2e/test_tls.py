"""TLS at real proxies: sessions are resumed, a rotation ends that, and what clients count adds up."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.rundir.reader import Run
from scenarios.host.machine import free_ports
from scenarios.host.process import Watch
from scenarios.proxies.proxy import Proxy
from scenarios.proxies.registry import kind_of
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S, SMALL_STORM, carried_out

pytestmark = pytest.mark.e2e

PROXIES = ["nginx", "envoy", pytest.param("haproxy", marks=pytest.mark.needs_haproxy)]
CLIENTS = 60


class Seen(Struct, frozen=True):
    """What a client found."""

    certificate: bytes
    resumed: bool
    session: ssl.SSLSession | None


async def visits_across_a_rotation(name: str, folder: Path) -> list[Seen]:
    """A client connects three times, the second time with its session, the third time after a rotation."""
    scenario = build({"edge": {"proxy": name, "tls": {"versions": ["1.2"]}}}, source="test")
    port, pod = free_ports(2)
    async with contextlib.AsyncExitStack() as stops:
        host = kind_of(scenario).host(port=port, directory=folder / "nginx", cores=(), binary=None)
        host.private = Path(stops.enter_context(TemporaryDirectory()))
        proxy = Proxy(scenario, host=host, pods=[f"127.0.0.1:{pod}"], watch=Watch())
        stops.push_async_callback(proxy.stop)
        await proxy.start()
        assert proxy.url == f"https://127.0.0.1:{port}"
        context = ssl.create_default_context(cafile=proxy.ca_file)
        found = [await asyncio.to_thread(visit, context, port, None)]
        found.append(await asyncio.to_thread(visit, context, port, found[0].session))
        await proxy.rotate_certificate()
        # Old workers still accept for a moment.
        async with asyncio.timeout(PATIENCE_S):
            while True:
                latest = await asyncio.to_thread(visit, context, port, found[0].session)
                if latest.certificate != found[0].certificate:
                    return [*found, latest]
                await asyncio.sleep(0.05)


def visit(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> Seen:
    """A connection that is closed after the handshake, and what its client found."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls:
        certificate = tls.getpeercert(binary_form=True)
        assert certificate is not None
        return Seen(certificate, bool(tls.session_reused), tls.session)


@pytest.mark.parametrize("name", PROXIES)
def test_after_a_rotation_there_is_another_certificate_and_nothing_to_resume(
    name: str, tmp_path: Path
) -> None:
    first, again, rotated = asyncio.run(visits_across_a_rotation(name, tmp_path))
    assert first.certificate == again.certificate != rotated.certificate
    assert [seen.resumed for seen in (first, again, rotated)] == [False, True, False]
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert kept == []


def handshakes(run: Run) -> tuple[int, int]:
    """Full and resumed ones of the storm."""
    storm = judgement_of(run).summary.storm
    assert storm is not None
    assert storm.tls_full is not None
    assert storm.tls_resumed is not None
    return storm.tls_full, storm.tls_resumed


def total(run: Run, column: str) -> float:
    return sum(value for value in run.column(column) if value is not None)


@pytest.mark.parametrize("name", PROXIES)
def test_clients_resume_their_sessions_unless_they_keep_none(name: str, tmp_path: Path) -> None:
    sets = (
        *SMALL_STORM,
        f"edge.proxy={name}",
        "edge.tls={}",
        'matrix={"fleet.tls_resume"=[true, false]}',
        "phases.control_s=0",
    )
    _, (kept, none) = carried_out(tmp_path, "compare", "--retries", "0", sets=sets)
    full, resumed = handshakes(kept)
    assert resumed >= CLIENTS
    assert full == 0
    assert total(kept, "tls_resumed") >= CLIENTS
    full, resumed = handshakes(none)
    assert full >= CLIENTS
    assert resumed == 0
    for run in (kept, none):
        costs, storm = run.info.tls_costs, judgement_of(run).summary.storm
        assert costs is not None
        assert costs.full_cpu_s > 0
        assert costs.resumed_cpu_s is not None
        assert storm is not None
        assert storm.tls_cpu_share is not None
        assert storm.tls_cpu_share > 0
    report = (tmp_path / "latest" / "report.md").read_text(encoding="utf-8")
    assert "TLS handshakes" in report
    assert f"of {name} CPU" in report


def test_after_a_rotation_every_client_makes_a_full_handshake(tmp_path: Path) -> None:
    # Old workers would let clients resume their sessions; they have some seconds to go.
    events = '[{at_s=1, do="certificate_rotate"}, {at_s=6, do="drop_all"}]'
    # A client that hung up at a part that stands still would make its full handshake before the drop.
    sets = (*SMALL_STORM, f"event={events}", "edge.tls={}", "fleet.stale_after_s=0")
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", sets=sets)
    full, _ = handshakes(run)
    assert full >= CLIENTS
    assert run.info.trigger_s == 6
