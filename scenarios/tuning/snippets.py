"""Code for policies that a stock client's options cannot express.

JavaScript: the manager emits `close` before it asks its back-off for the first delay, and `reconnect_attempt`
before an attempt whose failure makes it ask for the next one. With a jitter of 0 and the minimum equal to the
maximum, the delay that it is given is the one that was set.
"""

from typing import Any

import msgspec

from scenarios.fields import NameOrTable
from scenarios.policies.outcome import Reset
from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.tuning.candidate import policy_name

_JS = """\
const socket = io(url, {{ timeout: {timeout_ms} }});
const manager = socket.io;
let attempts = 0, last = 0, since = Infinity;

function delay(n) {{  // milliseconds before attempt n
{formula}
}}

function prepare() {{
  last = Math.round(delay(attempts));
  manager.randomizationFactor(0);
  manager.reconnectionDelay(last);
  manager.reconnectionDelayMax(last);
}}

{reset}manager.on("close", () => {{ {over}prepare(); }});
manager.on("reconnect_attempt", () => {{ attempts += 1; prepare(); }});
prepare();"""

_JS_DELAY = """\
let last = 0;
const delay = (n) => (last = wait(n));

function wait(n) {{  // milliseconds before attempt n = 0, 1, 2, …
{formula}
}}"""

_PYTHON = """\
client = socketio.AsyncClient(reconnection=False)

def delays():  # seconds before attempt 0, 1, 2, …
{formula}

async def stay_connected(url):
    loop, waits, since = asyncio.get_running_loop(), delays(), float("inf")
    while True:
        try:
            async with asyncio.timeout({timeout_s:g}):
                await client.connect(url, wait_timeout={timeout_s:g})
        except (socketio.exceptions.ConnectionError, TimeoutError):
            await client.disconnect()
        else:
            since = loop.time()
            await client.wait()
            {over}
        await asyncio.sleep(next(waits))"""


def javascript_snippet(spec: NameOrTable, reset: Reset, *, timeout_ms: float) -> str:
    """Code around a stock socket.io-client 4 that makes it follow the policy."""
    match reset:
        case "never":
            when, over = "", ""
        case "open":
            when, over = "", "attempts = 0; "
        case "joined":
            when, over = 'socket.on("connect", () => { attempts = 0; });\n', ""
        case stable_s:
            when = 'socket.on("connect", () => { since = Date.now(); });\n'
            over = f"if (Date.now() - since >= {_ms(float(stable_s))}) attempts = 0; since = Infinity; "
    return _JS.format(timeout_ms=timeout_ms, formula=_js_formula(spec), reset=when, over=over)


def javascript_delay(spec: NameOrTable) -> str:
    """A function of JavaScript that gives the milliseconds before attempt n = 0, 1, 2, …"""
    return _JS_DELAY.format(formula=_js_formula(spec))


def python_snippet(spec: NameOrTable, reset: Reset, *, timeout_s: float) -> str:
    """A loop of one's own around python-socketio's client that follows the policy."""
    name, values = _named(spec)
    formula = "\n".join(f"    {line}" for line in _PYTHON_FORMULAS[name](values))
    match reset:
        case "never":
            over = "pass"
        case "open" | "joined":
            over = "waits = delays()"
        case stable_s:
            over = f"if loop.time() - since >= {stable_s:g}:\n                waits = delays()"
    return _PYTHON.format(timeout_s=timeout_s, formula=formula, over=over)


def as_stock(spec: NameOrTable) -> dict[str, Any]:
    """The same policy as a table, of a stock client under its present names where there is one for it."""
    name = policy_name(spec)
    given = {} if isinstance(spec, str) else {key: value for key, value in spec.items() if key != "name"}
    if name == "incident":
        # The stock client knows the parameters of `incident` as former names of its own.
        name, given = "socketio-js", msgspec.to_builtins(policy(spec))
    former = STOCK[name].former if name in STOCK else {}
    return {"name": name, **{former.get(key, key): value for key, value in given.items()}}


