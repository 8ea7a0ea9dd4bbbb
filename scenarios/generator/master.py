"""The process that brings the workers' seconds together and passes orders on to them; it has no clients."""

import logging
from collections.abc import Callable
from typing import Any

import gevent
from locust.runners import STATE_MISSING, STATE_RUNNING, STATE_SPAWNING, MasterRunner

from scenarios.generator.channel_server import Storm, forget_missing
from scenarios.generator.coordinator import Head
from scenarios.wire.interval import Interval
from scenarios.wire.merge import Merger
from scenarios.wire.orders import (
    Assignment,
    Begun,
    Ended,
    Finalise,
    Finalised,
    GeneratorSettings,
    Message,
    decode,
    encode,
)

log = logging.getLogger("reconnect_storm")

ORDER = "storm_order"
"""Kind of the Locust message that carries an order to the workers."""

_TICK_S = 0.5
_SILENT_S = 30.0


class Master:
    """One test of a Locust master.

    assignment: who takes part. on_second: called with every merged second. storm: the run that asked for the
    test, if one did. channel: a socket to the runner that started this process, if one did. quit_run: ends
    the test.
    """

    generator = None

    def __init__(
        self,
        runner: MasterRunner,
        settings: GeneratorSettings,
        assignment: Assignment,
        *,
        remote: bool,
        on_second: Callable[[Interval], None],
        storm: Storm | None,
        channel: Any,
        quit_run: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._merger = Merger()
        self._workers = set(assignment.workers)
        self._lost: set[str] = set()
        self._closing: set[str] = set()
        self._on_second = on_second
        self._storm = storm
        self._quit_run = quit_run
        self._head = Head(
            settings,
            channel=channel if storm is None else storm.connection,
            remote=remote,
            obey=self._obey,
            quit_run=quit_run if storm is None else storm.end,
        )
        if storm is not None:
            self._head.tell(Begun(len(self._workers)))
            storm.begun = True
        self._watching = gevent.spawn(self._watch_workers)

    def stop(self) -> None:
        """Ends the merging."""
        self._watching.kill(block=False)
        if self._storm is not None and self._storm.reason:
            self._head.tell(Ended(self._storm.reason))
        self._head.stop()
        if self._storm is not None:
            self._storm.closed.set()

    def stopping(self) -> None:
        """Somebody has the test stopped: the storm, if it is not over, learns that it was not its doing."""
        if self._storm is not None:
            self._storm.end("the test was stopped at the Locust master, or its last worker is gone")

    def takes(self, name: str) -> bool:
        """Whether a worker's seconds count. Who was given up as lost stays so: its clients have been reported
        as missing."""
        return name not in self._lost and name in self._runner.clients

    def on_second_of_worker(self, message: Any) -> None:
        """Takes a worker's second."""
        if not self.takes(message.node_id):
            return
        interval = decode(message.data["interval"])
        assert isinstance(interval, Interval)  # noqa: S101
        self._merger.add(message.node_id, interval)
        self._hand_on()

    def on_finalised(self, message: Any) -> None:
        """A worker has reported everything up to the order to finalise."""
        self._closing.discard(message.node_id)
        self._hand_on()

    def on_trouble(self, message: Any) -> None:
        """A worker cannot take part."""
        self._give_up(f"worker {message.node_id}: {message.data['reason']}")

    def on_failure(self, reason: str) -> None:
        """Something that came in could not be dealt with: what was measured from then on would have gaps."""
        self._give_up(reason)

    def _give_up(self, reason: str) -> None:
        log.error("%s", reason)
        if self._storm is None:
            self._quit_run()
        else:
            self._storm.end(reason)

    def on_newcomer(self, name: str) -> None:
        """A worker joined; while the test is being stopped, its own workers come back."""
        if self._runner.state not in {STATE_SPAWNING, STATE_RUNNING}:
            return
        if name in self._lost:
            # It has no clients any more, and is one like any other.
            self._lost.discard(name)
            self._workers.discard(name)
        elif name in self._workers:
            return
        log.warning("worker %s joined; it gets clients from the next test on", name)
        self._merger.joined(name)

    def _obey(self, order: Message) -> None:
        if isinstance(order, Finalise):
            self._closing = set(self._living()) | {""}
        self._runner.send_message(ORDER, {"order": encode(order)})

    def _living(self) -> list[str]:
        return [
            name
            for name, worker in self._runner.clients.items()
            if name not in self._lost
            and worker.state != STATE_MISSING
            and (name in self._workers or worker.state in {STATE_SPAWNING, STATE_RUNNING})
        ]

    def _hand_on(self) -> None:
        # Once it is being stopped, workers come and go.
        if self._runner.state in {STATE_SPAWNING, STATE_RUNNING}:
            for name, clients in self._merger.living(self._living()).items():
                self._lost.add(name)
                log.error("lost worker %s with %d clients, which count as missing", name, clients)
            for name in sorted(self._workers - self._lost - set(self._living())):
                # It never reported a second, so nobody knows which clients went with it.
                self._lost.add(name)
                self._give_up(f"worker {name} was lost before it had reported anything")
        for interval in self._merger.ready():
            self._on_second(interval)
            self._head.on_interval(interval)
        if self._closing and not self._closing & set(self._living()):
            self._closing.clear()
            self._head.tell(Finalised())

    def _watch_workers(self) -> None:
        while True:
            gevent.sleep(_TICK_S)
            try:
                forget_missing(self._runner, silent_for_s=_SILENT_S)
                self._hand_on()
            except Exception as error:  # Nobody else would say that no more seconds are handed on.
                log.exception("the workers' seconds could not be handed on")
                self._give_up(f"the workers' seconds could not be handed on: {error!r}")
                return
