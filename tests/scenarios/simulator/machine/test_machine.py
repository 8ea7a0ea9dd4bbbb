"""The loop as machine code: made where there is none, and loaded without the compiler where there is."""

import dis
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.simulator.loop import parts
from scenarios.simulator.machine import compiler, kept, machine
from scenarios.simulator.machine.kept import Code


def test_what_is_kept_is_loaded_without_the_compiler() -> None:
    machine.machine_play()
    asks = (
        "import sys; from tests.scenarios.simulator.test_oracles import engine, run_until\n"
        "run_until(engine(), 2)\n"
        "print('numba' in sys.modules)"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "False\n"


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Code]:
    """What is compiled from now on; it is kept in a folder of its own."""
    made: list[Code] = []
    machine.machine_play()
    there = kept.read(kept.place() or tmp_path)
    assert there is not None

    def compiled() -> Code:
        made.append(there)
        return there

    monkeypatch.setattr(compiler, "compiled", compiled)
    monkeypatch.setattr(kept, "place", lambda: tmp_path / "kept.o")
    return made


def test_the_loop_is_compiled_once(own_code: list[Code]) -> None:
    assert not machine.is_made()
    for _ in range(2):
        machine.machine_play.__wrapped__()
    assert machine.is_made()
    assert len(own_code) == 1


def test_where_nothing_can_be_kept_it_is_compiled_each_time(
    own_code: list[Code], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "place", lambda: None)
    for _ in range(2):
        machine.machine_play.__wrapped__()
    assert not machine.is_made()
    assert len(own_code) == 2


def test_each_part_stands_behind_those_that_it_calls() -> None:
    place = {id(part.function): number for number, part in reversed([*enumerate(parts.PARTS)])}
    for number, part in enumerate(parts.PARTS):
        for step in dis.get_instructions(part.function):
            if step.opname == "LOAD_GLOBAL":
                called = part.function.__globals__.get(step.argval)
                assert place.get(id(called), -1) < number, (part.function, step.argval)
