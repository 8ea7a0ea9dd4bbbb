"""The process that answers for all generator processes: abort conditions, and the channel to the runner."""

import contextlib
import logging
import urllib.request
from collections.abc import Callable
from typing import Any

import gevent
from gevent.queue import Queue

from scenarios.clients.guard import Guard
from scenarios.clients.messages import (
    Aborted,
    CloseBooks,
    FrameError,
    GeneratorSettings,
    Interval,
    Message,
    Unframer,
    frame,
)
from scenarios.secrets import hide, secrets_of, shown_text

log = logging.getLogger("reconnect_storm")

_HEALTH_TIMEOUT_S = 1.0
_LAST_WORDS_S = 0.2


class Head:
    """Takes every second of the whole generator, and gives the runner's orders to `obey`.

    channel: a connected socket to the runner, if there is one. remote: the target is somebody else's, on
    another machine. quit_run: ends the test, with everything it has started.
    """

    def __init__(
        self,
        settings: GeneratorSettings,
        *,
        channel: Any = None,
        remote: bool,
        obey: Callable[[Message], None],
        quit_run: Callable[[], None],
    ) -> None:
        abort = settings.scenario.abort
        self._guard = Guard(abort, remote=remote, clients=settings.scenario.fleet.clients)
        self._obey = obey
        self._quit_run = quit_run
        # None without a runner: what nobody takes out would pile up.
        self._outbox: Any = None if channel is None else Queue()
        self._aborted = False
        self._unhealthy = ""
        self._secrets = secrets_of(settings.scenario)
        self._held_back = 0
        self._greenlets = []
        self._sender: Any = None
        if abort.health_url:
            self._greenlets.append(gevent.spawn(self._watch_health, abort.health_url))
        if channel is not None:
            self._sender = gevent.spawn(self._send, channel)
            self._greenlets += [self._sender, gevent.spawn(self._receive, channel)]

    def on_interval(self, interval: Interval) -> None:
        """Takes a second."""
        self.tell(interval)
        if interval.held_back and not self._held_back:
            log.warning("fleet.max_attempts_per_s holds tries back: the storm is gentler than its policy")
        self._held_back += interval.held_back
        reason = self._guard.reason_to_stop(interval, self._unhealthy)
        if reason and not self._aborted:
            self._aborted = True
            log.error("aborted: %s", reason)
            gevent.spawn(self._abort, reason)

    def tell(self, message: Message) -> None:
        """Says something to the runner, if there is one."""
        if self._outbox is not None:
            self._outbox.put(message)

    @property
    def waiting(self) -> int:
        """Messages that the runner has not been sent yet."""
        return 0 if self._outbox is None else self._outbox.qsize()

    def stop(self) -> None:
        """Ends the channel, after what has been said, and the health checks."""
        if self._sender is not None:
            self._outbox.put(StopIteration)
            self._sender.join(_LAST_WORDS_S)
        gevent.killall(self._greenlets, block=False)

    def _abort(self, reason: str) -> None:
        # The runner is to have all that was measured before it is told, by workers too, and to be told before
        # the end.
        self._obey(CloseBooks())
        gevent.sleep(_LAST_WORDS_S)
        self.tell(Aborted(reason))
        gevent.sleep(_LAST_WORDS_S)
        self._quit_run()

    def _send(self, channel: Any) -> None:
        # Whoever is gone is noticed by the other greenlet.
        with contextlib.suppress(OSError):
            for message in self._outbox:
                channel.sendall(frame(message))

    def _receive(self, channel: Any) -> None:
        unframer = Unframer()
        try:
            while data := channel.recv(65_536):
                for message in unframer.receive(data):
                    self._obey(message)
        except (OSError, FrameError) as error:
            log.warning("the channel to the runner: %s", error)
        # The runner is gone, and nobody is left to read what this process would measure.
        log.warning("the runner closed its channel: stopping")
        self._quit_run()

    def _watch_health(self, url: str) -> None:
        while True:
            try:
                with urllib.request.urlopen(url, timeout=_HEALTH_TIMEOUT_S):  # noqa: S310 - checked when loaded
                    self._unhealthy = ""
            except OSError as error:
                self._unhealthy = shown_text(hide(str(error), self._secrets))
            gevent.sleep(1.0)
