"""The Locust user: Locust decides how many clients there are and when; the clients do the rest.

A Locust user normally owns a greenlet. Ours never switches into one: it hands Locust a greenlet that is
not started, which Locust counts, and kills when the user is to stop.
"""

import logging
import os
import socket
import sys
from time import monotonic_ns
from typing import Any
from urllib.parse import urlsplit

import gevent
import msgspec
from gevent.pool import Group
from gevent.queue import Queue
from locust import User, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import WorkerRunner

from scenarios.clients.addresses import address_of_client
from scenarios.clients.client import Client, Population
from scenarios.clients.locust_statistics import feed
from scenarios.clients.messages import (
    GENERATOR_VARIABLE,
    BooksClosed,
    CloseBooks,
    GeneratorSettings,
    Message,
    PushPolicy,
    Unframer,
    frame,
)
from scenarios.clients.recorder import LAG_PROBE_NS, SECOND_NS, SLOT_NS, Recorder
from scenarios.clients.session import Decoded, Upgrade
from scenarios.model import Scenario
from scenarios.policies import policy
from scenarios.scenario_file import ScenarioError, load

log = logging.getLogger("reconnect_storm")

_SPARE_CLIENTS = 100_000
"""Client indices that a process can hand out when nobody said how many there will be."""


class Generator:
    """One process's population, its recorder, and the channel to the runner if there is one."""

    def __init__(self, environment: Environment, scenario: Scenario, host: str, port: int) -> None:
        self.settings = _settings_from_runner()
        self.environment = environment
        self._outbox: Any = Queue()
        epoch_ns = self.settings.epoch_ns if self.settings else monotonic_ns()
        clients = scenario.fleet.clients if self.settings else _SPARE_CLIENTS
        self.recorder = Recorder(clients, epoch_ns, scenario.feed.rate_hz)
        loop = gevent.get_hub().loop
        self.population = Population(
            loop=loop,
            fleet=scenario.fleet,
            policy=policy(scenario.fleet.policy),
            address=(socket.gethostbyname(host), port),
            upgrade=Upgrade(f"{host}:{port}", "/socket.io/"),
            decoded=Decoded(scenario.feed.event),
            recorder=self.recorder,
            source_address=lambda index: address_of_client(index, scenario.fleet.clients_per_ip),
        )
        self._last_probe_ns = monotonic_ns()
        self._next_slot_ns = self._next_boundary(SLOT_NS)
        self._probe = loop.timer(LAG_PROBE_NS / 1e9, LAG_PROBE_NS / 1e9)
        self._probe.start(self._on_probe, update=True)
        self._greenlets = []
        if self.settings:
            channel = socket.socket(fileno=self.settings.channel_fd)
            self._greenlets = [gevent.spawn(self._send, channel), gevent.spawn(self._receive, channel)]

    def stop(self) -> None:
        """Stops recording; the clients have been stopped by then."""
        self._probe.close()
        gevent.killall(self._greenlets, block=False)

    def _next_boundary(self, step_ns: int) -> int:
        since = monotonic_ns() - self.recorder.epoch_ns
        return self.recorder.epoch_ns + (since // step_ns + 1) * step_ns

    def _on_probe(self) -> None:
        now = monotonic_ns()
        self.recorder.lag_probe(max(0, now - self._last_probe_ns - LAG_PROBE_NS))
        self._last_probe_ns = now
        self._turn_over(now)

    def _turn_over(self, now: int) -> None:
        """Closes the 100 ms slot that has ended, and the second with it."""
        if now < self._next_slot_ns:
            return
        self.recorder.sample_slot(now)
        ended_ns, self._next_slot_ns = self._next_slot_ns, self._next_boundary(SLOT_NS)
        second = (ended_ns - self.recorder.epoch_ns - 1) // SECOND_NS
        if (self._next_slot_ns - self.recorder.epoch_ns - 1) // SECOND_NS != second:
            self._report(second)

    def _report(self, second: int) -> None:
        interval = self.recorder.take_interval(second)
        feed(self.environment.stats, interval)
        if self.settings:
            self._outbox.put(interval)

    def _send(self, channel: Any) -> None:
        for message in self._outbox:
            channel.sendall(frame(message))

    def _receive(self, channel: Any) -> None:
        unframer = Unframer()
        while data := channel.recv(65_536):
            for message in unframer.receive(data):
                self._obey(message)
        # The runner is gone, and nobody is left to read what this process would measure.
        log.warning("the runner closed its channel: stopping")
        assert self.environment.runner is not None  # noqa: S101
        self.environment.runner.quit()

    def _obey(self, message: Message) -> None:
        match message:
            case PushPolicy(spec):
                self.population.push_policy(policy(spec))
            case CloseBooks():
                now = monotonic_ns()
                # A second that has just ended is not to be counted with the one that is cut short.
                self._turn_over(now)
                self.recorder.close_books(now)
                self._report((now - self.recorder.epoch_ns) // SECOND_NS)
                self._outbox.put(BooksClosed())


def _never_run(_user: "StormUser") -> None:
    raise AssertionError("a client lives in callbacks; its greenlet is only counted")


class StormUser(User):
    """One Socket.IO client that reconnects by the scenario's policy."""

    tasks = [_never_run]  # noqa: RUF012 - Locust warns of users without tasks

    def start(self, group: Group) -> Any:
        generator = getattr(self.environment, "generator", None)
        if generator is None:
            raise StopTest("no gateway to connect to")
        self._state = "running"
        self._group = group
        self.client: Client = generator.population.add()
        # Locust finds the user of a greenlet in its first argument.
        self._greenlet = greenlet = gevent.Greenlet(_never_run, self)
        group.add(greenlet)
        self.client.start()
        return greenlet

    def stop(self, force: bool = False) -> bool:  # noqa: ARG002
        self.client.stop()
        assert self._greenlet is not None  # noqa: S101
        self._greenlet.kill(block=False)
        return True


def _settings_from_runner() -> GeneratorSettings | None:
    text = os.environ.get(GENERATOR_VARIABLE)
    return msgspec.json.decode(text, type=GeneratorSettings) if text else None


def add_arguments(parser: LocustArgumentParser) -> None:
    """Locust options of this locustfile."""
    parser.add_argument(
        "--scenario",
        default="mass-drop",
        help="Scenario whose fleet and feed the clients take: a name from the catalogue, or a file.",
    )


def check(environment: Environment, **_: Any) -> None:
    """Ends Locust with one line and status 2 where a headless run could not begin; the web UI asks later."""
    options = environment.parsed_options
    if options is not None and options.headless and not isinstance(environment.runner, WorkerRunner):
        try:
            _target(environment)
        except ScenarioError as error:
            log.error("%s", error)
            sys.exit(2)


def begin(environment: Environment, **_: Any) -> None:
    """Makes the population when a test starts: from the runner's settings, or from --host and --scenario."""
    try:
        environment.generator = Generator(environment, *_target(environment))  # type: ignore[attr-defined]
    except ScenarioError as error:
        raise StopTest(str(error)) from None


def _target(environment: Environment) -> tuple[Scenario, str, int]:
    """(scenario, host, port) to use. Raises ScenarioError."""
    settings = _settings_from_runner()
    if settings is not None:
        return settings.scenario, settings.host, settings.port
    assert environment.parsed_options is not None  # noqa: S101
    scenario = load(environment.parsed_options.scenario)
    found = urlsplit(environment.host or "")
    if found.scheme != "http" or not found.hostname:
        raise ScenarioError(f"--host: found {environment.host!r}, allowed: http://host:port of a gateway")
    return scenario, found.hostname, found.port or 80


def end(environment: Environment, **_: Any) -> None:
    """Stops recording when a test stops."""
    generator = getattr(environment, "generator", None)
    if generator is not None:
        generator.stop()
        environment.generator = None  # type: ignore[attr-defined]


def register() -> None:
    """Makes Locust call the functions above; the locustfile does this, an import does not."""
    hooks: Any = events
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(check)
    hooks.test_start.add_listener(begin)
    hooks.test_stop.add_listener(end)
