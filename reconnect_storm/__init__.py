"""reconnect-storm: a load-test harness for reconnect storms.

The code is in `scenarios`, `reports` and `gateway_stub`. These names are common, so an installation keeps the
three, and the templates of `nginx`, in a folder of its own that no other program looks into. `use_own_code`
makes them the ones that this process imports, whatever folder it was started in.
"""

import importlib
import sys
from pathlib import Path

PACKAGES = ("gateway_stub", "reports", "scenarios")


def code_root() -> Path:
    """The folder with the packages: `packages/` in an installation, the repository in a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "packages"
    return installed if installed.is_dir() else here.parent


def use_own_code() -> None:
    """Imports the packages from `code_root`; modules of the current folder are found after all others.

    A package that has been imported is never looked up again. So a folder `reports` or `scenarios` of the
    user's hides none of ours, wherever it is in PYTHONPATH, and a policy of the user's is found beside it.
    """
    root, current = str(code_root()), str(Path.cwd())
    if root not in sys.path[:1]:
        sys.path.insert(0, root)
    for name in PACKAGES:
        importlib.import_module(name)
    if "" not in sys.path and current not in sys.path:
        sys.path.append(current)
