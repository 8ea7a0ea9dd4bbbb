"""One stack for all tests, because bringing it up costs a lot. Each asks for the containers that it needs."""

import os
from collections.abc import Iterator

import pytest

from tests.compose.stack import USER, Stack, left_behind

KEEP_VARIABLE = "RECONNECT_STORM_IMAGE"
"""`keep`: the image that is there is used, and not built again by this compose."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, built and up, and taken down without a trace in the end."""
    runs = tmp_path_factory.mktemp("runs")
    if os.getuid() == 0:
        os.chown(runs, USER, USER)
    else:
        runs.chmod(0o777)
    stack = Stack(runs)
    try:
        stack.up(*([] if os.environ.get(KEEP_VARIABLE) == "keep" else ["--build"]))
        yield stack
    finally:
        profiles = ("--profile", "storm", "--profile", "monitoring")
        down = stack.compose(*profiles, "down", "--volumes", "--remove-orphans")
    assert down.returncode == 0, down.stderr
    assert left_behind() == {"containers": [], "networks": [], "volumes": []}
