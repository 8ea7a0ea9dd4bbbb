"""A Prometheus that runs while a test does."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from scenarios.host.machine import free_ports
from tests.e2e.command_line import running, wait_for
from tests.support.prometheus import Prometheus


@contextlib.contextmanager
def prometheus(program: Path, configuration: Path) -> Iterator[Prometheus]:
    """One that is ready, with its data beside its configuration."""
    (port,) = free_ports(1)
    command = [
        *(str(program), "--config.file", str(configuration), "--log.level", "error"),
        *("--storage.tsdb.path", str(configuration.with_name("tsdb"))),
        *("--web.listen-address", f"127.0.0.1:{port}"),
    ]
    with running(command, env={**os.environ, "GOMAXPROCS": "1"}):
        found = Prometheus(f"http://127.0.0.1:{port}")
        wait_for("Prometheus", found.ready)
        yield found
