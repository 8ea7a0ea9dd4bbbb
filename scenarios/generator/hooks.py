"""Where Locust and the generator meet: options, the start and end of a test, master and workers.

alone     generator ─► Locust's statistics, head
worker    generator ─► Locust's statistics, and each second to the master
master    seconds of all workers ─► merged ─► head; orders ─► all workers
"""

import logging
import os
import socket
import sys
from typing import Any

import msgspec
import psutil
from locust import events
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import STATE_SPAWNING, MasterRunner, WorkerRunner

from scenarios.clients.population import cap_of
from scenarios.clients.protocol.target import Endpoint, TargetError, resolve
from scenarios.credentials.answers import CredentialsError
from scenarios.generator.channel_server import StormChannel, Strays
from scenarios.generator.clock_sync import ClockError
from scenarios.generator.coordinator import Head
from scenarios.generator.dispatcher import SteadyDispatcher
from scenarios.generator.master import ORDER, Master
from scenarios.generator.metrics import Exposition, add_pages
from scenarios.generator.options import Choice, add_arguments, choice_of, epoch_of_1970
from scenarios.generator.process import Generator
from scenarios.generator.stats import feed
from scenarios.generator.web_door import Door, host_names
from scenarios.generator.worker import FINALISED, SECOND, TROUBLE, Worker, end_without_master
from scenarios.host.machine import MachineError, raise_descriptors
from scenarios.host.token import TokenError, token_from_environment
from scenarios.policies.following import PolicyError
from scenarios.scenario.redact_text import shown_url
from scenarios.scenario.validate import ScenarioError
from scenarios.wire.interval import Interval
from scenarios.wire.orders import (
    GENERATOR_VARIABLE,
    Assignment,
    Finalise,
    Finalised,
    GeneratorSettings,
    Message,
)

log = logging.getLogger("reconnect_storm")

_ASSIGNMENT = "storm"
"""The attribute of Locust's options in which a master sends its `Assignment`: they go with every order to
spawn, so that no worker can begin without it."""


class Alone:
    """A process that is generator and head at once."""

    def __init__(
        self,
        environment: Environment,
        settings: GeneratorSettings,
        endpoint: Endpoint,
        exposition: Exposition,
    ) -> None:
        self._environment = environment
        self._exposition = exposition
        self.generator = Generator(settings, endpoint, self._on_interval)
        self._head = Head(
            settings,
            channel=_channel(settings),
            remote=_remote(settings, endpoint),
            obey=self._obey,
            quit_run=lambda: _quit(environment),
        )

    def stop(self) -> None:
        """Ends the recording."""
        self.generator.stop()
        self._head.stop()

    def _on_interval(self, interval: Interval) -> None:
        feed(self._environment.stats, interval)
        self._exposition.take(interval)
        self._head.on_interval(interval)

    def _obey(self, order: Message) -> None:
        self.generator.obey(order)
        if isinstance(order, Finalise):
            self._head.tell(Finalised())


def prepare(environment: Environment, **_: Any) -> None:
    """Checks a headless run before it begins, and lets master and workers talk; the web UI asks later."""
    options, runner = environment.parsed_options, environment.runner
    storm_environment: Any = environment
    storm_environment.exposition = exposition = Exposition()
    storm_environment.storms = storm_environment.choice = None
    if isinstance(runner, WorkerRunner):
        runner.register_message(ORDER, lambda msg, **_: _part(environment, Worker, "on_order", msg))
        end_without_master(environment, runner)
        raise_descriptors()
        return
    if isinstance(runner, MasterRunner):
        _prepare_master(environment, runner)
    try:
        if options is not None and not os.environ.get(GENERATOR_VARIABLE):
            storm_environment.choice = choice = choice_of(options)
            # What Locust's pages and reports show as the host.
            environment.host = shown_url(choice.scenario.target.url) or None
        if options is not None and (options.headless or environment.storms is None):  # type: ignore[attr-defined]
            settings = _settings(environment)
            if options.headless:
                _resolved(settings)
    except (ScenarioError, TargetError) as error:
        log.error("%s", error)
        sys.exit(2)
    if environment.web_ui is not None and environment.web_ui.app is not None:
        assert options is not None  # noqa: S101
        add_pages(
            environment.web_ui.app,
            metrics=lambda: exposition.text(workers=_processes(environment), storm=_busy(environment)),
            busy=lambda: _busy(environment),
            door=Door(
                names=host_names(environment.web_ui.host, options.web_names, _addresses()),
                targets=_spellings(environment),
            ),
        )


