"""A folder of each kind of project: the gateway that is found in it, and the scenario that is made of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from scenarios.project.look import gateways_below, look, reads_port, unknown_program
from scenarios.project.render import github_workflow, gitlab_job, storm_toml
from scenarios.project.repository import Repository
from scenarios.project.start import Plain, plain_command
from scenarios.scenario.loader import load
from scenarios.scenario.phases import expected_s
from scenarios.scenario.program import words_of

Files = Mapping[str, str]


def package(**more: Any) -> str:
    return json.dumps({"name": "Chat Gateway", "dependencies": {"socket.io": "4.8.4"}, **more})


def put(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


SERVER_JS = """
const { HOST = "127.0.0.1", PORT = "3000" } = process.env;
const io = new Server(http);
io.on("connection", (socket) => socket.emit("welcome", {}));
setInterval(() => io.emit("price", { seq: n++, ts: Date.now() }), 200);
app.get("/healthz", alive);
app.get('/readyz', ready);
http.listen(PORT, HOST);
"""
FIXED_JS = 'io.emit("tick", {});\nserver.listen(3000);'
ASGI_PY = """
import socketio
sio = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(sio, other)
"""
AIOHTTP_PY = """
import socketio
from aiohttp import web
PORT = int(os.environ.get("PORT", "3000"))
if __name__ == "__main__":
    web.run_app(app, port=PORT)
