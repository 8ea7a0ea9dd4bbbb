"""Entry point for Locust: `locust -f scenarios/clients/locustfile.py --host http://127.0.0.1:8000`.

The catalogue's `mass-drop` scenario says how the clients behave; `--scenario` takes another one.
"""

from scenarios.generator.hooks import register
from scenarios.generator.user import StormUser

__all__ = ["StormUser"]

register()