def has_formula(spec: NameOrTable) -> bool:
    """Whether the code has the policy's formula, and not only a place for it."""
    return bool(_named(spec)[0])


def _js_formula(spec: NameOrTable) -> str:
    name, values = _named(spec)
    return "\n".join(f"  {line}" for line in _JS_FORMULAS[name](values))


def _named(spec: NameOrTable) -> tuple[str, dict[str, Any]]:
    spec = as_stock(spec)
    name = spec["name"]
    if name not in _JS_FORMULAS:
        return "", {"name": name}
    return name, msgspec.to_builtins(policy(spec))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.6g}"


_JS_FORMULAS: dict[str, Any] = {
    "": lambda v: [f"throw new Error('write the policy {v['name']} here');"],
    "naive": lambda _: ["return 0;"],
    "socketio-js": lambda v: [
        f"const ms = {v['reconnectionDelay']:g} * 2 ** n, r = Math.random();",
        f"const part = Math.floor(r * {v['randomizationFactor']:g} * ms);",
        "const spread = Math.floor(r * 10) % 2 ? ms + part : ms - part;",
        f"return Math.min(spread, {v['reconnectionDelayMax']:g});",
    ],
    "socketio-python": lambda v: [
        f"const ms = Math.min({_ms(v['reconnection_delay'])} * 2 ** n, {_ms(v['reconnection_delay_max'])});",
        f"return Math.max(0, ms + {_ms(v['randomization_factor'])} * (2 * Math.random() - 1));",
    ],
    "full-jitter": lambda v: [
        f"return Math.random() * Math.min({_ms(v['cap_s'])}, {_ms(v['base_s'])} * 2 ** n);"
    ],
    "decorrelated-jitter": lambda v: [
        f"const before = n ? last : {_ms(v['base_s'])};",
        f"return Math.min({_ms(v['cap_s'])}, {_ms(v['base_s'])} + Math.random() * (3 * before - "
        f"{_ms(v['base_s'])}));",
    ],
    "spread": lambda v: [
        f"if (n === 0) return {_ms(v['hold_s'])} + Math.random() * {_ms(v['window_s'])};",
        f"return Math.random() * Math.min({_ms(v['cap_s'])}, {_ms(v['base_s'])} * 2 ** (n - 1));",
    ],
}

_PYTHON_FORMULAS: dict[str, Any] = {
    "": lambda v: [f"raise NotImplementedError({'write the policy ' + v['name'] + ' here'!r})"],
    "naive": lambda _: ["while True:", "    yield 0.0"],
    "socketio-js": lambda v: [
        "for n in itertools.count():",
        f"    ms, r = {v['reconnectionDelay']:g} * 2 ** min(n, 40), random.random()",
        f"    part = int(r * {v['randomizationFactor']:g} * ms)",
        "    spread = ms + part if int(r * 10) % 2 else ms - part",
        f"    yield min(spread, {v['reconnectionDelayMax']:g}) / 1000",
    ],
    "socketio-python": lambda v: [
        "for n in itertools.count():",
        f"    wait = min({v['reconnection_delay']:g} * 2 ** min(n, 40), {v['reconnection_delay_max']:g})",
        f"    yield max(0.0, wait + {v['randomization_factor']:g} * (2 * random.random() - 1))",
    ],
    "full-jitter": lambda v: [
        "for n in itertools.count():",
        f"    yield random.uniform(0, min({v['cap_s']:g}, {v['base_s']:g} * 2 ** min(n, 40)))",
    ],
    "decorrelated-jitter": lambda v: [
        f"wait = {v['base_s']:g}",
        "while True:",
        f"    wait = min({v['cap_s']:g}, random.uniform({v['base_s']:g}, 3 * wait))",
        "    yield wait",
    ],
    "spread": lambda v: [
        f"yield {v['hold_s']:g} + random.uniform(0, {v['window_s']:g})",
        "for n in itertools.count():",
        f"    yield random.uniform(0, min({v['cap_s']:g}, {v['base_s']:g} * 2 ** min(n, 40)))",
    ],
}