"""
FLASK_PY = """
from flask_socketio import SocketIO
socketio.run(app, port=5000)
"""
VENV = "test -x .venv/bin/python || python3 -m venv .venv; "
PIP = ".venv/bin/python -m pip install --quiet --disable-pip-version-check "
PYTHON = ".venv/bin/python"


class Case(Struct, frozen=True, kw_only=True):
    """What a project has, and what is found."""

    files: Files
    command: str
    setup: str = ""
    environment: Mapping[str, str] = {}
    told_port: bool = True


def python(entry: str, text: str, command: str, **more: Any) -> Case:
    files = {entry: text, "requirements.txt": "python-socketio>=5\nuvicorn\n"}
    return Case(files=files, command=command, setup=f"sh -c {VENV}{PIP}-r requirements.txt", **more)


CASES: dict[str, Case] = {
    "Node with a start script and a lock": Case(
        files={
            "package.json": package(scripts={"start": "node server.js"}),
            "package-lock.json": "{}",
            "server.js": SERVER_JS,
        },
        command="node server.js",
        setup="npm ci",
    ),
    "Node without a lock": Case(
        files={"package.json": package(main="lib/gateway.js"), "lib/gateway.js": SERVER_JS},
        command="node lib/gateway.js",
        setup="npm install",
    ),
    "Node without script and main": Case(
        files={"package.json": package(), "index.js": SERVER_JS}, command="node index.js", setup="npm install"
    ),
    "Node with a server in a folder": Case(
        files={"package.json": package(), "src/gateway/ws.mjs": 'import "socket.io"; process.env.PORT'},
        command="node src/gateway/ws.mjs",
        setup="npm install",
    ),
    "pnpm with a script for a shell": Case(
        files={
            "package.json": package(scripts={"start": "migrate && node server.js"}),
            "pnpm-lock.yaml": "",
            "server.js": SERVER_JS,
        },
        command="pnpm start",
        setup="pnpm install --frozen-lockfile",
    ),
    "nodemon": Case(
        files={"package.json": package(scripts={"start": "nodemon server.js"}), "server.js": SERVER_JS},
        command="node server.js",
        setup="npm install",
    ),
    "yarn 1": Case(
        files={
            "package.json": package(scripts={"start": "ts-node server.ts"}),
            "yarn.lock": "",
            "server.ts": SERVER_JS,
        },
        command="yarn start",
        setup="yarn install --frozen-lockfile",
    ),
    "yarn 4": Case(
        files={
            "package.json": package(scripts={"start": "node server.js"}, packageManager="yarn@4.1.0"),
            "yarn.lock": "",
            "server.js": SERVER_JS,
        },
        command="node server.js",
        setup="yarn install --immutable",
    ),
    "TypeScript that is built": Case(
        files={
            "package.json": package(
                scripts={"start": "NODE_ENV=production node dist/main.js", "build": "tsc -p ."}
            ),
            "package-lock.json": "{}",
            "src/main.ts": SERVER_JS,
        },
        command="node dist/main.js",
        setup="sh -c npm ci --include=dev && npm run build",
        environment={"NODE_ENV": "production"},
    ),
    "a port in the arguments": Case(
        files={
            "package.json": package(scripts={"start": "node server.js --port 3000"}),
            "server.js": FIXED_JS,
        },
        command="node server.js --port {port}",
        setup="npm install",
    ),
    "a port in another variable": Case(
        files={
            "package.json": package(scripts={"start": "node server.js"}),
            "server.js": "listen(process.env.GATEWAY_PORT)",
        },
        command="node server.js",
        setup="npm install",
        environment={"GATEWAY_PORT": "{port}"},
    ),
    "a fixed port": Case(
        files={"package.json": package(scripts={"start": "node server.js"}), "server.js": FIXED_JS},
        command="node server.js",
        setup="npm install",
        told_port=False,
    ),
    "Nest": Case(
        files={
            "package.json": json.dumps(
                {"dependencies": {"@nestjs/platform-socket.io": "11"}, "scripts": {"start": "nest start"}}
            ),
            "src/main.ts": "await app.listen(process.env.PORT ?? 3000);",
        },
        command="npm start",
        setup="npm install",
    ),
    "python-socketio on ASGI": python(
        "app.py", ASGI_PY, f"{PYTHON} -m uvicorn app:app --host {{host}} --port {{port}}"
    ),
    "ASGI in a package": Case(
        files={
            "shop/__init__.py": "",
            "shop/live.py": ASGI_PY,
            "requirements.txt": "python-socketio",
        },
        command=f"{PYTHON} -m uvicorn shop.live:app --host {{host}} --port {{port}}",
        setup=f"sh -c {VENV}{PIP}-r requirements.txt",
    ),
    "ASGI below src": Case(
        files={"src/app.py": ASGI_PY, "requirements.txt": "python-socketio"},
        command=f"{PYTHON} -m uvicorn --app-dir src app:app --host {{host}} --port {{port}}",
        setup=f"sh -c {VENV}{PIP}-r requirements.txt",
    ),
    "FastAPI with Socket.IO mounted": python(
        "main.py",
        'import socketio\napi = FastAPI()\napi.mount("/", socketio.ASGIApp(sio))\n',
        f"{PYTHON} -m uvicorn main:api --host {{host}} --port {{port}}",
    ),
    "aiohttp that reads PORT": python("server.py", AIOHTTP_PY, f"{PYTHON} server.py"),
    "a server with an option --port": python(
        "run.py",
        'import socketio\nparser.add_argument("--port", type=int)\nweb.run_app(app, port=a.port)\n',
        f"{PYTHON} run.py --port {{port}}",
    ),
    "Flask-SocketIO with a fixed port": python("app.py", FLASK_PY, f"{PYTHON} app.py", told_port=False),
    "uv": Case(
        files={"uv.lock": "", "pyproject.toml": "", "server.py": AIOHTTP_PY},
        command=f"{PYTHON} server.py",
        setup="uv sync --frozen",
    ),
    "poetry": Case(
        files={
            "poetry.lock": "",
            "pyproject.toml": '[tool.poetry.dependencies]\npython-socketio = "^5"\n',
            "server.py": AIOHTTP_PY,
        },
        command=f"{PYTHON} server.py",
        setup="sh -c POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction",
    ),
    "pyproject.toml with a build system": Case(
        files={
            "pyproject.toml": '[build-system]\n[project]\ndependencies = ["python-socketio>=5"]\n',
            "live/__init__.py": "",
            "live/__main__.py": AIOHTTP_PY,
        },
        command=f"{PYTHON} -m live",
        setup=f"sh -c {VENV}{PIP}.",
    ),
    "pyproject.toml with dependencies alone": Case(
        files={
            "pyproject.toml": '[project]\ndependencies = ["python-socketio>=5", "aiohttp"]\n',
            "server.py": AIOHTTP_PY,
        },
        command=f"{PYTHON} server.py",
        setup=f"sh -c {VENV}{PIP}'python-socketio>=5' aiohttp",
    ),
    "Python without requirements": Case(files={"server.py": AIOHTTP_PY}, command="python3 server.py"),
    "a Procfile for Python": Case(
        files={
            "Procfile": "worker: python jobs.py\nweb: uvicorn app:app --port $PORT\n",
            "requirements.txt": "python-socketio",
            "app.py": ASGI_PY,
        },
        command=".venv/bin/uvicorn app:app --port {port}",
        setup=f"sh -c {VENV}{PIP}-r requirements.txt",
    ),
    "a Procfile of something else": Case(
        files={"Procfile": "web: MODE=fast bin/gateway --port ${PORT:-80}"},
        command="bin/gateway --port {port}",
        environment={"MODE": "fast"},
    ),
    "a Dockerfile of something else": Case(
        files={
            "Dockerfile": 'FROM a AS build\nCMD ["make"]\nFROM b\nEXPOSE 3000\nENTRYPOINT ["bin/gateway"]\n'
            'CMD ["-p", \\\n "3000"]\n',
            "bin/gateway": "",
        },
        command="bin/gateway -p {port}",
    ),
    "a name full of signs": Case(
        files={
            "package.json": package(name='@a/b"\n$', main='we"ird.js'),
            'we"ird.js': SERVER_JS,
        },
        command='node we"ird.js',
        setup="npm install",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_project_becomes_a_scenario_that_loads(case: Case, tmp_path: Path) -> None:
    put(tmp_path, case.files)
    project = look(tmp_path)
    assert project is not None
    file = tmp_path / "storm.toml"
    file.write_text(storm_toml(project), encoding="utf-8")
    scenario = load(str(file))
    assert " ".join(words_of(scenario.gateway.command)) == case.command
    assert " ".join(words_of(scenario.gateway.setup)) == case.setup
    assert scenario.gateway.environment == case.environment
    assert reads_port(project) is case.told_port
    assert ("does not seem to read PORT" in file.read_text(encoding="utf-8")) is not case.told_port
    assert scenario.slo
    assert scenario.trigger_s is not None


def test_a_gate_of_five_rounds_takes_less_than_four_minutes(tmp_path: Path) -> None:
    project = look(put(tmp_path, CASES["Node without script and main"].files))
    assert project is not None
    (tmp_path / "storm.toml").write_text(storm_toml(project), encoding="utf-8")
    assert 10 * (expected_s(load(str(tmp_path / "storm.toml"))) + 2) < 240


def test_the_commented_lines_of_a_scenario_load_as_well(tmp_path: Path) -> None:
    project = look(put(tmp_path, {"package.json": package(), "index.js": "socket.io"}))
    assert project is not None
    text = storm_toml(project)
    for line in (
        *(
            "[target]",
            'namespace = "/"',
            'auth = { token = "…" }',
            'headers = { Authorization = "Bearer …" }',
        ),
        *('seq_field = "seq"', 'due_field = "ts"', 'due_unit = "ms"', 'due_clock = "wall"', "[matrix]"),
        *('ready_path = "/readyz"', "[gateway.environment]", 'LOG_LEVEL = "warn"', "[[slo]]"),
        *(
            'metric = "time_to_recover_s"',
            'operator = "<="',
            "bound = 8",
            '"edge.limit" = ["none", "per-ip"]',
        ),
        *('emit = [["subscribe", "prices"]]', '"fleet.policy" = ["naive", "socketio-js", "incident"]'),
    ):
        assert text.count(f"# {line}\n") == 1, line
        text = text.replace(f"# {line}\n", f"{line}\n")
    (tmp_path / "storm.toml").write_text(text, encoding="utf-8")
    assert load(str(tmp_path / "storm.toml")).matrix


NO_GATEWAY: dict[str, Files] = {
    "nothing": {},
    "a Node project without Socket.IO": {"package.json": json.dumps({"dependencies": {"express": "5"}})},
    "a Python project without it": {"requirements.txt": "aiohttp", "app.py": "import aiohttp"},
    "a Python client": {"requirements.txt": "python-socketio", "README.md": ""},
    "package.json that is no JSON": {"package.json": "{"},
    "package.json that is a list": {"package.json": "[]"},
    "a Procfile for a shell": {"Procfile": "web: cd app && ./start"},
    "a Dockerfile of another machine": {"Dockerfile": 'FROM x\nCMD ["/srv/gateway"]'},
    "a test that imports it": {"tests/app.py": ASGI_PY},
}


@pytest.mark.parametrize("files", NO_GATEWAY.values(), ids=NO_GATEWAY)
def test_where_there_is_no_gateway_none_is_found(files: Files, tmp_path: Path) -> None:
    assert look(put(tmp_path, files)) is None


def test_a_command_of_the_user_goes_with_what_was_found(tmp_path: Path) -> None:
    put(tmp_path, CASES["Node with a start script and a lock"].files)
    project = look(tmp_path, "LOG=1 node other.js")
    assert project is not None
    assert project.start.words == ("node", "other.js")
    assert project.start.environment == {"LOG": "1"}
    assert project.start.setup == ("npm", "ci")
    alone = look(put(tmp_path / "empty", {"x": ""}), "./gateway -p 80")
    assert alone is not None
    assert alone.start.words == ("./gateway", "-p", "{port}")


def test_gateways_in_folders_below_and_programs_of_an_image_are_named(tmp_path: Path) -> None:
    put(tmp_path, {"a/web/package.json": package(), "b/requirements.txt": "Flask-SocketIO==5", "c/x.py": ""})
    assert gateways_below(tmp_path) == ["b", "a/web"]
    put(tmp_path, NO_GATEWAY["a Dockerfile of another machine"])
    assert unknown_program(tmp_path) == "/srv/gateway"


LINES: dict[str, Plain | None] = {
    "node server.js": Plain(("node", "server.js"), {}),
    "exec node 'a b.js'": Plain(("node", "a b.js"), {}),
    "PORT=3000 A=b node x": Plain(("node", "x"), {"A": "b"}),
    "cross-env NODE_ENV=production node x": Plain(("node", "x"), {"NODE_ENV": "production"}),
    "x --port=$PORT": Plain(("x", "--port={port}"), {}),
    "gunicorn -b 0.0.0.0:8000 app": Plain(("gunicorn", "-b", "0.0.0.0:{port}", "app"), {}),
    "gunicorn --bind=0.0.0.0:8000 app": Plain(("gunicorn", "--bind=0.0.0.0:{port}", "app"), {}),
    "tar -p x": Plain(("tar", "-p", "x"), {}),
    "x $HOME": None,
    "a && b": None,
    "a > b": None,
    "a `b`": None,
    "it's": None,
    "A=b": None,
    "": None,
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_becomes_a_command_only_where_no_shell_is_needed(line: str) -> None:
    assert plain_command(line) == LINES[line]


@given(st.text())
def test_no_line_breaks_the_reading_of_it(line: str) -> None:
    plain = plain_command(line)
    assert plain is None or plain.words


def test_the_namespace_of_the_feed_is_the_one_that_clients_join(tmp_path: Path) -> None:
    text = "const feed = io.of('/feed');\nsetInterval(() => feed.emit('price', 1), 100);"
    project = look(put(tmp_path, {"package.json": package(), "index.js": text}))
    assert project is not None
    (tmp_path / "storm.toml").write_text(storm_toml(project), encoding="utf-8")
    scenario = load(str(tmp_path / "storm.toml"))
    assert (scenario.target.namespace, scenario.feed.event, scenario.feed.rate_hz) == ("/feed", "price", 10)


TOOLS: dict[str, tuple[str, str, str]] = {
    "pnpm start": ("pnpm with a script for a shell", "corepack enable", "corepack enable"),
    "poetry": ("poetry", "pipx install poetry", "pip install --quiet poetry"),
    "uv": ("uv", "pipx install uv", "pip install --quiet uv"),
}


@pytest.mark.parametrize(("case", "github", "gitlab"), TOOLS.values(), ids=TOOLS)
def test_a_job_installs_the_tools_of_the_set_up(case: str, github: str, gitlab: str, tmp_path: Path) -> None:
    project = look(put(tmp_path, CASES[case].files))
    place = Repository(tmp_path, "main", (), "")
    steps = yaml.safe_load(github_workflow(project, place, tmp_path))["jobs"]["gate"]["steps"]
    assert github in [step.get("run") for step in steps]
    assert gitlab in yaml.safe_load(gitlab_job(project, place, tmp_path))["storm-gate"]["before_script"]


def test_a_job_has_the_runtime_of_the_project(tmp_path: Path) -> None:
    put(tmp_path, {**CASES["yarn 1"].files, ".nvmrc": "22"})
    workflow = github_workflow(look(tmp_path), Repository(tmp_path, "main", (), ""), tmp_path)
    steps = yaml.safe_load(workflow)["jobs"]["gate"]["steps"]
    (node,) = (step for step in steps if "setup-node" in step.get("uses", ""))
    assert node["with"] == {"node-version-file": ".nvmrc"}
