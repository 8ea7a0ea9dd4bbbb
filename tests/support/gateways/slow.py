"""A gateway that listens only after SECONDS."""

import time

from tests.support.gateways.shared import gateway, serve


def main(arguments: list[str]) -> None:
    print("loads its cache", flush=True)
    time.sleep(float(arguments[0]))
    serve(gateway())
