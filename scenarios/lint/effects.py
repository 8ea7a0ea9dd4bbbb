"""What a mistake does in a storm, where proxies share it: each sentence completes “what happens”."""

from scenarios.lint.clients import POLLING_REQUESTS

SINGLE_KEY = "the limit has one key, so all clients share it and a few that come again at once use it up"
ALL_REQUESTS = (
    f"a client that begins with polling makes {POLLING_REQUESTS} requests to connect and each of them counts,"
    " so clients are refused half-way and start again"
)
WHOLE_IPV6 = "an IPv6 client has a whole /64 to choose from, so the limit never holds it back"
NO_KEEPALIVE = (
    "each of the requests with which a polling client connects opens a TCP connection of its own, and makes a"
    " TLS handshake"
)
NO_LIMIT = "nothing holds back clients that come again at once, so pods get all attempts of a storm"
LOOKS_BROKEN = (
    "refusals look like a broken gateway: clients, load balancers and alerts cannot tell them from an outage"
)
NOT_STICKY = (
    "the requests of one polling client go to different pods, which answer 400 to a session that they do not"
    " know, and the client starts again"
)
NGINX_CUTS = (
    "nginx cuts a socket on which the pod has sent nothing for that long, and those that joined together are"
    " cut together and come back together"
)
CUT_ON_FAILED_CHECK = (
    "a pod that fails its checks for a moment loses all its WebSockets at once, although it still serves them"
)
LOCKED_OUT = (
    "a WebSocket counts for as long as it is open, so the next client behind a shared IP is locked out for"
    " good"
)
