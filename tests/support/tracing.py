"""How coverage follows a process: its plugin in `pyproject.toml`, which each traced process loads."""

import sys

from coverage import CoveragePlugin
from coverage.plugin_support import Plugins
from coverage.types import TConfigurable


class Greenlets(CoveragePlugin):
    """Follows greenlets in processes of Locust. That costs half as much again; no other process has any."""

    def configure(self, config: TConfigurable) -> None:
        """Decides for this process by its command line."""
        if "locust" in sys.orig_argv:
            config.set_option("run:concurrency", ["thread", "gevent"])


def coverage_init(reg: Plugins, options: object) -> None:
    """Coverage calls this when it starts in a process."""
    reg.add_configurer(Greenlets())
