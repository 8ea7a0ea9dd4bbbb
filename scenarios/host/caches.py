"""Where this program keeps what it could make again: a folder of the user's."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder for one kind of things. Raises OSError where nobody knows the user's home."""
    named = Path(os.environ.get("XDG_CACHE_HOME") or "")
    try:
        base = named if named.is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise OSError(str(error)) from None
    return base / "reconnect-storm" / name
