"""The options of stock clients that decide about their delays, each with the range that a search tries.

The keys are the library's own names, in its own units. Options that only make a client give up are left out:
a search leaves them as they are. So are lists of delays: the libraries that have one take a function, too.
"""

from collections.abc import Mapping

from scenarios.fields import invalid
from scenarios.policies.following import PolicyError
from scenarios.policies.registry import stock_client
from scenarios.tuning.ranges import Choice, Range, Ranges


def _first_ms(key: str) -> Range:
    return Range(key=key, low=0.02, high=1.0, times="window_ms", whole=True)


def _first_s(key: str, *, whole: bool = False) -> Range:
    return Range(key=key, low=0.02, high=1.0, times="window_s", whole=whole)


def _cap_ms(key: str) -> Range:
    return Range(key=key, low=1_000, high=120_000, whole=True)


def _cap_s(key: str, *, whole: bool = False) -> Range:
    return Range(key=key, low=1, high=120, whole=whole)


def _share(key: str) -> Range:
    return Range(key=key, low=0.0, high=1.0, even=True)


def _factor(key: str) -> Range:
    return Range(key=key, low=1.0, high=3.0)


def _stable_ms(key: str) -> Range:
    return Range(key=key, low=1_000, high=60_000, whole=True)


_MANAGER = (_first_ms("reconnectionDelay"), _cap_ms("reconnectionDelayMax"), _share("randomizationFactor"))
_WEBSOCKET = (
    _first_ms("minReconnectionDelay"),
    _cap_ms("maxReconnectionDelay"),
    _factor("reconnectionDelayGrowFactor"),
    _stable_ms("minUptime"),
)

STOCK_OPTIONS: Mapping[str, Ranges] = {
    "socketio-js": _MANAGER,
    "socketio-java": _MANAGER,
    "socketio-dart": _MANAGER,
    "socketio-go": _MANAGER,
    "socketio-swift": (
        _first_s("reconnectWait", whole=True),
        _cap_s("reconnectWaitMax", whole=True),
        _share("randomizationFactor"),
    ),
    "socketio-cpp": (_first_ms("reconnect_delay"), _cap_ms("reconnect_delay_max")),
    "socketio-python": (
        _first_s("reconnection_delay"),
        _cap_s("reconnection_delay_max"),
        _first_s("randomization_factor"),
    ),
    "socketio-rust": (_first_ms("reconnect_delay_min"), _cap_ms("reconnect_delay_max")),
    "actioncable": (_cap_s("staleThreshold"), _share("reconnectionBackoffRate")),
    "anycable": (
        _first_ms("pingInterval"),
        _factor("backoffRate"),
        _share("jitterRatio"),
        _cap_ms("maxInterval"),
    ),
    "centrifuge": (_first_ms("minReconnectDelay"), _cap_ms("maxReconnectDelay")),
    "centrifuge-go": (_first_s("MinReconnectDelay"), _cap_s("MaxReconnectDelay")),
    "centrifuge-python": (_first_s("min_reconnect_delay"), _cap_s("max_reconnect_delay")),
    "ably": (_first_ms("disconnectedRetryTimeout"), _cap_ms("suspendedRetryTimeout")),
    "mqtt-js": (_first_ms("reconnectPeriod"),),
    "paho-python": (_first_s("min_delay"), _cap_s("max_delay")),
    "paho-java": (_cap_ms("maxReconnectDelay"),),
    "hivemq": (_first_s("initialDelay"), _cap_s("maxDelay")),
    "aws-iot": (
        _first_ms("min_reconnect_delay_ms"),
        _cap_ms("max_reconnect_delay_ms"),
        _stable_ms("min_connected_time_to_reset_reconnect_delay_ms"),
    ),
    "reconnecting-websocket": _WEBSOCKET,
    "partysocket": _WEBSOCKET,
    "react-use-websocket": (_first_ms("reconnectInterval"),),
    "websockets-python": (
        _first_s("initial_delay"),
        _first_s("min_delay"),
        _cap_s("max_delay"),
        _factor("factor"),
    ),
    "stompjs": (
        _first_ms("reconnectDelay"),
        _cap_ms("maxReconnectDelay"),
        Choice(key="reconnectTimeMode", values=("LINEAR", "EXPONENTIAL")),
    ),
    "nats-js": (_first_ms("reconnectTimeWait"), _first_ms("reconnectJitter")),
    "nats-python": (_first_s("reconnect_time_wait"),),
    "nats-go": (_first_s("ReconnectWait"), _first_s("ReconnectJitter")),
    # Their server sets it, for all of its clients.
    "eventsource-chromium": (_first_ms("retry"),),
    "eventsource-firefox": (_first_ms("retry"),),
    "eventsource-npm": (_first_ms("retry"),),
    "launchdarkly-eventsource": (
        _first_ms("initialRetryDelayMillis"),
        _cap_ms("maxBackoffMillis"),
        _share("jitterRatio"),
        _stable_ms("retryResetIntervalMillis"),
    ),
}
"""By stock client. One that is not here has no option that changes its delays, or a function instead."""

RESET_OPTIONS: Mapping[str, str] = {
    "aws-iot": "min_connected_time_to_reset_reconnect_delay_ms",
    "reconnecting-websocket": "minUptime",
    "partysocket": "minUptime",
    "launchdarkly-eventsource": "retryResetIntervalMillis",
}
"""By stock client, the option that says after how many milliseconds of connection its attempts start over."""

FUNCTIONS: Mapping[str, str] = {
    "phoenix": "new Socket(url, { reconnectAfterMs: (tries) => delay(tries - 1) })",
    "liveview": "new LiveSocket(url, Socket, { reconnectAfterMs: (tries) => delay(tries - 1) })",
    "fetch-event-source": (
        "let n = 0; fetchEventSource(url, { onopen: async (response) => { if (!response.ok) throw response; "
        "n = 0; }, onerror: () => delay(n++) })"
    ),
    "supabase-realtime": (
        "createClient(url, key, { realtime: { reconnectAfterMs: (tries) => delay(tries - 1) } })"
    ),
    "signalr": (
        "builder.withAutomaticReconnect("
        "{ nextRetryDelayInMilliseconds: (context) => delay(context.previousRetryCount) })"
    ),
    "livekit": (
        "new Room({ reconnectPolicy: { nextRetryDelayInMs: (context) => delay(context.retryCount) } })"
    ),
    "anycable": "createCable(url, { reconnectStrategy: (attempts) => delay(attempts) })",
    "graphql-ws": (
        "createClient({ url, retryAttempts: Infinity, shouldRetry: () => true, "
        "retryWait: (retries) => new Promise((done) => setTimeout(done, delay(retries))) })"
    ),
    "react-use-websocket": (
        "useWebSocket(url, "
        "{ shouldReconnect: () => true, reconnectAttempts: Infinity, reconnectInterval: delay })"
    ),
}
"""By stock client, how it is given a function `delay(n)`: the milliseconds before attempt n = 0, 1, 2, …"""


def searched(client: str) -> str:
    """The stock client whose options are to be searched, without the version. Raises PolicyError."""
    name = stock_client(client)
    if name not in STOCK_OPTIONS:
        raise PolicyError(
            invalid(
                "",
                client,
                "a stock client with options for its delays; leave --client out for the function or the "
                "settings that suit this one",
            )
        )
    return name
