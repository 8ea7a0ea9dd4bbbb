"""The process that answers for all generator processes: abort conditions, and the channel to the runner."""

import contextlib
import logging
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.queue import Queue

from scenarios.generator.abort import Guard
from scenarios.scenario.redact import secrets_of
from scenarios.scenario.redact_text import hide, shown_text
from scenarios.wire.framing import FrameError, Unframer, frame
from scenarios.wire.interval import Interval
from scenarios.wire.orders import Aborted, Finalise, GeneratorSettings, Message

log = logging.getLogger("reconnect_storm")

_HEALTH_TIMEOUT_S = 1.0
_HEALTH_PERIOD_S = 1.0
_LONGEST_COMPLAINT = 200
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LAST_WORDS_S = 0.2
_FEW_EARLY = 5


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
        abort, fleet = settings.scenario.abort, settings.scenario.fleet
        self._guard = Guard(
            abort,
            remote=remote,
            clients=fleet.clients,
            unserved=[place for place, part in enumerate(fleet.parts) if not part.is_served],
        )
        self._obey = obey
        self._quit_run = quit_run
        # None without a runner: what nobody takes out would pile up.
        self._outbox: Any = None if channel is None else Queue()
        self._aborted = False
        self._unhealthy = ""
        self._secrets = secrets_of(settings.scenario)
        self._held_back = self._early = 0
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
            log.warning("fleet.max_attempts_per_s delays attempts: the load is lower than that of the policy")
        self._held_back += interval.held_back
        if self._early <= _FEW_EARLY < self._early + interval.early:
            log.warning(
                "the publisher's clock is ahead by at least %.1f ms: latencies are too low by that amount",
                interval.earliest_ns / 1e6,
            )
        self._early += interval.early
        reason = self._guard.reason_to_stop(interval, self._unhealthy)
        if interval.client_error:
            reason = interval.client_error
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
        self._obey(Finalise())
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
            log.warning("channel to the runner: %s", error)
        except Exception as error:  # Whatever it was: who follows no orders any more must not go on.
            log.exception("an order of the runner failed")
            self.tell(Aborted(f"an order failed: {error!r}"))
            gevent.sleep(_LAST_WORDS_S)
        # Nobody is left to read what this process would measure, or to tell it what to do.
        log.warning("the channel to the runner was closed: stopping")
        self._quit_run()

    def _watch_health(self, url: str) -> None:
        while True:
            self._unhealthy = health_problem(url, self._secrets)
            gevent.sleep(_HEALTH_PERIOD_S)


def health_problem(url: str, secrets: Iterable[str] = ()) -> str:
    """What is wrong with the answer of a health URL, in a line without secrets; empty for a good one.

    Whatever comes back, or does not within a second in all, is an answer: a target that cannot be asked is
    not a healthy one. It is asked directly, as the clients connect, and never through a proxy of the
    environment: that may answer for a target that is down, or fail while the target is well.
    """
    try:
        # The time-out of the socket begins anew with every byte that comes.
        with gevent.Timeout(_HEALTH_TIMEOUT_S), _DIRECTLY.open(url, timeout=_HEALTH_TIMEOUT_S):
            return ""
    except gevent.Timeout:
        return f"did not answer within {_HEALTH_TIMEOUT_S:g} s"
    except Exception as error:  # Besides OSError: what is no HTTP, endless headers, a broken redirect, …
        # It quotes the answer, which may be long and have control characters in it.
        said = shown_text(hide(str(error) or repr(error), secrets))
        return ascii(said)[1:-1][:_LONGEST_COMPLAINT]
