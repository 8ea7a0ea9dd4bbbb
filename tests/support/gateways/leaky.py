"""A gateway that prints its arguments and the variable API_TOKEN."""

import os

from tests.support.gateways.shared import gateway, serve


def main(arguments: list[str]) -> None:
    print(f"starts with {arguments} and API_TOKEN={os.environ.get('API_TOKEN')}", flush=True)
    serve(gateway())
