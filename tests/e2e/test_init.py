"""What `init` writes can be stormed as it is: a gateway of Python, one of Node, and a copied example."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.e2e.command_line import GOOD_OR_INVALID, last_known

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PYTHON_GATEWAY = """
import asyncio, os, time
import socketio
from aiohttp import web

sio = socketio.AsyncServer(async_mode="aiohttp")
PERIOD_S = 0.2


async def publish():
    seq = 0
    while True:
        await sio.emit("price", {"seq": seq, "ts": time.time()})
        seq += 1
        await sio.sleep(PERIOD_S)


async def start(_app):
    sio.start_background_task(publish)


async def health(_request):
    return web.Response(text="ok")


app = web.Application()
sio.attach(app)
app.add_routes([web.get("/healthz", health)])
app.on_startup.append(start)
web.run_app(app, host=os.environ["HOST"], port=int(os.environ["PORT"]), shutdown_timeout=0.5)
"""
NODE_GATEWAY = """
const http = require("node:http").createServer();
const io = new (require("socket.io").Server)(http);
let seq = 0;
setInterval(() => io.emit("price", { seq: seq++, ts: Date.now() }), 200);
process.on("SIGTERM", () => process.exit(0));
http.listen(process.env.PORT, process.env.HOST);
"""


CLIENTS = 40
GENTLE = (f"fleet.clients={CLIENTS}", "fleet.connect_timeout_s=5", "fleet.stale_after_s=0")
"""On a busy machine, 120 handshakes may take these gateways longer than their clients wait."""


def typed(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line, in that folder."""
    return subprocess.run(
        [sys.executable, "-m", "reconnect_storm", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def stormed(folder: Path, *sets: str) -> Run:
    """Plays the scenario of the folder once; a busy machine may make the run invalid."""
    settings = [part for one in (*GENTLE, *sets) for part in ("--set", one)]
    done = typed(folder, "run", "storm.toml", "--retries", "0", *settings)
    assert done.returncode in GOOD_OR_INVALID, done.stdout + done.stderr
    (path,) = find_runs([folder / "runs" / "latest"])
    return Run.load(path)


def assert_stormed(run: Run, reference: str) -> None:
    assert run.info.status == "complete", run.info.problem
    assert run.info.reference == reference
    assert sum(row["disconnects"] or 0 for row in run.rows) >= CLIENTS
    assert last_known(run, "connected") == CLIENTS


def test_a_gateway_of_python_is_found_and_stormed(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(PYTHON_GATEWAY)
    # Without requirements, no environment is made, and the interpreter is the one on the PATH.
    done = typed(tmp_path, "init", "--gateway", f"{sys.executable} server.py")
    assert done.returncode == 0, done.stderr
    assert_stormed(stormed(tmp_path), "due")


@pytest.mark.needs_node
def test_a_gateway_of_node_is_found_and_stormed(tmp_path: Path, node_modules: Path) -> None:
    package = {"dependencies": {"socket.io": "4.8.4"}, "scripts": {"start": "node server.js"}}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "server.js").write_text(NODE_GATEWAY)
    (tmp_path / "node_modules").symlink_to(node_modules / "node_modules")
    done = typed(tmp_path, "init")
    assert done.returncode == 0, done.stderr
    assert_stormed(stormed(tmp_path, "gateway.setup="), "due")


@pytest.mark.needs_node
def test_a_copied_example_is_stormed_as_it_is(tmp_path: Path, node_modules: Path) -> None:
    assert typed(tmp_path, "init", "--example", "node", "demo").returncode == 0
    copied = {path.name for path in (tmp_path / "demo").iterdir()}
    assert copied == {path.name for path in (EXAMPLES / "node").iterdir()} - {"node_modules", "runs"}
    shutil.copytree(node_modules / "node_modules", tmp_path / "demo" / "node_modules", symlinks=True)
    short = (
        "phases.duration_s=18",
        "phases.during_s=8",
        "phases.recovery_window_s=3",
        "phases.rescue_at_s=0",
    )
    sets = ("gateway.setup=", "fleet.stale_after_s=0", "fleet.policy=incident", *short)
    assert_stormed(stormed(tmp_path / "demo", *sets), "due")
