"""Locust's own Socket.IO user, doing what our clients do in a bench: join, and receive ticks.

One line of JSON a second on standard output: connects, ticks and CPU time since the start.
"""

import json
from time import process_time_ns
from typing import Any

import gevent
from locust import events, task
from locust.contrib.socketio import SocketIOUser


class StockUser(SocketIOUser):
    """Joins once and stays."""

    def on_start(self) -> None:
        """Connects over WebSocket alone, as our clients do."""
        connect: Any = self.sio.connect
        connect(self.host, transports=["websocket"])

    @task
    def stay(self) -> None:
        """Waits; what is received is counted as a request by Locust."""
        gevent.sleep(3600)


def _report(environment: Any) -> None:
    while True:
        gevent.sleep(1.0)
        entries = environment.stats.entries
        joined, ticks = entries.get(("connect", "WS")), entries.get(("tick", "WSR"))
        line = {
            "joined": joined.num_requests - joined.num_failures if joined else 0,
            "ticks": ticks.num_requests if ticks else 0,
            "cpu_ns": process_time_ns(),
        }
        print(json.dumps(line), flush=True)  # noqa: T201


def _on_init(environment: Any, **_: Any) -> None:
    gevent.spawn(_report, environment)


hooks: Any = events
hooks.init.add_listener(_on_init)
