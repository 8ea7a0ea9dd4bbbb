"""One of several generator processes: a Locust worker, which reports its seconds to the master."""

import logging
from time import monotonic
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import WorkerRunner

from scenarios.clients.protocol.target import Endpoint
from scenarios.generator.process import Generator
from scenarios.generator.stats import feed
from scenarios.host.machine import check_descriptors
from scenarios.wire.interval import Interval
from scenarios.wire.orders import Assignment, Finalise, GeneratorSettings, decode, encode

log = logging.getLogger("reconnect_storm")

MASTER_SILENT_S = 60.0
"""A worker that has heard nothing of its master for so long ends."""
_LOOK_S = 1.0

SECOND, FINALISED, TROUBLE = "storm_second", "storm_books_closed", "storm_trouble"
"""Kinds of Locust messages from workers to the master."""


def end_without_master(environment: Environment, runner: WorkerRunner) -> None:
    """Ends a worker that no longer hears of its master, by the monotonic clock.

    Locust does so by the wall clock, and a minute has passed when somebody sets that. It looks at a time that
    it takes when it hears of the master, and does nothing while there is none.
    """
    heard_s = [monotonic()]

    def heard(**_: Any) -> None:
        runner.last_heartbeat_timestamp = None
        heard_s[0] = monotonic()

    def watch() -> None:
        while monotonic() - heard_s[0] < MASTER_SILENT_S:
            gevent.sleep(_LOOK_S)
        log.error("nothing was heard of the master for %g s: this worker ends", MASTER_SILENT_S)
        runner.quit()

    hooks: Any = environment.events
    hooks.heartbeat_received.add_listener(heard)
    gevent.spawn(watch)


class Worker:
    """One test of a worker. Raises what a `Generator` does, and MachineError where this worker's share of the
    clients needs more open files than its host allows."""

    def __init__(
        self,
        environment: Environment,
        settings: GeneratorSettings,
        endpoint: Endpoint,
        assignment: Assignment,
    ) -> None:
        assert isinstance(environment.runner, WorkerRunner)  # noqa: S101
        self._environment = environment
        self._runner: WorkerRunner = environment.runner
        name = self._runner.client_id
        everybody = (*assignment.workers, *assignment.late)
        check_descriptors(-(-settings.scenario.fleet.clients // max(1, len(assignment.workers))))
        index = everybody.index(name) if name in everybody else len(everybody)
        self.generator = Generator(
            settings,
            endpoint,
            self._on_interval,
            name=name,
            index=index,
            processes=max(1, len(assignment.workers)),
        )

    def stop(self) -> None:
        """Ends the recording."""
        self.generator.stop()
        # Locust takes no order that the master's wall clock says is older than the last; it may be set back.
        self._runner.last_received_spawn_timestamp = 0

    def on_order(self, message: Any) -> None:
        """Takes an order from the master."""
        order = decode(message.data["order"])
        self.generator.obey(order)
        if isinstance(order, Finalise):
            self._runner.send_message(FINALISED, None)

    def on_failure(self, reason: str) -> None:
        """An order could not be carried out: the master has to end a test in which workers differ."""
        self._runner.send_message(TROUBLE, {"reason": reason})

    def _on_interval(self, interval: Interval) -> None:
        feed(self._environment.stats, interval)
        self._runner.send_message(SECOND, {"interval": encode(interval)})
