"""What the end-to-end tests share: no test leaves anything running, and some have a Node with packages."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import MARK, nothing_left_behind

NODE = Path(__file__).parent / "node_gateway"
LONGEST = (
    "test_own_gateway.py",
    "test_own_gateway_failures.py",
    "test_past_one_machine.py",
    "test_timeline_on_the_stack.py",
    "test_drains.py",
    "test_gate_own_gateway.py",
    "test_model_of_the_edge.py",
    "test_storm.py",
)
"""Files that take three minutes and more, the longest first."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first: a worker takes whole files, and the others would wait for it."""
    place = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(autouse=True, scope="session")
def _mark(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ[MARK] = str(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(_mark: None) -> Iterator[None]:
    """No test may begin with, or leave, processes of a storm."""
    with nothing_left_behind():
        yield


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our gateway for Node, and socket.io and its client beside it, as the lock has them."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(NODE, folder, dirs_exist_ok=True)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install what {NODE.name}/package-lock.json names: {done.stderr.strip()}")
    return folder
