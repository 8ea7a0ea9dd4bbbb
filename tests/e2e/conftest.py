"""What the end-to-end tests share: no test leaves anything running, and some have a Node with packages."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_line import MARK, nothing_left_behind

NODE = Path(__file__).parent / "node_gateway"
LONGEST = ("test_gate_own_gateway.py", "test_gate.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of several minutes begin first: a worker takes whole files, and the others would wait for it."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


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
