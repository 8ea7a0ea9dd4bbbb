"""A gateway that listens only after SECONDS."""

import time


def main(arguments: list[str]) -> None:
    print("loads its cache", flush=True)
    time.sleep(float(arguments[0]))
    # Imported here: on a busy machine that takes seconds, and what is said is to stand in the log before.
    from tests.support.gateways.shared import gateway, serve

    serve(gateway())
