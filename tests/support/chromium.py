"""A headless Chromium of this system, for tests of pages and for the pictures in docs/."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ViewportSize, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: ViewportSize = {"width": 1280, "height": 1500}
PHONE: ViewportSize = {"width": 375, "height": 1500}


def find_chromium() -> str:
    """Where it is. Raises FileNotFoundError, and says what to install."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    raise FileNotFoundError(
        f"no Chromium: none of {', '.join(NAMES)} is on the PATH; install one, for instance with "
        "`apt-get install chromium`"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """One that is started, and ended afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()
