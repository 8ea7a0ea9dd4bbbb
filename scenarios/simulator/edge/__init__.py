"""The proxy of the model: its limits, and its load balancing."""
