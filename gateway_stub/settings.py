"""Where a pod's settings come from: the environment, or command-line options for a pod started by hand."""

import os

import msgspec

from gateway_stub.protocol import SETTINGS_VARIABLE, Settings


def from_environment() -> Settings | None:
    """The settings that whoever started this pod left in the environment; None when started by hand."""
    text = os.environ.pop(SETTINGS_VARIABLE, None)
    return msgspec.json.decode(text, type=Settings) if text else None
