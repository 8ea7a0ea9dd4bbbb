"""Where Locust and the generator meet: options, the start and end of a test, master and workers.

alone     generator ─► Locust's statistics, head
worker    generator ─► Locust's statistics, and each second to the master
master    seconds of all workers ─► merged ─► head; orders ─► all workers
"""

import logging
import os
import sys
from time import monotonic_ns, time_ns
from typing import Any

import gevent
import msgspec
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from scenarios.clients.head import Head
from scenarios.clients.locust_statistics import feed
from scenarios.clients.merging import Merger
from scenarios.clients.messages import (
    GENERATOR_VARIABLE,
    BooksClosed,
    CloseBooks,
    GeneratorSettings,
    Interval,
    Message,
    decode,
    encode,
)
from scenarios.clients.process import Generator
from scenarios.clients.target import Endpoint, TargetError, resolve
from scenarios.scenario_file import ScenarioError, load

log = logging.getLogger("reconnect_storm")

# Kinds of Locust messages between master and workers.
_SECOND, _BOOKS, _ORDER = "storm_second", "storm_books_closed", "storm_order"


class Alone:
    """A process that is generator and head at once."""

    def __init__(self, environment: Environment, settings: GeneratorSettings, endpoint: Endpoint) -> None:
        self._environment = environment
        self.generator = Generator(settings, endpoint, self._on_interval)
        self._head = Head(
            settings, remote=not endpoint.loopback, obey=self._obey, quit_run=lambda: _quit(environment)
        )

    def stop(self) -> None:
        """Ends the recording."""
        self.generator.stop()
        self._head.stop()

    def _on_interval(self, interval: Interval) -> None:
        feed(self._environment.stats, interval)
        self._head.on_interval(interval)

    def _obey(self, order: Message) -> None:
        self.generator.obey(order)
        if isinstance(order, CloseBooks):
            self._head.tell(BooksClosed())


class Worker:
    """One of several generator processes."""

    def __init__(self, environment: Environment, settings: GeneratorSettings, endpoint: Endpoint) -> None:
        self._environment = environment
        assert isinstance(environment.runner, WorkerRunner)  # noqa: S101
        self._runner: WorkerRunner = environment.runner
        self.generator = Generator(
            settings,
            endpoint,
            self._on_interval,
            index=max(0, self._runner.worker_index),
            processes=_expected_workers(environment),
        )

    def stop(self) -> None:
        """Ends the recording."""
        self.generator.stop()

    def on_order(self, message: Any) -> None:
        """Takes an order from the master."""
        order = decode(message.data["order"])
        self.generator.obey(order)
        if isinstance(order, CloseBooks):
            self._runner.send_message(_BOOKS, None)

    def _on_interval(self, interval: Interval) -> None:
        feed(self._environment.stats, interval)
        self._runner.send_message(_SECOND, {"interval": encode(interval)})


class Master:
    """The process that brings the workers' seconds together; it has no clients."""

    generator = None

    def __init__(self, environment: Environment, settings: GeneratorSettings, endpoint: Endpoint) -> None:
        assert isinstance(environment.runner, MasterRunner)  # noqa: S101
        self._runner: MasterRunner = environment.runner
        self._merger = Merger()
        self._closing: set[str] = set()
        self._head = Head(
            settings, remote=not endpoint.loopback, obey=self._obey, quit_run=lambda: _quit(environment)
        )
        self._watching = gevent.spawn(self._watch_workers)

    def stop(self) -> None:
        """Ends the merging."""
        self._watching.kill(block=False)
        self._head.stop()

    def on_second(self, message: Any) -> None:
        """Takes a worker's second."""
        interval = decode(message.data["interval"])
        assert isinstance(interval, Interval)  # noqa: S101
        self._merger.add(message.node_id, interval)
        self._hand_on()

    def on_books_closed(self, message: Any) -> None:
        """A worker has reported everything up to the order to close the books."""
        self._closing.discard(message.node_id)
        self._hand_on()

    def _obey(self, order: Message) -> None:
        if isinstance(order, CloseBooks):
            self._closing = set(self._living()) | {""}
        self._runner.send_message(_ORDER, {"order": encode(order)})

    def _living(self) -> list[str]:
        working = {STATE_SPAWNING, STATE_RUNNING}
        return [name for name, worker in self._runner.clients.items() if worker.state in working]

    def _hand_on(self) -> None:
        for name, clients in self._merger.living(self._living()).items():
            log.error("worker %s is gone, and with it %d clients: they are counted as missing", name, clients)
        for interval in self._merger.ready():
            self._head.on_interval(interval)
        if self._closing and not self._closing & set(self._living()):
            self._closing.clear()
            self._head.tell(BooksClosed())

    def _watch_workers(self) -> None:
        while True:
            gevent.sleep(0.5)
            self._hand_on()


