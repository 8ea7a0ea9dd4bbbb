"""The architecture holds: imports go one way, pure modules are pure, and folders stay small."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("reconnect_storm", "gateway_stub", "reports", "scenarios", "tools")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
}

RANKS = (
    "reconnect_storm",
    "gateway_stub",
    "reports.rundir",
    "reports.text",
    "reports.analysis",
    "reports.alerts",
    "reports.otlp",
    "reports.compare",
    "reports.tuning",
    "reports.gate",
    "reports.trend",
    "reports.noise",
    "reports.figures",
    "reports.page",
    "reports.rehearsal",
    "scenarios.fields",
    "scenarios.exit_status",
    "scenarios.policies",
    "scenarios.limits",
    "scenarios.events",
    "scenarios.credentials",
    "scenarios.scenario",
    "scenarios.lint",
    "scenarios.host",
    "scenarios.clients.protocol",
    "scenarios.wire",
    "scenarios.clients",
    "scenarios.generator",
    "scenarios.clients.locustfile",  # what Locust is pointed at: a path that users know
    "scenarios.clients.stock_locustfile",
    "scenarios.programs",
    "scenarios.proxies",
    "scenarios.agent",
    "scenarios.stack",
    "scenarios.stack.remote",
    "scenarios.runner",
    "scenarios.simulator",
    "scenarios.estimate",
    "scenarios.rehearsal",
    "scenarios.gate",
    "scenarios.selftest",
    "scenarios.measure",
    "scenarios.bench",
    "scenarios.tuning",
    "scenarios.project",
    "scenarios.kubernetes",
    "scenarios.reference",
    "scenarios.cli",
    "reconnect_storm.__main__",  # the command
    "tools",
)
"""A package may import itself and those before it."""

JUDGES = (
    "scenarios.runner.retry",
    "scenarios.gate",
    "scenarios.selftest",
    "scenarios.tuning",
    "scenarios.reference",
    "scenarios.cli",
    "tools",
)
"""The only importers of what reports make of a run directory; others stop at `reports.rundir`."""

RULES = (
    "reports.text.units",
    "reports.text.slo",
    "reports.analysis.recovery",
    "reports.analysis.rise",
    "reports.analysis.disturbance",
)
"""Pure rules that a run applies while it goes on, as its report does later."""

SHARED_WITH_PODS = (
    "gateway_stub.protocol",
    "gateway_stub.feed_schedule",
    "gateway_stub.sliding_window",
)

COMPILER = {"numba", "llvmlite"}
"""Large, and slow to import."""
PREDICTING = {f"scenarios.cli.commands.{name}" for name in ("simulate", "tune", "tune_confirm")}

MOST_MODULES = 16
MOST_LINES = 400

PURE = (
    "scenarios.policies",
    "scenarios.limits",
    "scenarios.credentials.answers",
    "scenarios.scenario.stability",
    "scenarios.scenario.timeline",
    "scenarios.estimate",
    "scenarios.clients.protocol.frames",
    "scenarios.clients.protocol.session",
    "scenarios.clients.buckets",
    "scenarios.clients.recorder",
    "scenarios.measure.estimate",
    "scenarios.lint.clients",
    "scenarios.lint.quantities",
    "scenarios.measure.sizes",
    "scenarios.rehearsal.decisions",
    "scenarios.rehearsal.live_slo",
    "scenarios.rehearsal.live_verdict",
    "scenarios.rehearsal.replay",
    "scenarios.rehearsal.screen",
    "scenarios.rehearsal.state",
    "reports.text.units",
    "reports.text.slo",
    "reports.analysis.metrics",
    "reports.analysis.shared_ips",
    "reports.analysis.validity",
    "reports.analysis.verdict",
    "reports.compare.comparison",
    "reports.compare.control",
    "reports.compare.ranges",
    "reports.compare.statistics",
    "reports.compare.storm_map",
    "reports.trend.rank_scan",
    "reports.trend.segments",
    "reports.trend.changes",
    "reports.noise",
)
IMPURE = {"asyncio", "datetime", "gevent", "locust", "os", "socket", "subprocess", "threading", "time"}


def _top(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def rank(module: str) -> int:
    """The place of the most specific package that the module is in."""
    own = [package for package in RANKS if within(module, package)]
    assert own, f"{module}: a package without a place in RANKS"
    return RANKS.index(max(own, key=len))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, in full, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_module(name: str) -> str | None:
    """The module of this project that an imported name is, or is in."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


EDGES = {
    module: {own for name in imports(path) if (own := own_module(name)) and own != module}
    for module, path in MODULES.items()
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_up(module: str) -> None:
    assert {other for other in EDGES[module] if rank(other) > rank(module)} == set()


def test_there_is_no_circle_of_imports() -> None:
    left = {module: set(others) for module, others in EDGES.items()}
    while ready := {module for module, others in left.items() if not others & left.keys()}:
        left = {module: others for module, others in left.items() if module not in ready}
    assert sorted(left) == []


def test_only_commands_that_predict_reach_the_compiler() -> None:
    reach = {module for module, path in MODULES.items() if {*map(_top, imports(path))} & COMPILER}
    while more := {module for module, others in EDGES.items() if others & reach} - reach:
        reach |= more
    assert {module for module in reach if within(module, "scenarios.cli")} == PREDICTING


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "scenarios")])
def test_only_judges_import_what_reports_make_of_a_run(module: str) -> None:
    if any(within(module, judge) for judge in JUDGES):
        return
    others = {other for other in EDGES[module] if within(other, "reports")}
    assert {other for other in others if not within(other, "reports.rundir") and other not in RULES} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "scenarios")])
def test_clients_and_pods_share_three_modules(module: str) -> None:
    assert {other for other in EDGES[module] if within(other, "gateway_stub")} <= set(SHARED_WITH_PODS)


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.split(".")[0] in {"reports", "gateway_stub"}]
)
def test_reports_and_pods_import_nothing_of_the_others(module: str) -> None:
    assert {other for other in EDGES[module] if _top(other) != _top(module)} == set()


@pytest.mark.parametrize(
    "module", [name for name in MODULES if any(within(name, package) for package in PURE)]
)
def test_pure_modules_touch_no_clock_no_socket_and_no_process(module: str) -> None:
    assert {name.split(".")[0] for name in imports(MODULES[module])} & IMPURE == set()


@pytest.mark.parametrize("module", MODULES)
def test_nobody_draws_from_the_global_random_source(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    uses = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
    }
    assert uses <= {"Random"}


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in MODULES.values()}), ids=lambda path: path.name
)
def test_a_folder_is_small_enough_to_be_read(folder: Path) -> None:
    names = [path.name for path in folder.glob("*.py") if not path.name.startswith("__")]
    assert len(names) <= MOST_MODULES, names


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short_enough_to_have_one_job(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_in_its_first_lines_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))


def test_the_architecture_names_every_package_and_nothing_that_is_gone() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = {part for part in text.split("`")[1::2] if re.fullmatch(r"[\w/]+/[\w/]*(\.py)?", part)}
    gone = {name for name in named if not (ROOT / name).exists()}
    assert gone == set()
    packages = {
        name.split(".", 1)[1]
        for name in RANKS
        if "." in name and "locustfile" not in name and "__" not in name
    }
    assert {name for name in packages if not re.search(rf"(?m)^.*\b{re.escape(name)}\b", text)} == set()
