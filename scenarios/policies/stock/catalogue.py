"""All stock clients by name; `socketio-js@4.8.4` and `socketio-js@4.8` name the version that was read."""

from collections.abc import Mapping

from scenarios.policies.stock import (
    centrifuge,
    eventsource,
    graphql,
    hosted,
    mqtt,
    nats,
    phoenix,
    rails,
    signalr,
    socketio,
    socketio_rust,
    stomp,
    websocket_wrappers,
)
from scenarios.policies.stock.client import StockClient

STOCK: Mapping[str, type[StockClient]] = {
    "socketio-js": socketio.SocketIoJs,
    "socketio-java": socketio.SocketIoJava,
    "socketio-dart": socketio.SocketIoDart,
    "socketio-go": socketio.SocketIoGo,
    "socketio-swift": socketio.SocketIoSwift,
    "socketio-cpp": socketio.SocketIoCpp,
    "socketio-rust": socketio_rust.RustSocketIo,
    "socketio-python": socketio.PythonSocketIO,
    "phoenix": phoenix.Phoenix,
    "liveview": phoenix.LiveView,
    "supabase-realtime": phoenix.SupabaseRealtime,
    "signalr": signalr.SignalR,
    "actioncable": rails.ActionCable,
    "anycable": rails.AnyCable,
    "centrifuge": centrifuge.Centrifuge,
    "centrifuge-go": centrifuge.CentrifugeGo,
    "centrifuge-python": centrifuge.CentrifugePython,
    "pusher": hosted.Pusher,
    "ably": hosted.Ably,
    "firebase-database": hosted.FirebaseDatabase,
    "livekit": hosted.LiveKit,
    "mqtt-js": mqtt.MqttJs,
    "paho-python": mqtt.PahoPython,
    "paho-java": mqtt.PahoJava,
    "hivemq": mqtt.HiveMq,
    "aws-iot": mqtt.AwsIot,
    "graphql-ws": graphql.GraphqlWs,
    "subscriptions-transport-ws": graphql.SubscriptionsTransportWs,
    "reconnecting-websocket": websocket_wrappers.ReconnectingWebSocket,
    "partysocket": websocket_wrappers.PartySocket,
    "react-use-websocket": websocket_wrappers.ReactUseWebSocket,
    "websockets-python": websocket_wrappers.PythonWebsockets,
    "sockjs": websocket_wrappers.SockJs,
    "stompjs": stomp.StompJs,
    "nats-js": nats.NatsJs,
    "nats-python": nats.NatsPython,
    "nats-go": nats.NatsGo,
    "eventsource-chromium": eventsource.EventSourceChromium,
    "eventsource-firefox": eventsource.EventSourceFirefox,
    "eventsource-npm": eventsource.EventSourceNpm,
    "fetch-event-source": eventsource.FetchEventSource,
    "launchdarkly-eventsource": eventsource.LaunchDarklyEventSource,
}


def is_of_version(kind: type[StockClient], version: str) -> bool:
    """Whether the version that was read is this one, or begins with it: 4.8.4 is of 4.8."""
    return f"{kind.version}.".startswith(f"{version}.")
