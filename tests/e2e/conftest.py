"""No test leaves anything running."""

import os
from collections.abc import Iterator

import pytest
from command_line import MARK, storm_processes

os.environ[MARK] = str(os.getpid())


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """No test may begin with, or leave, processes of a storm."""
    before = {process.pid for process in storm_processes()}
    assert before == set(), "processes of an earlier run are in the way"
    yield
    left = storm_processes()
    for process in left:
        process.kill()
    assert left == []
