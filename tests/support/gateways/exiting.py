"""A program that cannot start: it says why, and exits with status 3."""

import sys


def main(_arguments: list[str]) -> None:
    print("config.yaml: DATABASE_URL is not set", file=sys.stderr)
    sys.exit(3)
