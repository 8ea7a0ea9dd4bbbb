"""The proxy of a scenario: which one, its limit, and its settings."""
