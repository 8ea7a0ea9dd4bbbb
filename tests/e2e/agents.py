"""Host agents on addresses of their own, as containers would have them, and a Locust master with workers."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from scenarios.host.machine import free_ports
from scenarios.host.token import TOKEN_VARIABLE
from scenarios.stack.remote.site import GATEWAYS, GENERATOR, NGINX
from tests.e2e.command_line import PATIENCE_S, SMALL_STORM, get, running, started, wait_for

TOKEN = "a-token-for-tests"
PODS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
EDGE = "127.0.0.5"
BEGINS_S = 3 * PATIENCE_S
"""For a dozen processes that start at once."""


class Agents(Struct):
    """Host agents that run, and what a storm has to know of them."""

    port: int
    edge_port: int
    control_port: int
    """Of each pod."""
    web_port: int
    """Of the Locust master, where there is one."""
    environment: dict[str, str]
    workers: list["subprocess.Popen[str]"]

    def health(self, address: str) -> str:
        """What an agent says of itself."""
        return get(f"http://{address}:{self.port}/healthz").strip()

    def idle(self) -> bool:
        """Whether all hosts run what they should while nobody has taken them."""
        return all(self.health(address) == "idle" for address in (*PODS, EDGE))

    def edge(self) -> str:
        """What a pod answers through nginx."""
        return get(f"http://{EDGE}:{self.edge_port}/healthz/readiness").strip()

    @contextlib.contextmanager
    def storm(self, *arguments: str, sets: tuple[str, ...], runs: Path) -> "Iterator[subprocess.Popen[str]]":
        """A command that finds the site."""
        with started(
            *arguments, sets=(*SMALL_STORM, *sets), runs=runs, environment=self.environment
        ) as process:
            yield process


@contextlib.contextmanager
def agents(*, workers: int = 0) -> Iterator[Agents]:
    """Three hosts for pods and one for nginx, all of them idle; ended in the end.

    workers: with a Locust master and so many workers that stand all the time.
    """
    port, pod_port, control_port, edge_port, channel, workers_port, web = free_ports(7)
    environment = {
        TOKEN_VARIABLE: TOKEN,
        GATEWAYS: ",".join(f"{address}:{port}" for address in PODS),
        NGINX: f"{EDGE}:{port}",
    }
    pods = ["gateway", "--port", str(pod_port), "--control-port", str(control_port)]
    named = ",".join(f"{address}:{pod_port}" for address in PODS)
    edge = ["nginx", "--port", str(edge_port), "--pods", named]
    commands = [
        ["scenarios.agent", *role, "--host", host, "--agent-port", str(port)]
        for host, role in [*((address, pods) for address in PODS), (EDGE, edge)]
    ]
    if workers:
        environment[GENERATOR] = f"127.0.0.1:{channel}"
        locust = ["locust", "-f", "scenarios/clients/locustfile.py"]
        master = ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(workers_port)]
        page = ["--web-host", "127.0.0.1", "--web-port", str(web), "--expect-workers", str(workers)]
        worker = [*locust, "--worker", "--master-host", "127.0.0.1", "--master-port", str(workers_port)]
        commands += [
            [*locust, "--master", *master, *page, "--channel-port", str(channel)],
            *[worker] * workers,
        ]
    made = Agents(port, edge_port, control_port, web, environment, [])
    with contextlib.ExitStack() as ends:
        for arguments in commands:
            program = [sys.executable, "-m", *arguments]
            token = {**os.environ, TOKEN_VARIABLE: TOKEN}
            process = ends.enter_context(running(program, stdout=subprocess.DEVNULL, env=token))
            if "--worker" in arguments:
                made.workers.append(process)
        wait_for("idle hosts", made.idle, BEGINS_S)
        if workers:
            there = f"generator_workers {workers}\n"
            wait_for("the workers", lambda: there in get(f"http://127.0.0.1:{web}/metrics"), BEGINS_S)
        yield made