def add_arguments(parser: LocustArgumentParser) -> None:
    """Locust options of this locustfile."""
    parser.add_argument(
        "--scenario",
        default="mass-drop",
        help="Scenario whose fleet, feed and target the clients take: a name from the catalogue, or a file.",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        include_in_web_ui=False,
        help="Override a key of the scenario, for example target.namespace=/feed; may be repeated.",
    )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        default=False,
        include_in_web_ui=False,
        help="Let --host be something else than this machine's loopback.",
    )


def prepare(environment: Environment, **_: Any) -> None:
    """Checks a headless run before it begins, and lets master and workers talk; the web UI asks later."""
    options, runner = environment.parsed_options, environment.runner
    if isinstance(runner, MasterRunner):
        runner.register_message(_SECOND, lambda msg, **_: _part(environment, Master, "on_second", msg))
        runner.register_message(_BOOKS, lambda msg, **_: _part(environment, Master, "on_books_closed", msg))
    if isinstance(runner, WorkerRunner):
        runner.register_message(_ORDER, lambda msg, **_: _part(environment, Worker, "on_order", msg))
    elif options is not None and options.headless:
        try:
            _settings(environment)
        except (ScenarioError, TargetError) as error:
            log.error("%s", error)
            sys.exit(2)


def begin(environment: Environment, **_: Any) -> None:
    """Makes this process's part of the generator when a test starts."""
    try:
        settings, endpoint = _settings(environment)
    except (ScenarioError, TargetError) as error:
        raise StopTest(str(error)) from None
    part: Alone | Worker | Master
    if isinstance(environment.runner, MasterRunner):
        part = Master(environment, settings, endpoint)
    elif isinstance(environment.runner, WorkerRunner):
        part = Worker(environment, settings, endpoint)
    else:
        part = Alone(environment, settings, endpoint)
    environment.part = part  # type: ignore[attr-defined]
    environment.generator = part.generator  # type: ignore[attr-defined]


def end(environment: Environment, **_: Any) -> None:
    """Stops recording when a test stops."""
    part = getattr(environment, "part", None)
    if part is not None:
        part.stop()
        environment.part = environment.generator = None  # type: ignore[attr-defined]


def register() -> None:
    """Makes Locust call the functions above; the locustfile does this, an import does not."""
    hooks: Any = events
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(prepare)
    hooks.test_start.add_listener(begin)
    hooks.test_stop.add_listener(end)


def _part(environment: Environment, kind: type, method: str, message: Any) -> None:
    part = getattr(environment, "part", None)
    if isinstance(part, kind):
        getattr(part, method)(message)


def _settings(environment: Environment) -> tuple[GeneratorSettings, Endpoint]:
    """What the runner said, or --host, --scenario and --set. Raises ScenarioError, TargetError."""
    text = os.environ.get(GENERATOR_VARIABLE)
    if text:
        settings = msgspec.json.decode(text, type=GeneratorSettings)
    else:
        options = environment.parsed_options
        assert options is not None  # noqa: S101
        scenario = load(options.scenario, options.overrides)
        url = environment.host or scenario.target.url
        if not url:
            raise ScenarioError("--host: found nothing, allowed: http://host:port of a gateway")
        target = msgspec.structs.replace(scenario.target, url=url)
        settings = GeneratorSettings(
            scenario=msgspec.structs.replace(scenario, target=target),
            # Seconds since 1970, so that the seconds of several machines are the same.
            epoch_ns=monotonic_ns() - time_ns(),
            allow_remote=options.allow_remote,
        )
    return settings, resolve(settings.scenario.target, allow_remote=settings.allow_remote)


def _expected_workers(environment: Environment) -> int:
    options = environment.parsed_options
    return max(1, getattr(options, "processes", None) or getattr(options, "expect_workers", None) or 1)


def _quit(environment: Environment) -> None:
    environment.process_exit_code = 1
    assert environment.runner is not None  # noqa: S101
    environment.runner.quit()
