"""Runs one of these programs: `python tests/support/gateways NAME ARGUMENT…`."""

import sys
from importlib import import_module
from pathlib import Path

# Instead of this folder, which Python puts there.
sys.path[0] = str(Path(__file__).resolve().parents[3])

if __name__ == "__main__":
    import_module(f"tests.support.gateways.{sys.argv[1]}").main(sys.argv[2:])
