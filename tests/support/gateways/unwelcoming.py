"""A gateway that takes CLIENTS, and disconnects every later one from the namespace, with packet 41."""

from tests.support.gateways.shared import gateway, serve


def main(arguments: list[str]) -> None:
    serve(gateway(welcome=int(arguments[0])))
