"""The compiled loop does, event for event, what its lines say; here they are played as Python as well."""

import pytest

from tests.support.uncompiled import uncompiled
from tests.support.watched_storms import STORMS, seen


def test_a_storm_is_the_same_each_time() -> None:
    assert seen("what pods go through") == seen("what pods go through")


@pytest.mark.parametrize("storm", STORMS)
def test_the_compiled_loop_leaves_everything_as_its_lines_do(storm: str) -> None:
    compiled = seen(storm)
    with uncompiled():
        assert seen(storm) == compiled
