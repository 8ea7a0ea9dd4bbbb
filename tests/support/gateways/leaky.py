"""A gateway that prints its arguments and the variable API_TOKEN; ends at once with `exit`."""

import os
import sys

from tests.support.gateways.shared import gateway, serve


def main(arguments: list[str]) -> None:
    token = os.environ.get("API_TOKEN")
    print(f"starts with {arguments} and API_TOKEN={token}", flush=True)
    if "exit" in arguments:
        sys.exit(f"invalid API_TOKEN {token}")
    serve(gateway())
