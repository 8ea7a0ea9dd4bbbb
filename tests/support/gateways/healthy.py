"""A gateway that behaves."""

from tests.support.gateways.shared import gateway, serve


def main(_arguments: list[str]) -> None:
    serve(gateway())
