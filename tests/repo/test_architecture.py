"""The plan of the house holds: every module is on the map, and imports go one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("scenarios", "gateway_stub", "reports")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__init__.py"
)
MAY_IMPORT = {
    "scenarios": (
        "scenarios",
        "reports.rundir",
        # Pure rules that a run asks while it goes on, and its report afterwards.
        "reports.rundir.latency",
        "reports.analysis.recovery",
        "reports.analysis.rise",
        "gateway_stub.protocol",
        "gateway_stub.feed_schedule",
    ),
    "gateway_stub": ("gateway_stub",),
    "reports": ("reports",),
}
COMPOSITION_ROOTS = tuple(
    Path("scenarios", name)
    for name in (
        "cli.py",
        "calibrate_command.py",
        "calibrate_gate_command.py",
        "gate_command.py",
        "gate_options.py",
        "gate_outputs.py",
        "rehearse_command.py",
        "reporting.py",
        "simulate_command.py",
        "tune_command.py",
        "tune_confirm.py",
        "tuning/evaluating.py",
        "tuning/search.py",
        "undisturbed.py",
    )
)
PURE = [
    Path(name)
    for name in (
        "scenarios/rehearsal/state.py",
        "scenarios/rehearsal/decisions.py",
        "scenarios/rehearsal/live_verdict.py",
        "scenarios/rehearsal/live_slo.py",
        "scenarios/policies/registry.py",
        "scenarios/rehearsal/replay.py",
        "scenarios/rehearsal/screen.py",
        "scenarios/policies/backoff.py",
        "scenarios/policies/throttled.py",
        "scenarios/policies/throttles.py",
        "scenarios/limits/leaky_bucket.py",
        "scenarios/limits/token_bucket.py",
        "scenarios/limits/proxy_support.py",
        "scenarios/limits/registry.py",
        "scenarios/scenario/stability.py",
        "scenarios/clients/protocol/session.py",
        "scenarios/clients/protocol/frames.py",
        "scenarios/clients/recorder.py",
        "reports/analysis/metrics.py",
        "reports/analysis/shared_ips.py",
        "reports/rundir/latency.py",
        "reports/analysis/recovery.py",
        "reports/analysis/rise.py",
        "reports/analysis/validity.py",
        "reports/analysis/verdict.py",
        "reports/compare/comparison.py",
        "reports/compare/control.py",
        "reports/compare/ranges.py",
        "reports/compare/statistics.py",
        "reports/compare/storm_map.py",
    )
]
IMPURE_MODULES = {
    "time",
    "datetime",
    "socket",
    "asyncio",
    "gevent",
    "locust",
    "subprocess",
    "threading",
    "os",
}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, in full."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_line_in_the_architecture(module: Path) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert f"`{module}`" in text


def test_the_architecture_names_no_module_that_is_gone() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = {part for part in text.split("`")[1::2] if part.endswith(".py") and "/" in part}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_follow_the_plan(module: Path) -> None:
    if module in COMPOSITION_ROOTS:
        return
    allowed = MAY_IMPORT[module.parts[0]]
    ours = {name for name in imported(module) if name.split(".")[0] in MAY_IMPORT}
    assert {name for name in ours if not name.startswith(allowed)} == set()


@pytest.mark.parametrize("module", PURE, ids=str)
def test_pure_modules_touch_no_clock_no_socket_and_no_process(module: Path) -> None:
    assert {name.split(".")[0] for name in imported(module)} & IMPURE_MODULES == set()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_nobody_draws_from_the_global_random_source(module: Path) -> None:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    uses = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
    }
    assert uses <= {"Random"}
