"""What source files say about a gateway: its feed, its ports, its health checks, its clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.project.feed import Feed, feed
from scenarios.project.folder import Source
from scenarios.project.hints import Hints, hints

FEEDS: dict[str, tuple[str, Feed]] = {
    "an interval": (
        'socket.emit("welcome", {});\n'
        'setInterval(() => { io.emit("price", { seq: n++, ts: Date.now() }); }, 250);',
        Feed(event="price", others=("welcome",), rate_hz=4, seq_field="seq", due_field="ts", due_unit="ms"),
    ),
    "an interval with a name for its period": (
        "const PERIOD_MS = 1_00;\n"
        'setInterval(() => {\n  io.to("room").emit("quote", { price: f(1) });\n}, PERIOD_MS);',
        Feed(event="quote", rate_hz=10),
    ),
    "a timer that is set anew, and a rate": (
        'const { RATE_HZ = "5" } = process.env;\n'
        '(function publish() {\n  io.emit("tick", { seq, ts: due });\n  setTimeout(publish, wait());\n})();',
        Feed(event="tick", rate_hz=5, seq_field="seq", due_field="ts"),
    ),
    "Python": (
        "LAG_S = 0.01\nasync def lag():\n    while True:\n        await asyncio.sleep(LAG_S)\n\n"
        "async def publish():\n    while True:\n"
        '        await sio.emit("tick", {"seq": k, "ts": time.time()}, room=room)\n'
        "        await sio.sleep(0.2)\n",
        Feed(event="tick", rate_hz=5, seq_field="seq", due_field="ts", due_unit="s"),
    ),
    "Python in milliseconds": (
        "def publish():\n    while True:\n"
        '        sio.emit("tick", {"at": time.time() * 1000})\n        sleep(2)\n',
        Feed(event="tick", rate_hz=0.5, due_field="at", due_unit="ms"),
    ),
    "a number called n": (
        "setInterval(() => io.emit('pos', { n: n++, sentAt: Date.now() }), 250);",
        Feed(event="pos", rate_hz=4, seq_field="n", due_field="sentAt", due_unit="ms"),
    ),
    "a chat": (
        'socket.on("message", (text) => socket.emit("answer", text));',
        Feed(others=("answer",)),
    ),
    "fields in an object of the object": (
        "setInterval(() => {\n"
        "  feed.emit('price', { meta: { at: Date.now(), seq }, bid: [1, 2] });\n}, 100);",
        Feed(event="price", rate_hz=10, seq_field="meta.seq", due_field="meta.at", due_unit="ms"),
    ),
    "a timer that calls a function": (
        "function broadcast() { io.to(`room:${id}`).emit('tick', next()); }\n"
        "setInterval(broadcast, 1000 / 8);",
        Feed(event="tick", rate_hz=8),
    ),
    "a period from the environment": (
        "const TICK_MS = Number(process.env.TICK_MS || 250);\n"
        "setInterval(() => { io.emit('tick', f(1, 2)); }, TICK_MS);",
        Feed(event="tick", rate_hz=4),
    ),
    "a period among destructured variables": (
        "const { PORT, TICK_MS = '125' } = process.env;\nsetInterval(() => io.emit('tick', 1), TICK_MS);",
        Feed(event="tick", rate_hz=8),
    ),
    "a period of Python from the environment": (
        'PERIOD_S = float(os.environ.get("PERIOD_S", "0.5"))\n\ndef publish():\n    while True:\n'
        '        socketio.emit("tick", {"seq": n})\n        socketio.sleep(PERIOD_S)\n',
        Feed(event="tick", rate_hz=2, seq_field="seq"),
    ),
    "a rate of Python": (
        'RATE = 20\n\nasync def publish():\n    while True:\n        await sio.emit("tick", 1)\n'
        "        await asyncio.sleep(1 / RATE)\n",
        Feed(event="tick", rate_hz=20),
    ),
    "a namespace": (
        "setInterval(() => io.of('/feed').emit('price', 1), 100);",
        Feed(event="price", rate_hz=10, namespace="/feed"),
    ),
    "a namespace with a name": (
        "const feed = io.of('/feed');\nsetInterval(() => feed.emit('price', 1), 100);",
        Feed(event="price", rate_hz=10, namespace="/feed"),
    ),
    "a namespace of Python": (
        "while True:\n    await sio.emit('price', 1, namespace='/feed')\n    await sio.sleep(0.1)",
        Feed(event="price", rate_hz=10, namespace="/feed"),
    ),
    "an object with a name": (
        "setInterval(() => {\n"
        "  const tick = { seq: n, time: Date.now() };\n  io.emit('tick', tick);\n}, 200);",
        Feed(event="tick", rate_hz=5, seq_field="seq", due_field="time", due_unit="ms"),
    ),
    "a comment": ('// setInterval(() => io.emit("tick"), 200);', Feed()),
    "nothing": ("", Feed()),
}


@pytest.mark.parametrize(("text", "found"), FEEDS.values(), ids=FEEDS)
def test_the_feed_is_the_event_that_goes_to_many_by_a_timer(text: str, found: Feed) -> None:
    assert feed([Source("server.js", text)]) == found


HINTS: dict[str, tuple[str, Hints]] = {
    "PORT of Node": ("process.env.PORT || 3000", Hints(port_variables=("PORT",))),
    "PORT in brackets": ('process.env["PORT"]', Hints(port_variables=("PORT",))),
    "PORT among others": (
        'const { HOST, PORT: port = "1" } = process.env;',
        Hints(port_variables=("PORT",)),
    ),
    "PORT of Python": ('os.environ.get("PORT", "1")', Hints(port_variables=("PORT",))),
    "PORT by getenv": ("os.getenv('WS_PORT')", Hints(port_variables=("WS_PORT",))),
    "a fixed port of eventlet": (
        "wsgi.server(eventlet.listen(('', 5000)), app)",
        Hints(fixed_port="server.js listens on port 5000"),
    ),
    "a fixed port": ("http.listen(8080, f)", Hints(fixed_port="server.js listens on port 8080")),
    "a port as an argument": (
        "uvicorn.run(app, port=8000)",
        Hints(fixed_port="server.js listens on port 8000"),
    ),
    "readiness before liveness": (
        'get("/healthz"); get("/readyz")',
        Hints(ready_path="/readyz", liveness_path="/healthz"),
    ),
    "one path for both": ("get('/health')", Hints(ready_path="/health", liveness_path="/health")),
    "an Engine.IO path": ('new Server(http, { path: "/ws" })', Hints(path="/ws/")),
    "an Engine.IO path of Python": ('ASGIApp(sio, socketio_path="live")', Hints(path="/live/")),
    "the usual path": ('new Server(http, { path: "/socket.io/" })', Hints()),
    "namespaces": ('io.of("/prices"); io.of("/prices")', Hints(namespaces=("/prices",))),
    "a token": ("socket.handshake.auth.token", Hints(auth=("auth",))),
    "a header": ("socket.handshake.headers.authorization", Hints(auth=("headers.authorization",))),
    "a header that every client sends": ("socket.handshake.headers.origin", Hints()),
    "auth of Python": ('auth["token"]', Hints(auth=("auth",))),
    "events of clients": (
        'socket.on("disconnect"); socket.on("subscribe"); @sio.on("join")',
        Hints(handled=("subscribe", "join")),
    ),
    "events as functions": (
        "@sio.event\nasync def connect(sid): ...\n@sio.event\ndef order(sid): ...",
        Hints(handled=("order",)),
    ),
}


@pytest.mark.parametrize(("text", "found"), HINTS.values(), ids=HINTS)
def test_the_sources_say_what_a_gateway_needs(text: str, found: Hints) -> None:
    assert hints([Source("server.js", text)]) == found


@given(st.text(alphabet="io.emit('tick',{}) setInterval[]\n\"/health:process.env.PORT=> sleep0123"))
def test_no_source_breaks_the_reading_of_it(text: str) -> None:
    hints([Source("a.js", text)])
    feed([Source("a.js", text)])