def _prepare_master(environment: Environment, runner: MasterRunner) -> None:
    options = environment.parsed_options
    assert options is not None  # noqa: S101
    strays = Strays(runner)
    runner.register_message(SECOND, lambda msg, **_: _second(environment, strays, msg))
    for kind, method in ((FINALISED, "on_finalised"), (TROUBLE, "on_trouble")):
        runner.register_message(kind, lambda msg, method=method, **_: _part(environment, Master, method, msg))
    if not options.enable_rebalancing:
        environment.dispatcher_class = SteadyDispatcher
    hooks: Any = environment.events
    hooks.worker_connect.add_listener(
        lambda client_id, **_: _part(environment, Master, "on_newcomer", client_id)
    )
    hooks.worker_connect.add_listener(lambda client_id, **_: _enrol(options, client_id))
    hooks.worker_connect.add_listener(lambda client_id, **_: strays.came_back(client_id))
    if not options.channel_port:
        return
    if options.headless:
        log.error("--channel-port: not supported with --headless: expected a master with a web UI")
        sys.exit(2)
    try:
        storms = StormChannel(
            runner,
            (options.channel_host, options.channel_port),
            token_from_environment(),
            check=lambda settings: resolve(settings.scenario.target, allow_remote=settings.allow_remote),
            expect_workers=options.expect_workers,
        )
        storms.start()
    except (TokenError, OSError) as error:
        log.error("--channel-port: %s", error)
        sys.exit(2)
    environment.storms = storms  # type: ignore[attr-defined]


def begin(environment: Environment, **_: Any) -> None:
    """Makes this process's part of the generator when a test starts."""
    storm_environment: Any = environment
    part: Alone | Worker | Master | None
    if isinstance(environment.runner, WorkerRunner):
        # From its second test on, Locust takes a worker for stopped until it starts clients, and then passes
        # over an order to stop it.
        environment.runner.update_state(STATE_SPAWNING)
        part = _begin_worker(environment, environment.runner)
    else:
        try:
            settings = _settings(environment)
            endpoint = _resolved(settings)
        except (ScenarioError, TargetError) as error:
            raise StopTest(str(error)) from None
        if isinstance(environment.runner, MasterRunner):
            part = _begin_master(environment, environment.runner, settings, endpoint)
        else:
            try:
                part = Alone(environment, settings, endpoint, storm_environment.exposition)
            except (PolicyError, CredentialsError) as error:
                raise StopTest(str(error)) from None
    storm_environment.part = part
    storm_environment.generator = part.generator if part else None


def _begin_master(
    environment: Environment, runner: MasterRunner, settings: GeneratorSettings, endpoint: Endpoint
) -> Master:
    storms: StormChannel | None = environment.storms  # type: ignore[attr-defined]
    storm = storms.storm if storms else None
    workers = runner.clients.ready + runner.clients.running + runner.clients.spawning
    assignment = Assignment(tuple(sorted(worker.id for worker in workers)), settings, by_hand=storm is None)
    setattr(environment.parsed_options, _ASSIGNMENT, msgspec.json.encode(assignment).decode())
    try:
        cap_of(settings.scenario.fleet, 0, max(1, len(workers)))
        if settings.scenario.fleet.max_attempts_per_s and environment.parsed_options.enable_rebalancing:  # type: ignore[union-attr]
            raise ScenarioError(
                "--enable-rebalancing: not supported with fleet.max_attempts_per_s, which is divided among"
                " the workers that are connected when a test begins"
            )
    except ScenarioError as error:
        raise StopTest(str(error)) from None
    return Master(
        runner,
        settings,
        assignment,
        remote=_remote(settings, endpoint),
        on_second=environment.exposition.take,  # type: ignore[attr-defined]
        storm=storm,
        channel=_channel(settings),
        quit_run=lambda: _quit(environment),
    )


def _enrol(options: Any, name: str) -> None:
    """Gives a worker that comes in the middle of a test a number: rebalancing may give it users."""
    text = getattr(options, _ASSIGNMENT, None)
    if not options.enable_rebalancing or not text:
        return
    assignment = msgspec.json.decode(text, type=Assignment)
    if name not in (*assignment.workers, *assignment.late):
        late = msgspec.structs.replace(assignment, late=(*assignment.late, name))
        setattr(options, _ASSIGNMENT, msgspec.json.encode(late).decode())


