"""Another version of this program: asked by its command line, and refused where it cannot run."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.rundir.schema import SCHEMA_VERSION
from scenarios.gate.program_version import check_can_run, command_of
from scenarios.gate.repository import PROJECT, CheckoutError


@pytest.fixture
def other_version(tmp_path: Path) -> Callable[..., Path]:
    """Makes a version with its command line in a file, and what that prints and ends with by command."""

    def make(file: str, answers: dict[str, tuple[str, int]]) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True)
        for folder in path.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
        path.write_text(
            f"import sys\nanswers = {answers!r}\ncommand = sys.argv[1]\n"
            "if command not in answers:\n"
            "    sys.exit(print(f\"Error: No such command '{command}'.\", file=sys.stderr) or 2)\n"
            "text, status = answers[command]\n"
            "print(text, file=sys.stderr if status else sys.stdout)\nsys.exit(status)\n"
        )
        return tmp_path

    return make


LAYOUTS = ["scenarios/cli.py", "scenarios/cli/__main__.py", "reconnect_storm/__main__.py"]
SAME = json.dumps({"schema_version": SCHEMA_VERSION, "a later key": [1]})


@pytest.mark.parametrize("file", LAYOUTS)
@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        pytest.param({"probe": (SAME, 0)}, "", id="it answers"),
        pytest.param({"doctor": ("ok", 0)}, "", id="it has no probe, and can run the scenario"),
        pytest.param({"doctor": ("!! cores", 3)}, "", id="it has no probe, and this machine is busy"),
        pytest.param(
            {"doctor": ("reconnect-storm: x: no such scenario", 2)},
            "git:old: cannot run gate-quick: x: no such scenario",
            id="it has no probe, and not this scenario",
        ),
        pytest.param(
            {"probe": ("reconnect-storm: x: no such scenario", 2)},
            "git:old: cannot run gate-quick: x: no such scenario",
            id="it has not this scenario",
        ),
        pytest.param(
            {"probe": ("Traceback …\nModuleNotFoundError: No module named 'x'", 1)},
            "git:old: cannot run gate-quick: No module named 'x'",
            id="it crashes",
        ),
        pytest.param(
            {"probe": ('{"schema_version": 1}', 0)},
            f"git:old: schema version of its run directories: invalid value 1: expected {SCHEMA_VERSION}",
            id="its run directories are others",
        ),
        pytest.param({"probe": ("hello", 0)}, "git:old: invalid answer of `probe`: 'hello'", id="no JSON"),
        pytest.param({"probe": ("[2]", 0)}, "git:old: invalid answer of `probe`: '[2]'", id="no object"),
        pytest.param({}, "git:old: cannot run gate-quick: No such command 'doctor'.", id="neither"),
    ],
)
def test_a_version_of_any_layout_is_asked_through_its_command_line(
    other_version: Callable[..., Path], file: str, answers: dict[str, tuple[str, int]], refusal: str
) -> None:
    root = other_version(file, answers)
    if not refusal:
        check_can_run("git:old", root, "gate-quick", ())
        return
    with pytest.raises(CheckoutError, match=re.escape(refusal)):
        check_can_run("git:old", root, "gate-quick", ())


def test_the_newest_layout_counts_where_a_version_has_several(other_version: Callable[..., Path]) -> None:
    root = other_version("reconnect_storm/__main__.py", {})
    (root / "scenarios").mkdir()
    (root / "scenarios/cli.py").touch()
    assert command_of(root)[-1] == "reconnect_storm"


def test_another_project_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(CheckoutError, match="git:v2: not a version of reconnect-storm"):
        check_can_run("git:v2", tmp_path, "gate-quick", ())


@pytest.mark.needs_checkout
def test_this_version_can_run_what_it_has_and_nothing_else() -> None:
    check_can_run("git:HEAD", PROJECT, "gate-quick", ())
    with pytest.raises(CheckoutError, match="git:HEAD: cannot run nope: nope: no such scenario"):
        check_can_run("git:HEAD", PROJECT, "nope", ())
    with pytest.raises(CheckoutError, match=r"git:HEAD: cannot run gate-quick: .*fleet\.nope"):
        check_can_run("git:HEAD", PROJECT, "gate-quick", ("fleet.nope=1",))
