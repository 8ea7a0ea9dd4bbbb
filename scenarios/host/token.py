"""The secret that the services of one site share: in the environment, or in a file on a volume of theirs.

The service that comes first makes the file; a run, which comes last, only reads it. Nobody but its owner may,
so all of them have to run as the same user.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

TOKEN_VARIABLE = "RECONNECT_STORM_TOKEN"  # noqa: S105
FILE_VARIABLE = "RECONNECT_STORM_TOKEN_FILE"
DEFAULT_FILE = Path("/run/reconnect-storm/token")
SHORTEST = 16


def without_tokens(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program of the user's own, whose business our tokens are not."""
    ours = {TOKEN_VARIABLE, FILE_VARIABLE}
    return {name: value for name, value in environment.items() if name not in ours}


class TokenError(Exception):
    """No usable token; the message names the variable or file, and what is expected."""


def token_from_environment(*, create: bool = True) -> str:
    """The token that the environment has, or the file that it names. Raises TokenError.

    create: makes a file that is not there.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token is not None:
        return _long_enough(token.strip(), f"environment variable {TOKEN_VARIABLE}")
    return token_in(Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE), create=create)


def token_in(path: Path, *, create: bool = True) -> str:
    """The token in the file; a file that is not there is made, with a random one. Raises TokenError.

    It appears whole or not at all, and only once, however many services look for it at the same time.
    """
    try:
        if create and not path.exists():
            _create(path)
        return _long_enough(path.read_text(encoding="ascii").strip(), f"file {path}")
    except (OSError, UnicodeDecodeError) as error:
        folder = ", or a folder to create one in" if create else ""
        raise TokenError(
            f"file {path}: {error}: expected a file with the token{folder};"
            f" {FILE_VARIABLE} names another file, {TOKEN_VARIABLE} the token itself"
        ) from None


def _create(path: Path) -> None:
    # mkstemp makes a file that only its owner may read; a link, unlike a renaming, never replaces anything.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _long_enough(token: str, where: str) -> str:
    if len(token) < SHORTEST:
        raise TokenError(f"{where}: invalid token of {len(token)} characters: expected at least {SHORTEST}")
    return token
