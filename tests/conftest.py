"""Lets the tests import Locust's statistics without its patching of the whole process."""

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
try:
    import locust.stats
finally:
    # Generators that the end-to-end tests start must patch.
    del os.environ["LOCUST_SKIP_MONKEY_PATCH"]

__all__ = ["locust"]