def _begin_worker(environment: Environment, runner: WorkerRunner) -> Worker | None:
    """The worker's part; None where it cannot take part, which the master is told."""
    assignment = msgspec.json.decode(getattr(environment.parsed_options, _ASSIGNMENT), type=Assignment)
    settings = assignment.settings
    if assignment.by_hand:
        # Monotonic times mean nothing elsewhere: in a test that was started by hand, workers ask their own.
        settings = msgspec.structs.replace(settings, epoch_ns=epoch_of_1970())
    try:
        return Worker(environment, settings, _resolved(settings), assignment)
    except (ScenarioError, TargetError, PolicyError, CredentialsError, ClockError, MachineError) as error:
        log.error("%s", error)
        reason = str(error)
    except Exception as error:  # Without its part, the worker would count users that do nothing.
        log.exception("this worker cannot start its clients")
        reason = repr(error)
    runner.send_message(TROUBLE, {"reason": reason})
    return None


def stopping(environment: Environment, **_: Any) -> None:
    """Somebody has the test stopped."""
    part = getattr(environment, "part", None)
    if isinstance(part, Master):
        part.stopping()


def end(environment: Environment, **_: Any) -> None:
    """Stops recording when a test stops."""
    part = getattr(environment, "part", None)
    if part is not None:
        part.stop()
        environment.part = environment.generator = None  # type: ignore[attr-defined]
        environment.exposition.end()  # type: ignore[attr-defined]


def register() -> None:
    """Makes Locust call the functions above; the locustfile does this, an import does not."""
    hooks: Any = events
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(prepare)
    hooks.test_start.add_listener(begin)
    hooks.test_stopping.add_listener(stopping)
    hooks.test_stop.add_listener(end)


def _second(environment: Environment, strays: Strays, message: Any) -> None:
    """A worker's second: for the test that it is part of, or a sign that it is part of none any more."""
    part, name = getattr(environment, "part", None), message.node_id
    runner: Any = environment.runner
    if part.takes(name) if isinstance(part, Master) else name in runner.clients:
        _part(environment, Master, "on_second_of_worker", message)
    else:
        strays.stop(name)


def _part(environment: Environment, kind: type[Worker] | type[Master], method: str, message: Any) -> None:
    part = getattr(environment, "part", None)
    if not isinstance(part, kind):
        return
    try:
        getattr(part, method)(message)
    except Exception as error:  # Locust would log it and go on, with a part that has missed a message.
        log.exception("%s failed", method)
        part.on_failure(f"{method} failed: {error!r}")


def _settings(environment: Environment) -> GeneratorSettings:
    """What the runner said, or the command line. Raises ScenarioError."""
    storms: StormChannel | None = environment.storms  # type: ignore[attr-defined]
    choice: Choice | None = environment.choice  # type: ignore[attr-defined]
    if text := os.environ.get(GENERATOR_VARIABLE):
        return msgspec.json.decode(text, type=GeneratorSettings)
    if storms is not None and storms.storm is not None:
        return storms.storm.settings
    assert choice is not None  # noqa: S101
    return choice.settings()


def _resolved(settings: GeneratorSettings) -> Endpoint:
    """Where the clients go. Raises TargetError."""
    return resolve(settings.scenario.target, allow_remote=settings.allow_remote)


def _spellings(environment: Environment) -> frozenset[str]:
    """How a form may name the target: as it is shown, or as it was given; it changes nothing."""
    choice: Choice | None = environment.choice  # type: ignore[attr-defined]
    given = choice.scenario.target.url if choice else ""
    return frozenset({environment.host or "", given})


def _addresses() -> list[str]:
    """The addresses of this machine."""
    return [address.address for found in psutil.net_if_addrs().values() for address in found]


def _remote(settings: GeneratorSettings, endpoint: Endpoint) -> bool:
    """Whether the target is somebody else's, elsewhere."""
    return not endpoint.loopback and not settings.own_stack


def _channel(settings: GeneratorSettings) -> Any:
    return None if settings.channel_fd is None else socket.socket(fileno=settings.channel_fd)


def _busy(environment: Environment) -> bool:
    storms: StormChannel | None = environment.storms  # type: ignore[attr-defined]
    return storms is not None and storms.storm is not None


def _processes(environment: Environment) -> int:
    runner = environment.runner
    return runner.worker_count if isinstance(runner, MasterRunner) else 1


def _quit(environment: Environment) -> None:
    """Ends a headless process; one with a web UI stays for the next test."""
    options, runner = environment.parsed_options, environment.runner
    assert options is not None  # noqa: S101
    assert runner is not None  # noqa: S101
    if options.headless:
        environment.process_exit_code = 1
        runner.quit()
    else:
        runner.stop()
