"""Mistakes in the configuration of a proxy that a reconnect storm brings out, found without running it."""
