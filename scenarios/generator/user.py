"""The Locust user: Locust decides how many clients there are and when; the clients do the rest.

A Locust user normally owns a greenlet. Ours never switches into one: it hands Locust a greenlet that is
not started, which Locust counts, and kills when the user is to stop.
"""

from typing import Any

import gevent
from gevent.pool import Group
from locust import User, tag

from scenarios.clients.client import Client
from scenarios.generator.process import Generator


@tag("storm")
def connect(_user: "StormUser") -> None:
    """Stands for what the client does, where Locust looks at tasks and tags; it is never called."""
    raise AssertionError("a client lives in callbacks; its greenlet is only counted")


class StormUser(User):
    """One Socket.IO client that reconnects by the scenario's policy."""

    tasks = [connect]  # noqa: RUF012 - Locust's own way of naming them

    def start(self, group: Group) -> Any:
        generator: Generator | None = getattr(self.environment, "generator", None)
        self._state = "running"
        self._group = group
        self.client: Client | None = None
        # Locust finds the user of a greenlet in its first argument.
        self._greenlet = greenlet = gevent.Greenlet(connect, self)
        group.add(greenlet)
        # --tags may have left it nothing to do. A worker without a generator cannot take part; it has said so
        # to its master, which stops the test.
        if self.tasks and generator is not None:
            self.client = generator.add_client()
            self.client.start()
        return greenlet

    def stop(self, force: bool = False) -> bool:  # noqa: ARG002
        if self.client is not None:
            self.client.stop()
        assert self._greenlet is not None  # noqa: S101
        self._greenlet.kill(block=False)
        return True
