"""A gateway that ignores SIGTERM."""

import signal

from tests.support.gateways.shared import gateway, serve


def main(_arguments: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(gateway(), ends_on_sigterm=False)
