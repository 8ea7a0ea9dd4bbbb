"""A headless Chromium of this system, for tests of pages and for the pictures in docs/."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

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
PAPER: ViewportSize = {"width": 794, "height": 1123}
"""A4 at 96 dots an inch."""


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


class Opened:
    """A page, with what the browser had to say about it."""

    def __init__(self, browser: Browser, path: Path, size: ViewportSize, **context: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = browser.new_page(viewport=size, **context)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


def assert_alone_and_fitting(opened: Opened, path: Path) -> None:
    """The page asks nothing but itself, complains of nothing, and is no wider than its window."""
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    widths = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
