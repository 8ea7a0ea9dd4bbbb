"""Clients of MQTT."""

import itertools
import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds, Seconds, times_power_of_two
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset
from scenarios.policies.stock.client import StockClient, growing


class MqttJs(StockClient, frozen=True, kw_only=True):
    """MQTT.js tries again every second, without growth and without jitter.

        delay(n) = reconnectPeriod ms

    A broker that refuses the CONNECT stops the client, unless reconnectOnConnackError is set. A
    reconnectPeriod of 0 switches reconnects off.
    Source: mqttjs/MQTT.js, src/lib/client.ts and handlers/connack.ts.
    """

    library = "MQTT.js"
    version = "5.16.0"
    package = "npm:mqtt"
    final = "a refused CONNECT"

    reconnectPeriod: Milliseconds = 1000.0
    """Delay, in milliseconds."""
    reconnectOnConnackError: bool = False
    """Whether a refused CONNECT leads to the next attempt."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return itertools.repeat(self.reconnectPeriod / 1000) if self.reconnectPeriod else iter(())

    def stops(self, outcome: Outcome) -> bool:
        return outcome.kind is OutcomeKind.CONNECT_ERROR and not self.reconnectOnConnackError


class PahoPython(StockClient, frozen=True, kw_only=True):
    """paho-mqtt for Python doubles its delay up to two minutes, without jitter.

        delay(n) = min(min_delay·2ⁿ, max_delay)

    The parameters are those of reconnect_delay_set(). The delay starts over once the broker has accepted the
    CONNECT; a refused one is a failed attempt.
    Source: eclipse-paho/paho.mqtt.python, src/paho/mqtt/client.py.
    """

    library = "paho-mqtt (Python)"
    version = "2.2.0"
    package = "pypi:paho-mqtt"
    reset = "joined"

    reconnect_on_failure: bool = True
    """Whether it reconnects at all."""
    min_delay: Seconds = 1.0
    """First delay, in seconds."""
    max_delay: Seconds = 120.0
    """Cap of the delay, in seconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return self._growing() if self.reconnect_on_failure else iter(())

    def _growing(self) -> Iterator[float]:
        # The first delay is not capped.
        yield self.min_delay
        yield from growing(2 * self.min_delay, 2.0, self.max_delay)


class PahoJava(StockClient, frozen=True, kw_only=True):
    """Eclipse Paho for Java doubles its delay up to 128 s, without jitter.

        delay(n) = min(1000·2ⁿ, 128000) ms

    It reconnects only with setAutomaticReconnect(true). The delay is one variable of the whole JVM: clients
    in one process double it for each other, and one success resets it for all.
    Source: eclipse-paho/paho.mqtt.java, org/eclipse/paho/client/mqttv3/MqttAsyncClient.java.
    """

    library = "Eclipse Paho (Java)"
    version = "2024.01"
    reset = "joined"

    maxReconnectDelay: Milliseconds = 128_000.0
    """Cap of the delay, in milliseconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return (delay_ms / 1000 for delay_ms in growing(1000.0, 2.0, self.maxReconnectDelay))


class HiveMq(StockClient, frozen=True, kw_only=True):
    """The HiveMQ client for Java applies its jitter after the cap, so it is never lost.

        delay(n) = min(initialDelay·2ⁿ, maxDelay)·U(0.75, 1.25)

    It reconnects only with automaticReconnect(). The attempts start over once the broker has accepted the
    CONNECT.
    Source: hivemq/hivemq-mqtt-client, internal/mqtt/lifecycle/MqttClientAutoReconnectImpl.java.
    """

    library = "HiveMQ MQTT client (Java)"
    version = "2026.08"
    reset = "joined"

    initialDelay: Seconds = 1.0
    """First delay, without jitter, in seconds."""
    maxDelay: Seconds = 120.0
    """Cap of the delay, without jitter, in seconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            delay_s = min(times_power_of_two(self.initialDelay, n), self.maxDelay)
            yield delay_s * (1 + 0.25 * (2 * rng.random() - 1))


class AwsIot(StockClient, frozen=True, kw_only=True):
    """The MQTT 5 clients of the AWS IoT SDKs cap their delay after full jitter, which a long outage ends.

        delay(n) = min(U(0, min_reconnect_delay_ms·2ⁿ), max_reconnect_delay_ms) ms

    All AWS IoT device SDKs for MQTT 5 share this code. The shortest delay is no lower bound: it is the
    ceiling of the first one.
    Source: awslabs/aws-c-mqtt, source/v5/mqtt5_client.c and include/aws/mqtt/private/v5/mqtt5_utils.h.
    """

    library = "AWS IoT device SDKs (MQTT 5)"
    version = "2026.08"

    min_reconnect_delay_ms: Milliseconds = 1000.0
    """Ceiling of the first delay, in milliseconds."""
    max_reconnect_delay_ms: Milliseconds = 120_000.0
    """Cap of the delay, in milliseconds."""
    min_connected_time_to_reset_reconnect_delay_ms: Milliseconds = 30_000.0
    """How long a connection has to last for the attempts to start over, in milliseconds."""

    @property
    def reset(self) -> Reset:  # type: ignore[override]
        """As `BasePolicy.reset`: after min_connected_time_to_reset_reconnect_delay_ms."""
        return self.min_connected_time_to_reset_reconnect_delay_ms / 1000

    def curve(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            ceiling_ms = times_power_of_two(self.min_reconnect_delay_ms, min(n, 63))
            yield min(rng.random() * ceiling_ms, self.max_reconnect_delay_ms) / 1000
