"""One of several generator processes: a Locust worker, which reports its seconds to the master."""

from typing import Any

from locust.env import Environment
from locust.runners import WorkerRunner

from scenarios.clients.protocol.target import Endpoint
from scenarios.generator.process import Generator
from scenarios.generator.stats import feed
from scenarios.wire.interval import Interval
from scenarios.wire.orders import Assignment, Finalise, GeneratorSettings, decode, encode

SECOND, FINALISED, TROUBLE = "storm_second", "storm_books_closed", "storm_trouble"
"""Kinds of Locust messages from workers to the master."""


class Worker:
    """One test of a worker."""

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
