"""Of the last lines of a log, the one that tells why a program ended."""

import pytest

from scenarios.host.process import telling

LOGS = {
    "Node": (
        ["Error: listen EADDRINUSE: address already in use", "    at Server.listen", "Node.js v20.20.2"],
        "Error: listen EADDRINUSE: address already in use",
    ),
    "Node, of an event": (
        [
            "      throw er; // Unhandled 'error' event",
            "Error: listen EADDRINUSE: address already in use :::4100",
            "    at Server.setupListenHandle [as _listen2] (node:net:1940:16)",
            "Emitted 'error' event on Server instance at:",
            "    at emitErrorNT (node:net:1944:8) {",
            "  code: 'EADDRINUSE',",
            "Node.js v20.20.2",
        ],
        "Error: listen EADDRINUSE: address already in use :::4100",
    ),
    "frames alone": (["    at emitErrorNT (node:net:1944:8)"], "at emitErrorNT (node:net:1944:8)"),
    "npm": (
        ["npm error code ENOENT", "npm error A complete log of this run can be found in: /x/debug.log"],
        "npm error code ENOENT",
    ),
    "Python": (["Traceback (most recent call last):", "ValueError: no port"], "ValueError: no port"),
    "nothing of the kind": (["listens", "bye"], "bye"),
    "an error of long ago": (["error: x", *["fine"] * 40], "fine"),
}


@pytest.mark.parametrize(("lines", "told"), LOGS.values(), ids=LOGS)
def test_the_line_that_names_an_error_is_told(lines: list[str], told: str) -> None:
    assert telling(lines) == told
