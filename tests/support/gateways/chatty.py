"""A gateway that prints up to 2.5 megabytes per second."""

import sys
import threading
import time

from tests.support.gateways.shared import gateway, serve

LINE = "a client has subscribed to a market; " + "x" * 90 + "\n"
LINES = 200
PERIOD_S = 0.01


def talk() -> None:
    while True:
        sys.stdout.write(LINE * LINES)
        sys.stdout.flush()
        time.sleep(PERIOD_S)


def main(_arguments: list[str]) -> None:
    threading.Thread(target=talk, daemon=True).start()
    serve(gateway())
