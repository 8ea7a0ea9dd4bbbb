"""A gateway that sends no ticks of its own."""

from tests.support.gateways.shared import gateway, serve


def main(_arguments: list[str]) -> None:
    serve(gateway(rate_hz=0))
