"""What a client says of itself: headers, and the payload with which it joins, with credentials in them."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from scenarios.credentials.answers import CredentialsError, filled, names_in

# Printable ASCII, without blanks at the ends: what both transports can send as it is.
_FIELD_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Identity(Struct, frozen=True):
    """What differs from client to client."""

    headers: Mapping[str, str]
    auth: Any = None
    """What it joins with."""


class Form(Struct, frozen=True):
    """Headers and payload with placeholders, to be filled in for each client."""

    headers: Mapping[str, str]
    auth: Any

    def filled(self, answered: dict[str, Any]) -> Identity:
        """The identity with these credentials. Raises CredentialsError where they do not fit."""
        headers = {
            name: str(filled(value, answered)) for name, value in self.headers.items() if names_in(value)
        }
        for name, value in headers.items():
            if not _FIELD_VALUE.fullmatch(value):
                raise CredentialsError(f"what was answered is no value of a header, which {name} has to be")
        return Identity(headers, filled(self.auth, answered))
