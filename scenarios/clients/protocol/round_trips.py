"""How many round trips things take, before a gateway sees them."""

ROUND_TRIPS_PER_ATTEMPT = 3
"""TCP, TLS 1.3 and the upgrade: what a client pays in round trips before a gateway sees its request."""
