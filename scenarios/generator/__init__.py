"""The load generator: the Locust processes that the clients live in."""
