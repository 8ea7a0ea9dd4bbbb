"""Reconnect policies: how long a client waits before each attempt, and who holds it back."""
