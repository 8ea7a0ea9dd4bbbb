"""No test leaves anything running."""

import os
from collections.abc import Iterator

import pytest
from command_line import MARK, storm_processes


@pytest.fixture(autouse=True, scope="session")
def _mark(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ[MARK] = str(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(_mark: None) -> Iterator[None]:
    """No test may begin with, or leave, processes of a storm."""
    before = {process.pid for process in storm_processes()}
    assert before == set(), "processes of an earlier run are in the way"
    yield
    left = storm_processes()
    for process in left:
        process.kill()
    assert left == []
