"""Runs a module as `python -m` would, but with this program's own packages: `start.py MODULE ARGUMENT…`.

It is run by its path, so neither the current folder nor PYTHONPATH decides whose `gateway_stub` is started.
"""

import runpy
import sys
from pathlib import Path


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this program, or one that it depends on, as a program."""
    # Without -P the folder of this script would be searched first.
    return [sys.executable, "-P", __file__, module, *arguments]


def main() -> None:
    """Becomes the module that the command line names."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from reconnect_storm import code_root, use_own_code  # noqa: PLC0415 - not to be found before

    sys.path[0] = str(code_root())
    use_own_code()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
