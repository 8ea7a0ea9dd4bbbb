"""What all tests share: what they need, whose fault it is what stays open, and Locust without its patches."""

import contextlib
import gc
import os
import signal
import time
from collections.abc import Generator, Iterator

import psutil
import pytest
from hypothesis import settings

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
try:
    import locust.stats
finally:
    # Generators that the end-to-end tests start must patch.
    del os.environ["LOCUST_SKIP_MONKEY_PATCH"]

from tests.support.needs import NEEDS, SKIP_VALUES, SKIP_VARIABLE, available

__all__ = ["locust"]

_REAPED_S = 60.0

# A machine that stands still for a second is no fault of what a property is about. Examples are the same each
# time: a property of random numbers holds for nearly all. --hypothesis-profile=exploring draws others.
settings.register_profile("exploring", parent=settings.default, deadline=None)
settings.register_profile("repeatable", parent=settings.get_profile("exploring"), derandomize=True)
settings.load_profile("repeatable")

# A shell has Ctrl-C ignored in what it runs in the background, and the programs of tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where a hook of git runs the tests, these would lead the repositories of tests to that one.
for _name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
    os.environ.pop(_name, None)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the markers known, and refuses a wish that nobody understands."""
    for name, need in NEEDS.items():
        config.addinivalue_line("markers", f"needs_{name}: is skipped where there is not {need.what}")
    wish = os.environ.get(SKIP_VARIABLE, SKIP_VALUES[0])
    if wish not in SKIP_VALUES:
        raise pytest.UsageError(
            f"{SKIP_VARIABLE}: invalid value {wish!r}: expected {' or '.join(SKIP_VALUES)}"
        )


# After those that are not asked for have been left out: an engine is looked for only where it matters.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what this machine cannot do, and says what to install."""
    for item in items:
        for name, need in NEEDS.items():
            if item.get_closest_marker(f"needs_{name}") and not available(name):
                item.add_marker(pytest.mark.skip(reason=need.reason))


def pytest_collection_finish() -> None:
    """What thousands of tests were made of stays to the end: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be skipped, a test that is skipped fails."""
    report = yield
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and not expected_to_fail and os.environ.get(SKIP_VARIABLE) == "forbid":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if any(need.reason in reason for need in NEEDS.values() if not need.required):
            return report
        report.outcome = "failed"
        report.longrepr = f"{SKIP_VARIABLE}=forbid, but {reason}"
    return report


@pytest.fixture(autouse=True, scope="module")
def _what_stays_open_is_found_where_it_was_opened() -> Iterator[None]:
    """What one file leaves to the garbage collector, or never waits for, must not fail a test of another."""
    yield
    gc.collect()
    deadline_s = time.monotonic() + _REAPED_S
    # A thread of asyncio's waits for a program, and may be a moment behind.
    while (ended := _ended_children()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not ended, f"processes {ended} have ended, and nothing has waited for them"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """pytest-cov leaves out what a test with the marker no_cover calls; its fixtures cost as much."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    controller = plugin and plugin.cov_controller
    if not controller or not item.get_closest_marker("no_cover"):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


def _ended_children() -> list[int]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                found.append(child.pid)
    return found
