"""TLS at real proxies: sessions are resumed, a rotation ends that, and what clients count adds up."""

import asyncio
import contextlib
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
from tests.e2e.command_line import SMALL_STORM, carried_out

pytestmark = pytest.mark.e2e

PROXIES = ["nginx", pytest.param("haproxy", marks=pytest.mark.needs_haproxy)]
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
        for _ in range(100):
            latest = await asyncio.to_thread(visit, context, port, found[0].session)
            if latest.certificate != found[0].certificate:
                return [*found, latest]
            await asyncio.sleep(0.05)
    raise AssertionError("the certificate is the same as before")


def visit(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> Seen:
    with TemporaryConnection(context, port, session) as tls:
        certificate = tls.getpeercert(binary_form=True)
        assert certificate is not None
        return Seen(certificate, bool(tls.session_reused), tls.session)


@contextlib.contextmanager
def TemporaryConnection(context, port, session):  # type: ignore[no-untyped-def]
    raise NotImplementedError
