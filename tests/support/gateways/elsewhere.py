"""A gateway that listens on another port than PORT: any that is free."""

from tests.support.gateways.shared import gateway, serve


def main(_arguments: list[str]) -> None:
    serve(gateway(), port=0)
