"""A gateway that listens on all interfaces."""

from tests.support.gateways.shared import gateway, serve


def main(_arguments: list[str]) -> None:
    serve(gateway(), host="0.0.0.0")
