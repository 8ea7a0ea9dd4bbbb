"""A site whose parts are apart: gateway, proxy, generators and runner are on hosts of their own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from scenarios.host.token import TOKEN_VARIABLE
from scenarios.stack.remote.site import GATEWAYS, GENERATOR, NGINX
from tests.e2e.command_line import PATIENCE_S, SMALL_STORM, command, get, running, wait_for
from tests.e2e.network import SUPPORT, Host, Network, network

DELAY_MS = 2.0
"""Of every link, each way: a packet from one host to another takes twice that."""
LOSS = 0.002
GATEWAY_AHEAD_S, SECOND_AHEAD_S = 5_000, 1_000

PODS = ("10.213.7.10", "10.213.7.11")
PROXY, GENERATORS, SECOND, RUNNER = "10.213.7.20", "10.213.7.30", "10.213.7.40", "10.213.7.50"
HOSTS = (
    Host("gateway", PODS, GATEWAY_AHEAD_S),
    Host("proxy", (PROXY,)),
    Host("generators", (GENERATORS,)),
    Host("second", (SECOND,), SECOND_AHEAD_S),
    Host("runner", (RUNNER,)),
)

AGENT, CLIENTS, POD, CHANNEL, WEB = 8100, 8080, 8000, 8090, 8089

WALL_CLOCK = SUPPORT / "wall_clock"

_TOKEN = "a-token-for-tests"
_LOCUST = (sys.executable, "-m", "locust", "-f", "scenarios/clients/locustfile.py")


class Site:
    """Parts that run. folder: for the log of the Locust master and its workers, and for the wall clock."""

    def __init__(self, hosts: Network, ends: contextlib.ExitStack, folder: Path) -> None:
        self.hosts = hosts
        self.log = folder / "locust.log"
        self._ends = ends
        self._stream = ends.enter_context(self.log.open("w"))
        self._wall_clock = folder / "wall_clock"
        self.set_wall_clock(0)

    def set_wall_clock(self, ahead_s: int) -> None:
        """Sets the wall clock of the workers on `second`."""
        draft = self._wall_clock.with_suffix(".part")
        draft.write_text(str(ahead_s * 10**9))
        draft.replace(self._wall_clock)

    def worker(self, host: str) -> "subprocess.Popen[str]":
        """Starts a worker there."""
        own = {"PYTHONPATH": str(WALL_CLOCK), "TEST_WALL_CLOCK_FILE": str(self._wall_clock)}
        environment = own if host == "second" else {}
        return self.start(host, *_LOCUST, "--worker", "--master-host", GENERATORS, environment=environment)

    def start(
        self, host: str, *program: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> "subprocess.Popen[str]":
        """Starts a program there, which ends with the site."""
        options = {"stdout": self._stream, "stderr": subprocess.STDOUT, "env": _environment(environment)}
        return self._ends.enter_context(running(self.hosts.command(host, program), **options))

    @contextlib.contextmanager
    def storm(
        self, sets: tuple[str, ...] = (), *, runs: Path, with_master: bool = True
    ) -> "Iterator[subprocess.Popen[str]]":
        """`reconnect-storm run` on the runner's host. with_master: its clients are the workers'."""
        environment = {
            GATEWAYS: ",".join(f"{pod}:{AGENT}" for pod in PODS),
            NGINX: f"{PROXY}:{AGENT}",
            **({GENERATOR: f"{GENERATORS}:{CHANNEL}"} if with_master else {}),
            "COLUMNS": "200",
        }
        line = command("run", "--retries", "0", sets=(*SMALL_STORM, *sets), runs=runs)
        with running(
            self.hosts.command("runner", line),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(environment),
        ) as process:
            yield process

    def metric(self, name: str) -> float:
        """What the Locust master says of its workers."""
        lines = (line.rsplit(" ", 1) for line in self.ask(f"http://{GENERATORS}:{WEB}/metrics").splitlines())
        return next((float(value) for label, value in lines if label == f"generator_{name}"), -1.0)

    def ready(self, workers: int) -> bool:
        """Whether all agents are idle, with pods behind nginx, and so many workers there and at rest."""
        agents = (*PODS, PROXY)
        return (
            all(self.ask(f"http://{agent}:{AGENT}/healthz") == "idle\n" for agent in agents)
            and self.ask(f"http://{PROXY}:{CLIENTS}/healthz/readiness") == "ready\n"
            and self.metric("workers") == workers
            and self.metric("storm") == self.metric("running") == 0
        )

    def ask(self, url: str) -> str:
        """What is answered on the runner's host."""
        with self.hosts.inside("runner"):
            return get(url)

    def heal(self) -> None:
        """All links are as they were in the beginning."""
        for host in HOSTS:
            self.hosts.link(host.name, up_ms=DELAY_MS, down_ms=DELAY_MS, loss=LOSS)

    def cut(self, host: str) -> None:
        """Nothing reaches the host, or comes from it."""
        self.hosts.link(host, loss=1.0)


@contextlib.contextmanager
def site(folder: Path, *, workers: Mapping[str, int]) -> Iterator[Site]:
    """Everything, idle. workers: how many there are on which host."""
    with network(HOSTS) as hosts, contextlib.ExitStack() as ends:
        made = Site(hosts, ends, folder)
        made.heal()
        agent = (sys.executable, "-m", "scenarios.agent")
        for pod in PODS:
            made.start("gateway", *agent, "gateway", "--host", pod)
        pods = ",".join(f"{pod}:{POD}" for pod in PODS)
        made.start("proxy", *agent, "nginx", "--host", PROXY, "--pods", pods)
        made.start(
            "generators",
            *(*_LOCUST, "--master", "--master-bind-host", GENERATORS, "--web-host", GENERATORS),
            *("--expect-workers", str(sum(workers.values()))),
            *("--channel-host", GENERATORS, "--channel-port", str(CHANNEL)),
        )
        for host, count in workers.items():
            for _ in range(count):
                made.worker(host)
        wait_for("a site that is ready", lambda: made.ready(sum(workers.values())), 3 * PATIENCE_S)
        yield made


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, TOKEN_VARIABLE: _TOKEN, **more}
